"""What the conformance suites must know of the steps and teleoperators on a desk: what they are given, and what they excuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from lerobot_core.testing import ProcessorStepSuite, TeleoperatorSuite
from lerobot_motors.processors.deltas import DELTAS, TARGETS
from lerobot_motors.processors.poses import DEGREES, GRIPPER_POS, GRIPPER_VEL, PERCENT, POSE, POSE_FEATURES

JOINTS = ("shoulder_pan.pos", "shoulder_lift.pos", "elbow_flex.pos", "wrist_flex.pos", "wrist_roll.pos")
#: what each step takes
GIVEN: dict[str, dict[str, Any]] = {
    "map_delta_action_to_robot_action": dict.fromkeys((*DELTAS, "gripper"), float),
    "ee_reference_and_delta": dict.fromkeys(("enabled", *TARGETS, "gripper_vel"), float),
    "ee_bounds_and_safety": dict(POSE_FEATURES),
    "gripper_velocity_to_joint": {GRIPPER_VEL: float},
    "inverse_kinematics_ee_to_joints": {**POSE_FEATURES, GRIPPER_POS: PERCENT},
    "forward_kinematics_joints_to_ee": {**dict.fromkeys(JOINTS, DEGREES), "gripper.pos": PERCENT},
}


class StepSuite(ProcessorStepSuite):
    """Steps between deltas and joints, told of an arm that stands in the middle of its travel."""

    @pytest.fixture
    def given(self) -> Mapping[str, Any]:
        return GIVEN[self.component.name]  # type: ignore[union-attr]

    @pytest.fixture
    def step(self) -> Any:
        step = self.part()
        if hasattr(step, "observe"):
            step.observe({**dict.fromkeys(JOINTS, 0.0), "gripper.pos": 50.0})
        return step

    def values(self, given: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """Poses in front of the arm that are near each other, as the loop gives them."""
        values = super().values(given, seed)
        rng = np.random.default_rng(seed)
        places = np.array([0.25, 0.0, 0.2, 0.0, 0.0, 0.0]) + rng.uniform(-0.01, 0.01, 6)
        return {**values, **{key: float(at) for key, at in zip(POSE, places, strict=True) if key in given}}


class DeskSuite(TeleoperatorSuite):
    """Keys and sticks, replayed from a script."""


class DeltaSuite(DeskSuite):
    """Those whose values are called as the ecosystem calls them."""

    @pytest.mark.xfail(
        reason="datasets and policies know delta_x, linear_velocity and gripper by these names", strict=True
    )
    def test_names_say_what_is_measured(self, device: Any) -> None:
        super().test_names_say_what_is_measured(device)
