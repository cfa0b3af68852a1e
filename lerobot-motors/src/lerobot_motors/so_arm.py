"""The SO-100 and SO-101: their servos and what users see of them. Data only; follower and leader have the same."""

from __future__ import annotations

from collections.abc import Mapping

from lerobot_core.features import Feature
from lerobot_motors.calibration import Motor
from lerobot_motors.units import UNITS

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
#: Turns all the way round: its range is not recorded.
FULL_TURN = ("wrist_roll",)


def motors(use_degrees: bool) -> dict[str, Motor]:
    """Servos 1 to 6; the gripper is in percent open whatever the joints are in."""
    body = "degrees" if use_degrees else "range_m100_100"
    return {
        name: Motor(id=number, model="sts3215", norm_mode="range_0_100" if name == "gripper" else body)
        for number, name in enumerate(JOINTS, start=1)
    }


def features(motors: Mapping[str, Motor]) -> dict[str, Feature]:
    """A position per joint, in the unit of its norm mode: a leader in percent must not drive a follower in degrees."""
    return {
        f"{name}.pos": Feature(dtype="float32", shape=(), unit=UNITS[motor.norm_mode]) for name, motor in motors.items()
    }
