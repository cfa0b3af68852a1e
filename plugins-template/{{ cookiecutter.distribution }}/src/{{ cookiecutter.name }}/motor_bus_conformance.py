"""What the conformance suite must know of the bus. `lr plugins --check {{ cookiecutter.name }}` runs it, and so do the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lerobot_core.testing import MotorBusSuite


class {{ cookiecutter.class_name }}MotorBusSuite(MotorBusSuite):
    """Registers with their extremes, and how a cable is pulled. Add `packets` from the datasheet of your servos."""

    roundtrips: ClassVar[Mapping[str, Sequence[int]]] = {
        "Homing_Offset": (-32768, 32767, -1),
        "Goal_Position": (0, 4095, 2048),
    }
    too_large: ClassVar[Mapping[str, Sequence[int]]] = {"Homing_Offset": (32768, -32769), "Goal_Position": (65536, -1)}
    torque_register = "Torque_Enable"

    def silence(self, bus: Any, motor: str) -> bool:
        bus.wire.unplugged.add(bus.motors[motor])
        return True
