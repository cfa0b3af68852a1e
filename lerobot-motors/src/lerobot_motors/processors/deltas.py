"""From what keys, sticks and phones give to the pose the gripper should have: steps of the loop, in the order they are used.

    delta_x … gripper → enabled, target_x …, gripper_vel → ee.x …, ee.gripper_vel → bounds → ee.gripper_pos → joints

Only these six names and what they stand for pass between the steps, so that a person may put another step in between.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lerobot_core.errors import DeviceError, FeatureError
from lerobot_motors.processors.chain import load, rotation
from lerobot_motors.processors.configs import DeltaConfig, GripperConfig, ReferenceConfig, SafetyConfig
from lerobot_motors.processors.poses import (
    GRIPPER_POS,
    GRIPPER_VEL,
    PERCENT,
    POSE,
    POSE_FEATURES,
    joints_of,
    pose_of,
    taken,
    values_of,
    without,
)

DELTAS = ("delta_x", "delta_y", "delta_z")
TARGETS = ("target_x", "target_y", "target_z", "target_wx", "target_wy", "target_wz")
#: What a teleoperator's `gripper` says: 0 closes, 1 stays, 2 opens.
STAY = 1.0


class DeltaToMovement:
    """Deltas of a keyboard or gamepad as a movement: enabled while something is pressed."""

    def __init__(self, config: DeltaConfig) -> None:
        self.config = config

    def reset(self) -> None:
        """It remembers nothing."""

    def features(self, features: Mapping[str, Any]) -> dict[str, Any]:
        for key in DELTAS:
            features[key]
        return {
            **without(features, *DELTAS, "gripper"),
            **dict.fromkeys(("enabled", *TARGETS, "gripper_vel"), float),
        }

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        moved = [
            delta * self.config.position_scale if abs(delta) > self.config.noise_threshold else 0.0
            for delta in taken(values, DELTAS)
        ]
        turned = dict.fromkeys(TARGETS[3:], 0.0)
        speed = float(values.get("gripper", STAY)) - STAY
        out = without(values, *DELTAS, "gripper")
        return {
            **out,
            "enabled": float(any(moved)),
            **dict(zip(TARGETS, moved, strict=False)),
            **turned,
            "gripper_vel": speed,
        }


class ReferenceAndDelta:
    """A movement as a pose, counted from where the gripper was when it began, or from the pose before.

    Nothing enabled leaves the last pose as it was, so that an arm that hangs down a little does not sink with every key.
    """

    def __init__(self, config: ReferenceConfig) -> None:
        self.config = config
        self._chain = load(config.urdf, config.target_frame_name)
        sizes = config.end_effector_step_sizes
        self._sizes = np.array([sizes.x, sizes.y, sizes.z])
        self._observed: np.ndarray | None = None
        self.reset()

    def reset(self) -> None:
        self._last: np.ndarray | None = None  # the pose asked for, and the one a movement counts from
        self._reference: np.ndarray | None = None

    def features(self, features: Mapping[str, Any]) -> dict[str, Any]:
        for key in ("enabled", *TARGETS):
            features[key]
        return {
            **without(features, "enabled", *TARGETS, "gripper_vel"),
            **POSE_FEATURES,
            GRIPPER_VEL: features["gripper_vel"],
        }

    def observe(self, observation: Mapping[str, Any]) -> None:
        self._observed = self._chain.forward(joints_of(observation, self._chain))

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        if self._observed is None:
            raise FeatureError("the step has not been told where the arm is", hint="call observe() first")
        enabled, *movement, speed = taken(values, ("enabled", *TARGETS, "gripper_vel"))
        last = self._observed if self._last is None else self._last
        if not enabled:
            self._reference = None
        else:
            if self._reference is None:  # the rising edge
                self._reference = self._near(last)
            start = self._reference if self.config.use_latched_reference else self._near(last)
            last = self._moved(start, np.array(movement))
        self._last = last
        return {**without(values, "enabled", *TARGETS, "gripper_vel"), **values_of(last), GRIPPER_VEL: speed}

    def _moved(self, start: np.ndarray, movement: np.ndarray) -> np.ndarray:
        pose = start.copy()
        pose[:3, 3] += movement[:3] * self._sizes
        pose[:3, :3] = start[:3, :3] @ rotation(movement[3:])
        return pose

    def _near(self, pose: np.ndarray) -> np.ndarray:
        """A pose, drawn to where the gripper is if it ran ahead: at a wall or a limit it must come back at once."""
        observed: Any = self._observed
        away = pose[:3, 3] - observed[:3, 3]
        distance = float(np.linalg.norm(away))
        if distance <= self.config.max_lead_m:
            return pose
        pose = pose.copy()
        pose[:3, 3] = observed[:3, 3] + away * (self.config.max_lead_m / distance)
        return pose


class BoundsAndSafety:
    """Keeps the pose in a box and refuses, or shortens, a jump."""

    def __init__(self, config: SafetyConfig) -> None:
        self.config = config
        self._low, self._high = (
            np.array(end) for end in (config.end_effector_bounds.min, config.end_effector_bounds.max)
        )
        self.reset()

    def reset(self) -> None:
        self._last: np.ndarray | None = None

    def features(self, features: Mapping[str, Any]) -> dict[str, Any]:
        for key in POSE:
            features[key]
        return dict(features)

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        pose = pose_of(values)
        place = np.clip(pose[:3, 3], self._low, self._high)
        if self._last is not None:
            place = self._within_reach(place, self._last)
        self._last = place
        return {**values, **dict(zip(POSE, place.tolist(), strict=False))}

    def _within_reach(self, place: np.ndarray, last: np.ndarray) -> np.ndarray:
        step = place - last
        distance, longest = math.sqrt(float(step @ step)), self.config.max_ee_step_m
        if distance <= longest:
            return place
        if self.config.on_jump == "refuse":
            raise DeviceError(
                f"the gripper is asked to move {distance * 1e3:.0f} mm in one turn, {longest * 1e3:.0f} mm are allowed",
                hint="nothing was sent; see what gave this action, or set max_ee_step_m or on_jump: shorten",
            )
        return last + step * (longest / distance)


class GripperVelocity:
    """The speed of a gripper as its opening, from where it was at first."""

    def __init__(self, config: GripperConfig) -> None:
        self.config = config
        self._key = f"{config.gripper}.pos"
        self._observed: float | None = None
        self.reset()

    def reset(self) -> None:
        self._opening: float | None = None

    def features(self, features: Mapping[str, Any]) -> dict[str, Any]:
        features[GRIPPER_VEL]
        return {**without(features, GRIPPER_VEL), GRIPPER_POS: PERCENT}

    def observe(self, observation: Mapping[str, Any]) -> None:
        (self._observed,) = taken(observation, [self._key])

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        opening = self._opening if self._opening is not None else self._observed
        if opening is None:
            raise FeatureError("the step has not been told how far the gripper is open", hint="call observe() first")
        (speed,) = taken(values, [GRIPPER_VEL])
        config = self.config
        self._opening = min(max(opening + speed * config.speed_factor, config.clip_min), config.clip_max)
        return {**without(values, GRIPPER_VEL), GRIPPER_POS: self._opening}
