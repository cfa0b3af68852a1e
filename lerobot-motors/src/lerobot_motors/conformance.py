"""What the conformance suites must know of the parts here: their limits, and how to look inside the emulated ones.

`lr plugins --check motors` runs them. Needs the extra `lerobot-core[testing]`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core import roles
from lerobot_core.config import choose
from lerobot_core.errors import DeviceTimeout
from lerobot_core.loop import connected, run_loop
from lerobot_core.testing import MotorBusSuite, RobotSuite, TeleoperatorSuite
from lerobot_motors import catalogue, emulators, envs

#: an emulated arm that nobody else on this machine is using
NAME = f"conformance-{os.getpid()}"
PORT = f"emulated://so101?name={NAME}"


@contextlib.contextmanager
def powered(*addresses: str) -> Iterator[None]:
    """The emulated arms stay powered when what is tested lets go of their ports."""
    ports = [emulators.open_port(address) for address in addresses or (PORT,)]
    yield
    for port in ports:
        port.close()


def own(options: Mapping[str, Any], **more: Any) -> tuple[dict[str, Any], list[str]]:
    """Options with emulators nobody else uses and, beside each, `more`; and the addresses of those emulators."""
    out, addresses = dict(options), []
    for key, value in options.items():
        if isinstance(value, Mapping):
            out[key], below = own(value, **more)
            addresses += below
        elif key == "port":
            chain, _, query = value.partition("?")
            kept = [part for part in query.split("&") if part and not part.startswith("name=")]
            name = next((part for part in query.split("&") if part.startswith("name=")), "name=").removeprefix("name=")
            out[key] = f"{chain}?{'&'.join([*kept, f'name={NAME}{name}'])}"
            addresses.append(out[key])
            out |= more
    return out, addresses


class Stage:
    """What runs on from check to check while none has moved its emulated arms: starting it takes longer than most checks."""

    def __init__(self) -> None:
        self._open = contextlib.ExitStack()
        self._given: Any = None
        self._before: list[tuple[emulators.EmulatorState, np.ndarray, np.ndarray]] = []

    def set(self, start: Callable[[], AbstractContextManager[Any]], names: list[str]) -> Any:
        """What `start` gives, which brings up the emulators of these names; the same as before where nothing has moved."""
        if not self._before or not all(self._as_it_was(*arm) for arm in self._before):
            self.close()
            self._given = self._open.enter_context(start())
            for name in names:
                state = emulators.state(name)
                self._open.callback(state.close)
                self._before.append((state, state.positions, state.torque))
        return self._given

    @staticmethod
    def _as_it_was(state: emulators.EmulatorState, positions: np.ndarray, torque: np.ndarray) -> bool:
        return bool(np.allclose(state.positions, positions, atol=0.5) and (state.torque == torque).all())

    def close(self) -> None:
        self._before.clear()
        self._open.close()


class Staged(RobotSuite):
    """Robots on emulated arms."""

    @pytest.fixture(scope="class")
    @classmethod
    def stage(cls) -> Iterator[Stage]:
        with contextlib.closing(Stage()) as stage:
            yield stage


class FollowerSuite(Staged):
    """Arms on their emulators, with a camera; joints are in percent of their range."""

    @property
    def limits(self) -> dict[str, tuple[float, float]]:  # type: ignore[override]
        """Those of the units: a gripper is in percent open."""
        arm = self.part()
        ends = {"range_0_100": (0.0, 100.0), "range_m100_100": (-100.0, 100.0)}
        modes = {f"{joint}.pos": motor.norm_mode for joint, motor in arm.bus.motors.items()}
        return {key: ends[modes[key]] for key in arm.action_features if modes.get(key) in ends}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Robots that release and that hold, for checks that let them stop; the others see no difference."""
        if "robot" in metafunc.fixturenames:
            stays = "connected" in metafunc.fixturenames
            metafunc.parametrize("robot", ["release"] if stays else ["release", "hold"], indirect=True)

    @pytest.fixture
    def robot(self, request: pytest.FixtureRequest, stage: Stage) -> Iterator[Any]:
        camera = {"type": "pattern", "fps": 60.0, "width": 64, "height": 48}
        options, addresses = own(self.component.example, disable_torque_on_disconnect=request.param == "release")
        self.names = [emulators.parse(address).name for address in addresses]
        stage.set(lambda: powered(*addresses), self.names)
        robot = choose(roles.Robot, self.component.name, **options | {"cameras": {"front": camera}}).build()
        yield robot
        robot.disconnect()

    def torque(self, robot: Any) -> bool:
        time.sleep(0.02)  # what an emulator shows is up to 5 ms old
        found = []
        for name in self.names:
            state = emulators.state(name)
            found.append(bool(state.torque.any()))
            state.close()
        return any(found)

    def devices(self, robot: Any) -> list[Any]:
        return [robot.bus, *robot.cameras.values()]


