"""What an environment must do: episodes that repeat by their seed, in robot names."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core import features
from lerobot_core.errors import LeRobotError
from lerobot_core.roles import Env
from lerobot_core.testing.devices import check_names, check_values
from lerobot_core.testing.suite import Suite, copied, global_randomness, needs, new_threads, open_files, same


class EnvSuite(Suite):
    """Subclass it and give the fixture `env`: a new one for each check.

    Attributes:
        steps: steps within which every episode ends, whatever is done; 0: it need not end.
        varies: episodes with different seeds begin differently.
        low: smallest value of an action the checks take [robot units].
        high: largest value of an action the checks take [robot units].
    """

    role: ClassVar[type] = Env
    steps: ClassVar[int] = 0
    varies: ClassVar[bool] = True
    low: ClassVar[float] = -1.0
    high: ClassVar[float] = 1.0

    @pytest.fixture
    def env(self) -> Any:
        env = self.part()
        yield env
        env.close()

    def action(self, env: Any, seed: int) -> dict[str, float]:
        """An action drawn between `low` and `high`."""
        rng = np.random.default_rng(seed)
        return {key: float(rng.uniform(self.low, self.high)) for key in env.action_features}

    def episode(self, env: Any, seed: int, length: int = 5, actions: int = 0) -> list[Any]:
        """(observation, reward, terminated, truncated) of the first steps of an episode."""
        out: list[Any] = [(copied(env.reset(seed=seed)[0]), 0.0, False, False)]
        for step in range(length):
            observation, reward, terminated, truncated, _ = env.step(self.action(env, actions + step))
            out.append((copied(observation), reward, terminated, truncated))
            if terminated or truncated:
                break
        return out

    def check_equal(self, one: list[Any], other: list[Any], what: str) -> None:
        assert len(one) == len(other), what
        for (seen, *rest), (seen_too, *rest_too) in zip(one, other, strict=True):
            assert same(seen, seen_too), what
            assert rest == rest_too, what

    def test_it_has_the_role(self, env: Any) -> None:
        """Evaluation uses every method of the role. Fix: add the one that isinstance(env, Env) misses."""
        assert isinstance(env, Env)
        assert 0 < env.fps < 10000

    def test_features_are_known_before_reset_and_stay(self, env: Any) -> None:
        """Policies are checked before anything is simulated. Fix: derive features from the config alone."""
        before = dict(env.observation_features), dict(env.action_features)
        assert all(before)
        assert all(value is float for value in before[1].values()), "actions are scalars"
        self.episode(env, 0)
        after = dict(env.observation_features), dict(env.action_features)
        assert [list(one.items()) for one in after] == [list(one.items()) for one in before]

    def test_names_say_what_is_measured(self, env: Any) -> None:
        """A simulated arm is driven like a real one. Fix: robot names, as `elbow.pos`; pictures (H, W, 3)."""
        check_names({**env.observation_features, **env.action_features})

    def test_observations_match_their_features(self, env: Any) -> None:
        """A policy is fed by them. Fix: the same keys, shapes and dtypes from `reset` and from `step`."""
        for observation, *_ in self.episode(env, 0):
            check_values(observation, env.observation_features)

    def test_an_observation_makes_a_frame(self, env: Any) -> None:
        """Simulated demonstrations are recorded like real ones. Fix: names that stay apart in a dataset."""
        wanted = features.observation_features(env.observation_features)
        frame = features.frame(env.reset(seed=0)[0], wanted)
        assert {key: value.shape for key, value in frame.items()} == {key: f.shape for key, f in wanted.items()}

    def test_a_step_answers_in_the_five_words(self, env: Any) -> None:
        """Success rates are counts of these. Fix: a finite float, two booleans of Python and a dict."""
        _, info = env.reset(seed=0)
        assert isinstance(info, Mapping)
        _, reward, terminated, truncated, info = env.step(self.action(env, 0))
        assert isinstance(reward, float)
        assert math.isfinite(reward)
        assert isinstance(terminated, bool)
        assert isinstance(truncated, bool)
        assert isinstance(info, Mapping)
        assert isinstance(info.get("is_success", False), bool)

    def test_a_step_needs_a_reset(self, env: Any) -> None:
        """An episode from nowhere is no episode. Fix: raise a LeRobotError that says so."""
        with pytest.raises(LeRobotError):
            env.step(dict.fromkeys(env.action_features, 0.0))

    def test_a_seed_repeats(self, env: Any) -> None:
        """A failure must be seen again to be understood. Fix: draw everything from a generator made of the seed."""
        self.check_equal(self.episode(env, 3), self.episode(env, 3), "the same seed gave another episode")

    def test_what_came_before_does_not_matter(self, env: Any) -> None:
        """Episode 7 must be episode 7 in every run. Fix: put everything back in `reset`, the physics too."""
        first = self.episode(env, 3)
        self.episode(env, 4, length=3, actions=50)
        self.check_equal(first, self.episode(env, 3), "an episode depends on the one before")

    def test_seeds_differ(self, env: Any) -> None:
        """Ten evaluations of one start are one. Fix: use the seed that is given."""
        needs(self.varies, "varies")
        starts = [copied(env.reset(seed=seed)[0]) for seed in (1, 2)]
        assert not same(*starts)

    def test_episodes_go_on_from_the_seed(self, env: Any) -> None:
        """A run is seeded once. Fix: `reset()` without a seed draws on from the same generator."""
        needs(self.varies, "varies")
        runs = [[copied(env.reset(seed=seed)[0]) for seed in (5, None, None)] for _ in range(2)]
        assert not same(runs[0][0], runs[0][1]), "every episode is the first"
        assert all(same(one, other) for one, other in zip(*runs, strict=True)), "the second episode does not repeat"

    def test_actions_matter(self, env: Any) -> None:
        """An action that is dropped still gives a reward. Fix: see that every key reaches the simulation."""
        one, other = self.episode(env, 0)[-1][0], self.episode(env, 0, actions=100)[-1][0]
        assert not same(one, other), "two different courses of actions end alike"

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_no_number_is_refused(self, env: Any, value: float) -> None:
        """A simulation full of NaN runs on and scores zero. Fix: check every value before the step."""
        env.reset(seed=0)
        for key in env.action_features:
            with pytest.raises(LeRobotError):
                env.step({**self.action(env, 0), key: value})

    @pytest.mark.parametrize("wrong", ["missing", "unknown"])
    def test_wrong_keys_are_refused(self, env: Any, wrong: str) -> None:
        """A misspelt joint would silently stay where it is. Fix: compare with action_features, name the difference."""
        env.reset(seed=0)
        action = self.action(env, 0)
        name = next(iter(action)) if wrong == "missing" else "no such joint.pos"
        if wrong == "missing":
            del action[name]
        else:
            action[name] = 0.0
        with pytest.raises(LeRobotError, match=name):
            env.step(action)

    def test_numbers_of_numpy_are_taken(self, env: Any) -> None:
        """Policies give float32. Fix: convert with `float` first."""
        env.reset(seed=0)
        observation, *_ = env.step({key: np.float32(value) for key, value in self.action(env, 0).items()})
        check_values(observation, env.observation_features)

    def test_the_action_is_left_alone(self, env: Any) -> None:
        """It is recorded after the step. Fix: copy before clipping in place."""
        env.reset(seed=0)
        action = self.action(env, 0)
        kept = dict(action)
        env.step(action)
        assert action == kept

    def test_observations_are_the_callers_own(self, env: Any) -> None:
        """They wait in a queue for their encoder. Fix: hand out a new dict and new arrays each time."""
        first, _ = env.reset(seed=0)
        kept = copied(first)
        second, *_ = env.step(self.action(env, 0))
        assert same(first, kept), "an observation changed after it was handed out"
        for key, value in first.items():
            if isinstance(value, np.ndarray):
                assert not np.shares_memory(value, second[key]), f"'{key}' is the same memory in two observations"
        first.clear()
        check_values(env.step(self.action(env, 1))[0], env.observation_features)

    def test_the_global_generators_are_left_alone(self, env: Any) -> None:
        """Seeding the process for one environment changes training. Fix: a generator of its own."""
        before = global_randomness()
        self.episode(env, 0)
        assert global_randomness() == before

    def test_every_episode_ends(self, env: Any) -> None:
        """An evaluation must come to an end. Fix: set `truncated` after the last step allowed."""
        needs(self.steps, "steps")
        assert any(self.episode(env, 0, self.steps)[-1][2:]), f"still running after {self.steps} steps"

    def test_nothing_happens_after_the_end(self, env: Any) -> None:
        """Steps behind the end would count as another episode. Fix: refuse them until `reset`."""
        needs(self.steps, "steps")
        self.episode(env, 0, self.steps)
        with pytest.raises(LeRobotError):
            env.step(self.action(env, 0))
        env.reset(seed=1)
        env.step(self.action(env, 0))

    def test_close_can_be_called_at_any_time(self, env: Any) -> None:
        """Clean-up runs after failures too. Fix: return when nothing is open."""
        env.close()
        env.close()

    def test_nothing_happens_after_close(self, env: Any) -> None:
        """A step into a closed simulation crashes it natively. Fix: raise a LeRobotError."""
        env.reset(seed=0)
        env.close()
        with pytest.raises(LeRobotError):
            env.step(self.action(env, 0))

    def test_nothing_outlives_close(self, env: Any) -> None:
        """Evaluations make hundreds of them. Fix: end threads and close windows and files in `close`."""
        before, files = set(threading.enumerate()), open_files()
        self.episode(env, 0)
        env.close()
        assert not new_threads(before, 0.5)
        left = open_files()
        assert left is None or left <= files + 2, f"{left - files} files are left open"
