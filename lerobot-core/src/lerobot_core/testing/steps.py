"""What a step of the control loop must do."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core import features
from lerobot_core.errors import LeRobotError
from lerobot_core.roles import ProcessorStep
from lerobot_core.testing.devices import check_values
from lerobot_core.testing.suite import Suite, copied, same


class ProcessorStepSuite(Suite):
    """Subclass it and give the fixture `step`, new for each check, and `given` where the step needs other features in front of it."""

    role: ClassVar[type] = ProcessorStep

    @pytest.fixture
    def step(self) -> Any:
        return self.part()

    @pytest.fixture
    def given(self) -> Mapping[str, Any]:
        return {"shoulder.pos": float, "elbow.pos": float, "gripper.pos": float, "front": (48, 64, 3)}

    def values(self, given: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """Values of these features; override where only some values make sense."""
        rng = np.random.default_rng(seed)
        out: dict[str, Any] = {}
        for key, shorthand in given.items():
            feature = features.of(shorthand)
            if feature.shape == ():
                out[key] = float(rng.uniform(-30, 30))
            elif feature.dtype.startswith("uint"):
                out[key] = rng.integers(0, 255, feature.shape).astype(feature.dtype)
            else:
                out[key] = rng.normal(size=feature.shape).astype(feature.dtype)
        return out

    def test_it_has_the_role(self, step: Any) -> None:
        """The loop and the feature checks use every method. Fix: add the one that isinstance misses."""
        assert isinstance(step, ProcessorStep)

    def test_its_features_tell_what_it_gives(self, step: Any, given: Any) -> None:
        """Recordings and policies are checked against these before anything moves. Fix: compute both from one rule."""
        before = dict(given)
        wanted = step.features(given)
        assert dict(given) == before, "the features given were changed"
        for seed in range(3):
            check_values(step(self.values(given, seed)), wanted)

    def test_the_values_given_are_not_changed(self, step: Any, given: Any) -> None:
        """Observations go to the viewer and to the policy too. Fix: return a new dict, and copy arrays before writing."""
        values = self.values(given, 0)
        kept = copied(values)
        step(values)
        assert same(values, kept)

    def test_reset_forgets(self, step: Any, given: Any) -> None:
        """An episode must not depend on the one before. Fix: put everything the step keeps back in `reset`."""
        step.reset()
        first = [copied(step(self.values(given, seed))) for seed in (0, 1)]
        step.reset()
        again = [step(self.values(given, seed)) for seed in (0, 1)]
        assert all(same(one, other) for one, other in zip(first, again, strict=True))

    def test_numbers_stay_numbers(self, step: Any, given: Any) -> None:
        """A NaN stops the robot in the guard, far from its cause. Fix: guard divisions and roots here."""
        zeros = {key: np.zeros_like(value) if np.ndim(value) else 0.0 for key, value in self.values(given, 0).items()}
        for key, value in step(zeros).items():
            assert np.all(np.isfinite(value)) if np.ndim(value) else math.isfinite(value), key

    def test_asking_for_features_changes_nothing(self, step: Any, given: Any) -> None:
        """They are asked for again by every check. Fix: keep nothing in `features`."""
        assert dict(step.features(given)) == dict(step.features(given))
        step.reset()
        first = copied(step(self.values(given, 0)))
        step.reset()
        step.features(given)
        assert same(step(self.values(given, 0)), first)

    def test_numbers_of_numpy_are_taken(self, step: Any, given: Any) -> None:
        """Policies and files give float32. Fix: compute with what comes; no isinstance(value, float)."""
        values = self.values(given, 0)
        small = {key: value if np.ndim(value) else np.float32(value) for key, value in values.items()}
        check_values(step(small), step.features(given))

    def test_a_missing_value_is_no_crash(self, step: Any, given: Any) -> None:
        """A camera that is unplugged is left out. Fix: do without it, or raise a LeRobotError that names it."""
        for key in given:
            values = self.values(given, 0)
            del values[key]
            with contextlib.suppress(LeRobotError):
                step(values)

    def test_it_works_on_its_own_dict(self, step: Any, given: Any) -> None:
        """What a step gives is changed by the next. Fix: keep no dict that was handed out."""
        first = step(self.values(given, 0))
        kept = copied(first)
        step(self.values(given, 1))
        assert same(first, kept), "a result changed at the next call"
