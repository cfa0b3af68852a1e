"""What a policy must do: learn from what it is given, and keep its clients apart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core.registry import resolve
from lerobot_core.roles import ActionChunk, Policy
from lerobot_core.testing.suite import Suite, copied, needs, same

PAD = "action_is_pad"


class PolicySuite(Suite):
    """Subclass it and give the fixtures `policy`, new for each check, and `batch`, a training batch for `forward`.

    Attributes:
        trains: it has a loss in torch; without it the checks of `forward` are skipped.
        untrained: parameters kept for the file format's sake that no gradient can reach.
        saves: it has something to save; a policy that needs no model has not.
        tolerance: largest difference of actions computed alone and in a batch [user units].
    """

    role: ClassVar[type] = Policy
    trains: ClassVar[bool] = True
    untrained: ClassVar[tuple[str, ...]] = ()
    saves: ClassVar[bool] = True
    tolerance: ClassVar[float] = 1e-4

    @pytest.fixture
    def policy(self) -> Any:
        return self.part()

    @pytest.fixture
    def batch(self, policy: Any) -> Any:
        """Torch tensors that went through the pre-processor, some steps padded; None where it does not train."""
        return None

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

    # --- training -----------------------------------------------------------------------------------------------------

    def loss(self, policy: Any, batch: Any) -> Any:
        torch = pytest.importorskip("torch")
        torch.manual_seed(0)
        return policy.forward(batch)

    def number(self, policy: Any, batch: Any) -> float:
        loss, _ = self.loss(policy, batch)
        return float(loss.detach())

    def test_the_loss_is_a_finite_number(self, policy: Any, batch: Any) -> None:
        """Training stops on anything else, hours later. Fix: a scalar with a gradient, and its parts as floats."""
        needs(self.trains, "trains")
        policy.train()
        loss, parts = self.loss(policy, batch)
        assert loss.ndim == 0
        assert bool(loss.isfinite())
        assert loss.requires_grad
        assert all(isinstance(value, float) for value in parts.values())

    def test_gradients_reach_every_trainable_parameter(self, policy: Any, batch: Any) -> None:
        """A part without a gradient stays random and nobody notices. Fix: use it, or freeze or remove it."""
        needs(self.trains, "trains")
        policy.train()
        self.loss(policy, batch)[0].backward()
        without = [
            name
            for name, parameter in policy.named_parameters()
            if parameter.requires_grad and (parameter.grad is None or not bool(parameter.grad.abs().sum() > 0))
        ]
        without = sorted(set(without) ^ set(self.untrained))
        assert not without, f"no gradient: {', '.join(without)}"

    def test_padded_steps_do_not_count(self, policy: Any, batch: Any) -> None:
        """Behind an episode's end there is nothing to imitate. Fix: mask by `action_is_pad` before averaging."""
        needs(self.trains and PAD in batch, "trains, with action_is_pad in the batch")
        assert bool(batch[PAD].any()), "give a batch in which some steps are padded"
        policy.eval()
        other = {key: value.clone() if hasattr(value, "clone") else value for key, value in batch.items()}
        other["action"][other[PAD]] += 7.0
        first = self.number(policy, batch)
        assert abs(first - self.number(policy, other)) <= 1e-5 * max(1.0, abs(first))
        other["action"][~other[PAD]] += 7.0
        assert abs(first - self.number(policy, other)) > 1e-3, "the loss does not depend on the actions at all"

    def test_the_batch_is_not_changed(self, policy: Any, batch: Any) -> None:
        """The trainer logs and compares batches. Fix: clone before writing in place."""
        needs(self.trains, "trains")
        kept = {key: value.clone() if hasattr(value, "clone") else value for key, value in batch.items()}
        self.loss(policy, batch)
        assert set(kept) == set(batch)
        assert all(bool((kept[key] == batch[key]).all()) for key in kept if hasattr(kept[key], "clone"))

    # --- inference ----------------------------------------------------------------------------------------------------

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


def _plain(features: Mapping[str, Any]) -> dict[str, Any]:
    return {key: (feature.type, tuple(feature.shape)) for key, feature in features.items()}
