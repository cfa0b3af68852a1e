"""What the conformance suite must know of the robot. `lr plugins --check {{ cookiecutter.name }}` runs it, and so do the tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from lerobot_core.testing import RobotSuite


class {{ cookiecutter.class_name }}RobotSuite(RobotSuite):
    """Its limits, and how to see whether its motors are powered."""

    limits: ClassVar[Mapping[str, tuple[float, float]]] = {"shoulder.pos": (-90.0, 90.0), "gripper.pos": (-90.0, 90.0)}

    def torque(self, robot: Any) -> bool:
        return bool(robot.motors.is_powered)
