"""What a policy must do: act on what it is shown, and keep its clients apart."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core import config
from lerobot_core.errors import LeRobotError
from lerobot_core.registry import resolve
from lerobot_core.roles import ActionChunk, Policy
from lerobot_core.testing.learning import LearningSuite
from lerobot_core.testing.suite import copied, global_randomness, needs, same

#: ends of files that can hold code
_CODE = {".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt", ".joblib", ".npy"}


class PolicySuite(LearningSuite):
    """Subclass it and give the fixtures `policy`, new for each check, and `batch`, a training batch for `forward`.

    Attributes:
        saves: it has something to save; a policy that needs no model has not.
        stochastic: sessions of different seeds act differently.
        uses_task: it acts by the session's `task`.
        ignored: input features it does not look at.
        tolerance: largest difference of actions computed alone and in a batch [user units].
    """

    role: ClassVar[type] = Policy
    saves: ClassVar[bool] = True
    stochastic: ClassVar[bool] = False
    uses_task: ClassVar[bool] = False
    ignored: ClassVar[tuple[str, ...]] = ()
    tolerance: ClassVar[float] = 1e-4

    def load(self, path: Path) -> Any:
        """The policy that was saved in a folder."""
        if self.component is None:
            raise TypeError(f"{type(self).__name__} does not say how a saved policy is loaded")
        return resolve(self.component.build).from_pretrained(path)

    def observation(self, policy: Any, seed: int) -> dict[str, Any]:
        """A numpy observation in dataset names, with what the policy's input features ask for."""
        rng = np.random.default_rng(seed)
        out: dict[str, Any] = {}
        for key, feature in policy.input_features.items():
            if feature.type == "VISUAL":
                channels, height, width = feature.shape
                out[key] = rng.integers(0, 255, (height, width, channels)).astype(np.uint8)
            else:
                out[key] = rng.uniform(-1, 1, feature.shape).astype(np.float32)
        return out

    def run(self, policy: Any, session: Any, seeds: list[int]) -> list[np.ndarray]:
        """Actions of successive inferences of one client, three control steps apart."""
        return [
            policy.infer([session], [self.observation(policy, seed)], [3 * turn])[0].actions
            for turn, seed in enumerate(seeds)
        ]

    def test_it_has_the_role(self, policy: Any) -> None:
        """Server and trainer use every method. Fix: add the one that isinstance(policy, Policy) misses."""
        assert isinstance(policy, Policy)
        assert [feature.type for feature in policy.output_features.values()].count("ACTION") == 1

    def test_a_chunk_is_what_the_queue_takes(self, policy: Any) -> None:
        """Queue and wire hold float32 (T, A) in robot units. Fix: post-process and convert in `infer`."""
        (chunk,) = policy.infer([policy.session(0)], [self.observation(policy, 0)], [12])
        (action,) = (feature for feature in policy.output_features.values() if feature.type == "ACTION")
        assert isinstance(chunk, ActionChunk)
        assert isinstance(chunk.actions, np.ndarray)
        assert (chunk.actions.ndim, chunk.actions.shape[1], chunk.actions.dtype) == (2, action.shape[0], np.float32)
        assert len(chunk.actions) > 0
        assert np.all(np.isfinite(chunk.actions))
        assert chunk.observed == 12
        assert chunk.step >= 12
        assert policy.action_names is None or len(policy.action_names) == action.shape[0]

    def test_the_answer_depends_on_the_observation(self, policy: Any) -> None:
        """A policy that does not look can still have a falling loss. Fix: see what the pre-processor drops."""
        one, other = (self.run(policy, policy.session(0), [seed])[0] for seed in (1, 2))
        assert not np.array_equal(one, other)

    def test_observations_are_not_changed(self, policy: Any) -> None:
        """They are recorded after they were shown to the policy. Fix: copy before writing in place."""
        observation = self.observation(policy, 0)
        kept = copied(observation)
        policy.infer([policy.session(0)], [observation], [0])
        assert same(observation, kept)

    def test_a_seed_repeats(self, policy: Any) -> None:
        """A failure must be seen again to be understood. Fix: draw from the session's generator only."""
        first, again = (self.run(policy, policy.session(5), [1, 2, 3]) for _ in range(2))
        assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))

    def test_interleaved_clients_equal_separate_ones(self, policy: Any) -> None:
        """One server serves many robots. Fix: keep windows, queues and generators in the session, not in the module."""
        separate = [self.run(policy, policy.session(seed), [seed, seed + 1]) for seed in (1, 10)]
        sessions = [policy.session(seed) for seed in (1, 10)]
        for turn in (0, 1):
            for which, seed in enumerate((1, 10)):
                observation = self.observation(policy, seed + turn)
                (chunk,) = policy.infer([sessions[which]], [observation], [3 * turn])
                np.testing.assert_array_equal(chunk.actions, separate[which][turn])

    def test_rows_do_not_depend_on_their_batch_mates(self, policy: Any) -> None:
        """The server batches whoever asks at that moment. Fix: no statistics, noise or padding across the batch."""
        alone = [self.run(policy, policy.session(seed), [seed])[0] for seed in (1, 2, 3)]
        together = policy.infer(
            [policy.session(seed) for seed in (1, 2, 3)],
            [self.observation(policy, seed) for seed in (1, 2, 3)],
            [0, 0, 0],
        )
        for one, chunk in zip(alone, together, strict=True):
            np.testing.assert_allclose(chunk.actions, one, atol=self.tolerance)

    def test_a_reset_session_has_forgotten_its_episode(self, policy: Any) -> None:
        """The first action of an episode must not come from the last one. Fix: clear everything in `reset`."""
        after_one, after_another = policy.session(0), policy.session(0)
        for session, seeds in ((after_one, [1, 2]), (after_another, [7, 8])):
            self.run(policy, session, seeds)
            session.reset()
        one, other = (self.run(policy, session, [4])[0] for session in (after_one, after_another))
        np.testing.assert_array_equal(one, other)

    def test_inference_changes_no_weights(self, policy: Any) -> None:
        """Running statistics that go on learning drift at the robot. Fix: eval mode and no gradients in `infer`."""
        needs(hasattr(policy, "state_dict"), "state_dict()")
        kept = {key: value.clone() for key, value in policy.state_dict().items()}
        policy.train()
        self.run(policy, policy.session(0), [1, 2])
        found = policy.state_dict()
        assert set(found) == set(kept)
        assert all(bool((found[key] == kept[key]).all()) for key in kept)

    def test_what_is_saved_acts_the_same(self, policy: Any, tmp_path: Path) -> None:
        """A checkpoint is the result of days. Fix: save weights, config, both processors and their statistics."""
        needs(self.saves, "saves")
        wanted = self.run(policy, policy.session(3), [1, 2])
        policy.save_pretrained(tmp_path / "saved")
        loaded = self.load(tmp_path / "saved")
        found = self.run(loaded, loaded.session(3), [1, 2])
        assert all(np.array_equal(one, other) for one, other in zip(wanted, found, strict=True))
        assert _plain(loaded.input_features) == _plain(policy.input_features)
        assert _plain(loaded.output_features) == _plain(policy.output_features)
        assert loaded.action_names == policy.action_names

    # --- what it is shown ---------------------------------------------------------------------------------------------

    def test_every_input_is_looked_at(self, policy: Any) -> None:
        """A camera dropped on the way is missed in the field. Fix: follow each input feature from `infer` to the network."""
        observation = self.observation(policy, 1)
        (wanted,) = policy.infer([policy.session(0)], [observation], [0])
        for key in set(policy.input_features) - set(self.ignored):
            other = {**observation, key: self.observation(policy, 2)[key]}
            (found,) = policy.infer([policy.session(0)], [other], [0])
            assert not np.array_equal(found.actions, wanted.actions), f"'{key}' makes no difference"

    def test_a_missing_observation_is_refused_by_name(self, policy: Any) -> None:
        """A camera with another name must not become a black picture. Fix: raise FeatureError with the key."""
        for key in policy.input_features:
            observation = self.observation(policy, 0)
            del observation[key]
            with pytest.raises(LeRobotError, match=key.rpartition(".")[2]):
                policy.infer([policy.session(0)], [observation], [0])

    def test_a_wrong_shape_is_refused(self, policy: Any) -> None:
        """One joint more, or a picture with its channels first, gives confident nonsense. Fix: compare with the features."""
        for key in policy.input_features:
            observation = self.observation(policy, 0)
            value = observation[key]
            observation[key] = value.transpose(2, 0, 1).copy() if value.ndim == 3 else np.append(value, value[:1])
            with pytest.raises(LeRobotError):
                policy.infer([policy.session(0)], [observation], [0])

    def test_more_than_it_needs_does_no_harm(self, policy: Any) -> None:
        """A robot may have more cameras than the policy. Fix: pick the input features by name."""
        observation = self.observation(policy, 0)
        more = {"observation.extra": np.ones(2, np.float32), "task": ""}
        (wanted,) = policy.infer([policy.session(0)], [observation], [0])
        (found,) = policy.infer([policy.session(0)], [{**more, **observation}], [0])
        np.testing.assert_array_equal(found.actions, wanted.actions)

    def test_borrowed_observations_are_taken(self, policy: Any) -> None:
        """What comes over a wire is read-only, and cameras give views. Fix: copy before writing or torch.from_numpy."""
        observation = self.observation(policy, 0)
        (wanted,) = policy.infer([policy.session(0)], [observation], [0])
        borrowed = {key: _borrowed(value) for key, value in observation.items()}
        (found,) = policy.infer([policy.session(0)], [borrowed], [0])
        np.testing.assert_array_equal(found.actions, wanted.actions)

    def test_the_task_is_heard(self, policy: Any) -> None:
        """A policy of many tasks that does not listen does the most frequent. Fix: take `session.task` at each inference."""
        needs(self.uses_task, "uses_task")
        found = []
        for task in ("pick up the cube", "open the drawer"):
            session = policy.session(0)
            session.task = task
            found.append(self.run(policy, session, [1])[0])
        assert not np.array_equal(*found)

    # --- what it answers ----------------------------------------------------------------------------------------------

    def test_nobody_asks_nobody_answers(self, policy: Any) -> None:
        """Between two clients a server has none. Fix: return an empty list for no sessions."""
        assert list(policy.infer([], [], [])) == []

    def test_sessions_and_observations_belong_together(self, policy: Any) -> None:
        """A client without an answer waits for ever. Fix: zip with strict=True."""
        sessions = [policy.session(0), policy.session(1)]
        with pytest.raises((LeRobotError, ValueError)):
            policy.infer(sessions, [self.observation(policy, 0)], [0])

    def test_chunks_carry_their_own_step(self, policy: Any) -> None:
        """The queue drops what is late by this number. Fix: each row gets the step of its own observation."""
        steps = [7, 300, 0]
        sessions = [policy.session(seed) for seed in range(3)]
        chunks = policy.infer(sessions, [self.observation(policy, seed) for seed in range(3)], steps)
        assert [int(chunk.observed) for chunk in chunks] == steps
        assert all(chunk.step >= step for chunk, step in zip(chunks, steps, strict=True))

    def test_chunks_keep_their_size(self, policy: Any) -> None:
        """Wire and queue are made for one size. Fix: always (T, A), also for the first inference of an episode."""
        sizes = {actions.shape for actions in self.run(policy, policy.session(0), [1, 2, 3])}
        assert len(sizes) == 1, f"chunks of {sizes}"

    def test_chunks_are_the_callers_own(self, policy: Any) -> None:
        """The aggregator writes into chunks. Fix: return a new array, which the session does not keep."""
        wanted = [actions.copy() for actions in self.run(policy, policy.session(0), [1, 2])]
        session = policy.session(0)
        (first,) = policy.infer([session], [self.observation(policy, 1)], [0])
        first.actions[...] = 1e6
        (second,) = policy.infer([session], [self.observation(policy, 2)], [3])
        np.testing.assert_array_equal(second.actions, wanted[1])

    def test_seeds_differ(self, policy: Any) -> None:
        """Ten trials of one seed are one trial. Fix: make the session's generator from the seed."""
        needs(self.stochastic, "stochastic")
        one, other = (self.run(policy, policy.session(seed), [1])[0] for seed in (1, 2))
        assert not np.array_equal(one, other)

    def test_a_session_knows_nothing(self, policy: Any) -> None:
        """A new client must not get another's task. Fix: make a new object with an empty `task` and a `reset`."""
        first, second = policy.session(0), policy.session(0)
        assert first is not second
        assert first.task == ""
        first.task = "pick"
        assert second.task == policy.session(0).task == ""
        first.reset()

    def test_the_global_generators_are_left_alone(self, policy: Any) -> None:
        """Training shares the process with an evaluation. Fix: generators of the session, no manual_seed."""
        before = global_randomness()
        self.run(policy, policy.session(0), [1, 2])
        assert global_randomness() == before

    def test_it_infers_in_another_thread(self, policy: Any) -> None:
        """Servers do. Fix: switch gradients off inside `infer`: that setting belongs to a thread."""
        found: list[Any] = []

        def infer() -> None:
            try:
                found.extend(self.run(policy, policy.session(0), [1]))
            except Exception as error:  # raised below, in the thread of the check
                found.append(error)

        thread = threading.Thread(target=infer)
        thread.start()
        thread.join()
        np.testing.assert_array_equal(found[0], self.run(policy, policy.session(0), [1])[0])

    # --- what it leaves behind ----------------------------------------------------------------------------------------

    def test_saving_changes_nothing(self, policy: Any, tmp_path: Path) -> None:
        """Training goes on after a checkpoint. Fix: save copies; do not move, halve or freeze the model."""
        needs(self.saves, "saves")
        wanted = self.run(policy, policy.session(3), [1])[0]
        if hasattr(policy, "train"):
            policy.train()
        for _ in range(2):  # the second time over the first
            policy.save_pretrained(tmp_path / "saved")
            assert getattr(policy, "training", True), "it is in eval mode after saving"
        np.testing.assert_array_equal(self.run(policy, policy.session(3), [1])[0], wanted)

    def test_a_checkpoint_holds_no_code(self, policy: Any, tmp_path: Path) -> None:
        """Opening a stranger's checkpoint must be safe. Fix: safetensors and JSON, no pickle."""
        needs(self.saves, "saves")
        policy.save_pretrained(tmp_path / "saved")
        files = [path for path in (tmp_path / "saved").rglob("*") if path.is_file()]
        assert files, "nothing was saved"
        assert not [path.name for path in files if path.suffix in _CODE]

    def test_its_config_comes_back(self, policy: Any, tmp_path: Path) -> None:
        """Options lost in a file come back as defaults. Fix: plain data in an attrs class, and save all of it."""
        needs(self.saves and hasattr(policy.config, "__attrs_attrs__"), "saves, with an attrs config")
        data = config.to_data(policy.config)
        assert config.to_data(config.structure(data, type(policy.config))) == data
        policy.save_pretrained(tmp_path / "saved")
        assert config.to_data(self.load(tmp_path / "saved").config) == data


def _plain(features: Mapping[str, Any]) -> dict[str, Any]:
    return {key: (feature.type, tuple(feature.shape)) for key, feature in features.items()}


def _borrowed(value: np.ndarray) -> np.ndarray:
    """The same values as a view with strides on memory that cannot be written."""
    twice = np.repeat(value, 2, axis=0)
    return np.frombuffer(twice.tobytes(), value.dtype).reshape(twice.shape)[::2]
