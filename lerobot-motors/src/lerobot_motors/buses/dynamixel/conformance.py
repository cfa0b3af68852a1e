"""What the conformance suite of buses must know of Dynamixels: the manual's packets, on an emulated Koch arm."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from lerobot_core import roles
from lerobot_core.config import choose
from lerobot_motors import emulators
from lerobot_motors.calibration import Motor
from lerobot_motors.conformance import FeetechSuite

PORT = f"emulated://koch?name=conformance-koch-{os.getpid()}"
MOTORS = {
    "shoulder_pan": Motor(id=1, model="xl430-w250"),
    "shoulder_lift": Motor(id=2, model="xl430-w250"),
    "gripper": Motor(id=6, model="xl330-m288"),
}


class DynamixelSuite(FeetechSuite):
    """Packets as the manual of protocol 2.0 makes them: header, id, length, instruction, parameters, CRC."""

    roundtrips: ClassVar[dict[str, tuple[int, ...]]] = {
        "Goal_Position": (0, 4095, 2048),
        "Homing_Offset": (-1024, 1024, 1),
        "Position_P_Gain": (800, 1500),
    }
    too_large: ClassVar[dict[str, tuple[int, ...]]] = {
        "Goal_Position": (1 << 31, -(1 << 31) - 1),
        "Position_P_Gain": (1 << 16, -1),
    }
    packets = (
        (lambda bus: bus.ping("shoulder_pan"), bytes.fromhex("fffffd0001070002000002002151")),
        (
            lambda bus: bus.read("Present_Position", "shoulder_pan", normalize=False),
            bytes.fromhex("fffffd0001070002840004001d15"),
        ),
        (
            lambda bus: bus.write("Goal_Position", "shoulder_pan", 2048, normalize=False),
            bytes.fromhex("fffffd00010900037400000800004289"),
        ),
        (
            lambda bus: bus.sync_write("Goal_Position", {"shoulder_pan": 2048, "shoulder_lift": 2048}, normalize=False),
            bytes.fromhex("fffffd00fe1100837400040001000800000200080000684c"),
        ),
    )

    @pytest.fixture
    def bus(self) -> Iterator[Any]:
        port = emulators.open_port(PORT)
        bus = choose(roles.MotorBus, "dynamixel", port=PORT, motors=MOTORS).build()
        yield bus
        bus.disconnect(disable_torque=False)
        port.close()
