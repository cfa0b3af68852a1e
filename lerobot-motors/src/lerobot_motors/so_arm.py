"""The joints of an SO-100 or SO-101, for what draws or emulates one. Data only."""

from __future__ import annotations

from lerobot_motors import catalogue
from lerobot_motors.calibration import Motor

JOINTS = catalogue.SIX


def motors(use_degrees: bool) -> dict[str, Motor]:
    """Servos 1 to 6; the gripper is in percent open whatever the joints are in."""
    row = catalogue.SO_FOLLOWER
    return catalogue.in_degrees(row.motors) if use_degrees else dict(row.motors)