class SoFollowerSuite(FollowerSuite):
    """An SO arm on the emulator, with a camera; joints are in degrees."""

    limits: ClassVar[dict[str, tuple[float, float]]] = {"gripper.pos": (0.0, 100.0), "elbow_flex.pos": (-180.0, 180.0)}


class BimanualSuite(FollowerSuite):
    """Two SO arms on emulators, with a camera beside both."""

    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "left_gripper.pos": (0.0, 100.0),
        "right_elbow_flex.pos": (-180.0, 180.0),
    }

    def devices(self, robot: Any) -> list[Any]:
        return [robot.left.bus, robot.right.bus, *robot.cameras.values()]


class LekiwiSuite(FollowerSuite):
    """A LeKiwi on the emulator, with a camera."""

    limits: ClassVar[dict[str, tuple[float, float]]] = {"arm_gripper.pos": (0.0, 100.0)}


class LekiwiClientSuite(Staged):
    """A LeKiwi at the other end of this computer's own network."""

    @pytest.fixture
    def robot(self, stage: Stage) -> Iterator[Any]:
        picture = {"fps": 30.0, "width": 64, "height": 48, "type": "pattern"}
        port = f"emulated://lekiwi?name={NAME}-host"
        stage.set(lambda: powered(port), [f"{NAME}-host"])
        with hosted(port=port, cameras={"front": picture}) as ports:
            options = dict(zip(("port_zmq_cmd", "port_zmq_observations"), ports, strict=True))
            cameras = {"cameras": {"front": picture}}
            yield choose(roles.Robot, "lekiwi_client", remote_ip="127.0.0.1", **options, **cameras).build()


@contextlib.contextmanager
def hosted(**options: Any) -> Iterator[tuple[int, int]]:
    """The two ports at which an emulated LeKiwi can be driven."""
    from lerobot_motors.robots.lekiwi_host import Host, HostConfig  # optional: the component says what it needs

    with contextlib.ExitStack() as taken:
        sockets = [taken.enter_context(socket.socket()) for _ in range(2)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        commands, observations = (one.getsockname()[1] for one in sockets)
    config = HostConfig(port_zmq_cmd=commands, port_zmq_observations=observations)
    robot = choose(roles.Robot, "lekiwi", **options).build()
    host, over = Host(config, robot.action_features), threading.Event()
    with connected(robot), contextlib.closing(host):
        loop = threading.Thread(
            target=run_loop, args=(robot, host), kwargs={"fps": 30, "sinks": [host], "stop": over.is_set}
        )
        loop.start()
        yield commands, observations
        over.set()
        loop.join()


class SprungLeaderSuite(TeleoperatorSuite):
    """An arm on the emulator whose gripper holds itself open; the emulators run for all checks."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def emulated(cls) -> Iterator[None]:
        _, addresses = own(cls.component.example)
        with powered(*addresses):
            yield

    @pytest.fixture
    def teleoperator(self) -> Any:
        options, _ = own(self.component.example)
        return choose(roles.Teleoperator, self.component.name, **options).build()


class LekiwiLeaderSuite(SprungLeaderSuite):
    """A leader arm on the emulator, beside a base that stands still."""


class LeaderSuite(SprungLeaderSuite):
    """Arms on their emulators, whose own motion stands in for a hand."""

    moves = True


class ScriptedLeaderSuite(TeleoperatorSuite):
    """The demo's leader, beside an emulated arm it can see."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def emulated(cls) -> Iterator[None]:
        with powered():
            yield

    @pytest.fixture
    def teleoperator(self) -> Any:
        return choose(roles.Teleoperator, self.component.name, name=NAME).build()


class ScriptedPickerSuite(ScriptedLeaderSuite):
    """The picker, in a world around an emulated arm; both stay while what is tested comes and goes."""

    moves = True

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def emulated(cls) -> Iterator[None]:
        with powered(), contextlib.closing(envs.open_world(NAME)):
            yield


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
            bus = choose(
                roles.MotorBus, "feetech", port=PORT, motors=catalogue.SO_FOLLOWER.in_units(use_degrees=True).motors
            ).build()
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
