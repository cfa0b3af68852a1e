"""Joints to the pose of the gripper and back, as steps of the loop.

A pose in a dict is `ee.x`, `ee.y`, `ee.z` [m] and the rotation vector `ee.wx`, `ee.wy`, `ee.wz` [rad], in the robot's base
frame; joints are in degrees.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from lerobot_core.errors import FeatureError
from lerobot_core.features import Feature
from lerobot_motors.processors.chain import Chain, load, rotation, rotation_vector
from lerobot_motors.processors.configs import KinematicsConfig

POSE = ("ee.x", "ee.y", "ee.z", "ee.wx", "ee.wy", "ee.wz")
POSE_FEATURES = {key: Feature(dtype="float32", shape=(), unit="rad" if "w" in key else "m") for key in POSE}
GRIPPER_POS, GRIPPER_VEL = "ee.gripper_pos", "ee.gripper_vel"
PERCENT = Feature(dtype="float32", shape=(), unit="%")
DEGREES = Feature(dtype="float32", shape=(), unit="deg")
#: A pose that the arm misses by more than this is worth a line in the log [m].
MISS = 0.005

logger = logging.getLogger(__name__)


def pose_of(values: Mapping[str, Any]) -> np.ndarray:
    """The pose (4, 4) in a dict."""
    x, y, z, *turn = taken(values, POSE)
    pose = np.eye(4)
    pose[:3, 3], pose[:3, :3] = (x, y, z), rotation(np.array(turn))
    return pose


def values_of(pose: np.ndarray) -> dict[str, float]:
    """A pose (4, 4) as it stands in a dict."""
    return dict(zip(POSE, (*pose[:3, 3].tolist(), *rotation_vector(pose[:3, :3]).tolist()), strict=True))


def joints_of(values: Mapping[str, Any], chain: Chain) -> np.ndarray:
    """The chain's joints (J,) [rad] in a dict of degrees."""
    return np.radians(taken(values, [f"{name}.pos" for name in chain.names]))


def taken(values: Mapping[str, Any], keys: Any) -> list[float]:
    """The numbers of these keys.

    Raises:
        FeatureError: one is missing.
    """
    try:
        return [float(values[key]) for key in keys]
    except KeyError as missing:
        raise FeatureError(
            f"kinematics need {missing}, found {', '.join(values) or 'nothing'}",
            hint="the robot's description and the robot have different joints, or a step before this one is missing",
        ) from missing


def without(values: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}


def check_degrees(features: Mapping[str, Any], chain: Chain) -> None:
    """The joints are there, and not in percent.

    Raises:
        KeyError: one is missing.
        FeatureError: one has another unit.
    """
    for name in chain.names:
        unit = getattr(features[f"{name}.pos"], "unit", "")
        if unit not in ("", "deg"):
            raise FeatureError(f"kinematics need '{name}.pos' in deg, it is in {unit}", hint="set use_degrees: true")


class ForwardKinematics:
    """Adds the pose of the gripper to the joints it follows from."""

    def __init__(self, config: KinematicsConfig) -> None:
        self._chain = load(config.urdf, config.target_frame_name)
        self._gripper = f"{config.gripper}.pos"

    def features(self, features: Mapping[str, Any]) -> dict[str, Any]:
        check_degrees(features, self._chain)
        return {**features, **POSE_FEATURES, GRIPPER_POS: features[self._gripper]}

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        pose = self._chain.forward(joints_of(values, self._chain))
        (gripper,) = taken(values, [self._gripper])
        return {**values, **values_of(pose), GRIPPER_POS: gripper}

    def reset(self) -> None:
        """It remembers nothing."""


class InverseKinematics:
    """Gives the joints for the pose of the gripper, and its opening. A place out of reach gives the nearest one in reach.

    Each turn starts from the joints of the last, so that the arm does not change from elbow up to elbow down; the first one
    from where the arm is.
    """

    def __init__(self, config: KinematicsConfig) -> None:
        self._chain = load(config.urdf, config.target_frame_name)
        self._gripper = f"{config.gripper}.pos"
        self._joints = [f"{name}.pos" for name in self._chain.names]
        self._observed: np.ndarray | None = None
        self.reset()

    def reset(self) -> None:
        self._last: np.ndarray | None = None
        self._missed = False

    def features(self, features: Mapping[str, Any]) -> dict[str, Any]:
        gripper = features[GRIPPER_POS]
        for key in POSE:
            features[key]
        return {
            **without(features, *POSE, GRIPPER_POS),
            **dict.fromkeys(self._joints, DEGREES),
            self._gripper: gripper,
        }

    def observe(self, observation: Mapping[str, Any]) -> None:
        if self._last is None:
            self._observed = joints_of(observation, self._chain)

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        start = self._last if self._last is not None else self._observed
        if start is None:
            raise FeatureError("inverse kinematics has not been told where the arm is", hint="call observe() first")
        (gripper,) = taken(values, [GRIPPER_POS])
        solution = self._chain.inverse(pose_of(values), start)
        missed = solution.distance > MISS
        if missed and not self._missed:
            logger.warning(
                "the gripper is asked for %.0f mm beyond where the arm reaches; it stays within",
                solution.distance * 1e3,
            )
        self._last, self._missed = solution.joints, missed
        degrees = np.degrees(solution.joints).tolist()
        return {
            **without(values, *POSE, GRIPPER_POS),
            **dict(zip(self._joints, degrees, strict=True)),
            self._gripper: gripper,
        }
