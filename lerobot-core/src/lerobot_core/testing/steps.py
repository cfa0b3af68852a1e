"""What a step of the control loop must do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core import features
from lerobot_core.roles import ProcessorStep
from lerobot_core.testing.robots import check_values
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
