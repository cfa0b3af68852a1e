"""What the conformance suites must know of the parts here: their limits, and how to look inside the emulated ones.

`lr plugins --check motors` runs them. Needs the extra `lerobot-core[testing]`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from lerobot_core import roles
from lerobot_core.config import choose
from lerobot_core.errors import DeviceTimeout
from lerobot_core.testing import MotorBusSuite, RobotSuite, TeleoperatorSuite
from lerobot_motors import emulators, so_arm

#: an emulated arm that nobody else on this machine is using
NAME = f"conformance-{os.getpid()}"
PORT = f"emulated://so101?name={NAME}"


@contextlib.contextmanager
def powered() -> Iterator[None]:
    """The emulated arm stays powered when what is tested lets go of its port."""
    port = emulators.open_port(PORT)
    yield
    port.close()


class SoFollowerSuite(RobotSuite):
    """An SO arm on the emulator, with a camera."""

    limits: ClassVar[dict[str, tuple[float, float]]] = {"gripper.pos": (0.0, 100.0), "elbow_flex.pos": (-180.0, 180.0)}

    @pytest.fixture(params=[True, False], ids=["release", "hold"])
    def robot(self, request: pytest.FixtureRequest) -> Iterator[Any]:
        kind = self.component.name if self.component else "so101_follower"
        camera = {"type": "pattern", "fps": 60.0, "width": 64, "height": 48}
        options = {"cameras": {"front": camera}, "disable_torque_on_disconnect": request.param}
        with powered():
            robot = choose(roles.Robot, kind, port=PORT, **options).build()
            yield robot
            robot.disconnect()

    def torque(self, robot: Any) -> bool:
        state = emulators.state(NAME)
        try:
            return bool(state.torque.any())
        finally:
            state.close()

    def devices(self, robot: Any) -> list[Any]:
        return [robot.bus, *robot.cameras.values()]


class SoLeaderSuite(TeleoperatorSuite):
    """An SO arm on the emulator, which its own motion stands in for a hand."""

    moves = True


class ScriptedLeaderSuite(TeleoperatorSuite):
    """The demo's leader, beside an emulated arm it can see."""

    @pytest.fixture
    def teleoperator(self) -> Iterator[Any]:
        with powered():
            yield choose(roles.Teleoperator, "scripted_leader", name=NAME).build()


class ScriptedPickerSuite(TeleoperatorSuite):
    """The picker, in a world around an emulated arm."""

    moves = True

    @pytest.fixture
    def teleoperator(self) -> Iterator[Any]:
        with powered():
            yield choose(roles.Teleoperator, "scripted_picker", name=NAME).build()


class Spoiler:
    """A serial port of which the next reply can be spoilt, and which remembers what was sent."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self.fault = ""
        self.written = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def send(self, packet: bytes) -> None:
        self.written += packet
        self._port.send(packet)

    def receive(self, deadline: float) -> bytes:
        data: bytes = self._port.receive(deadline)
        if not data or not self.fault:
            return data
        while len(data) < 8 and (more := self._port.receive(deadline)):  # a whole reply of two bytes
            data += more
        fault, self.fault = self.fault, ""
        if fault == "a flipped bit":
            return data[:5] + bytes([data[5] ^ 0x10]) + data[6:]
        if fault == "half a reply":
            return data[:4]
        return {"noise in front": b"\x00\xff\x13", "an echo": bytes(self.written[-8:])}[fault] + data


class FeetechSuite(MotorBusSuite):
    """Packets are the examples of the STS protocol manual: header, id, length, instruction, parameters, checksum."""

    roundtrips: ClassVar[dict[str, tuple[int, ...]]] = {
        "Goal_Position": (0, 4095, 2048),
        "Homing_Offset": (-2047, 2047, 1),
        "Max_Torque_Limit": (500, 1000),
    }
    too_large: ClassVar[dict[str, tuple[int, ...]]] = {"Goal_Position": (1 << 16,), "Max_Torque_Limit": (1 << 16, -1)}
    torque_register = "Torque_Enable"
    faults = ("a flipped bit", "half a reply", "noise in front", "an echo")
    packets = (
        (lambda bus: bus.ping("shoulder_pan"), bytes.fromhex("ffff0104020302f3")),
        (lambda bus: bus.read("Present_Position", "shoulder_pan", normalize=False), bytes.fromhex("ffff0104023802be")),
        (
            lambda bus: bus.write("Goal_Position", "shoulder_pan", 2048, normalize=False),
            bytes.fromhex("ffff0105032a0008c4"),
        ),
        (
            lambda bus: bus.sync_write("Goal_Position", {"shoulder_pan": 2048, "shoulder_lift": 2048}, normalize=False),
            bytes.fromhex("fffffe0a832a0201000802000835"),
        ),
    )

    @pytest.fixture
    def bus(self) -> Iterator[Any]:
        with powered():
            bus = choose(roles.MotorBus, "feetech", port=PORT, motors=so_arm.motors(use_degrees=True)).build()
            yield bus
            bus.disconnect(disable_torque=False)

    @pytest.fixture
    def connected(self, bus: Any) -> Any:
        """Torque off, which opens the EEPROM for writing."""
        bus.connect()
        bus.disable_torque()
        return bus

    def silence(self, bus: Any, motor: str) -> bool:
        with contextlib.suppress(DeviceTimeout):  # it acknowledges under its new id
            bus.write("ID", motor, 99, normalize=False)
        return True

    def spoiler(self, bus: Any) -> Spoiler:
        """The port of the bus, made to spoil replies."""
        if not isinstance(bus._wire.port, Spoiler):
            bus._wire.port = Spoiler(bus._wire.port)
        return bus._wire.port

    def spoil(self, bus: Any, fault: str) -> None:
        self.spoiler(bus).fault = fault

    def sent(self, bus: Any) -> bytes:
        spoiler = self.spoiler(bus)
        sent = bytes(spoiler.written)
        spoiler.written.clear()
        return sent
