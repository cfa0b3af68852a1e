"""Every kind of part on something that stands in for its hardware, and what can go wrong there.

A bench gives a new part as a robot that a loop can run, and lets a fault begin while it runs. A serial arm is on its emulator; a
camera, a pad or a computer at the other end of a network is played by a few lines here.
"""

from __future__ import annotations

import contextlib
import os
import pty
import random
import signal
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest.mock import patch

from lerobot_core import roles
from lerobot_core.components import Component
from lerobot_core.config import choose
from lerobot_motors import emulators, envs, shared_file
from lerobot_motors.emulators import memory, profiles
from lerobot_motors.emulators.faults import KINDS

FPS = 50.0
#: How long a fault lasts that is over at some time [s].
LASTS = 0.3


class Held:
    """A leader as a robot that cannot be moved: what it gives is observed, and what it is sent is nothing."""

    def __init__(self, leader: Any) -> None:
        self._leader, self.name, self.on_stop = leader, leader.name, "hold"
        self.action_features: dict[str, Any] = {}
        self.observation_features = leader.action_features
        self.connect, self.disconnect = leader.connect, leader.disconnect

    @property
    def is_connected(self) -> bool:
        return bool(self._leader.is_connected)

    def get_observation(self) -> dict[str, Any]:
        action, stamp = self._leader.get_action(), getattr(self._leader, "stamp", None)
        getattr(self._leader, "get_events", dict)()  # as the loop asks it
        return {**action, "stamps": dict.fromkeys(action, stamp if stamp is not None else time.monotonic_ns())}

    def send_action(self, action: Mapping[str, float]) -> dict[str, float]:
        return dict(action)


class Driven:
    """A bus as a robot whose joints are its servos, in ticks."""

    def __init__(self, bus: Any) -> None:
        self._bus, self.name, self.on_stop = bus, "bus", "release"
        self.disconnect = bus.disconnect
        self.action_features = self.observation_features = {f"{motor}.pos": float for motor in bus.motors}

    @property
    def is_connected(self) -> bool:
        return bool(self._bus.is_connected)

    def connect(self) -> None:
        bus = self._bus
        bus.connect()
        bus.sync_write("Goal_Position", bus.sync_read("Present_Position", normalize=False), normalize=False)
        bus.enable_torque()

    def get_observation(self) -> dict[str, Any]:
        readings = self._bus.latest("Present_Position", normalize=False)
        values = {f"{motor}.pos": reading.value for motor, reading in readings.items()}
        return {**values, "stamps": {f"{motor}.pos": reading.stamp for motor, reading in readings.items()}}

    def send_action(self, action: Mapping[str, float]) -> dict[str, float]:
        goals = {key.removesuffix(".pos"): round(value) for key, value in action.items()}
        self._bus.sync_write("Goal_Position", goals, normalize=False)
        return dict(action)


class Watched(Held):
    """A camera as a robot that only sees."""

    def __init__(self, camera: Any) -> None:
        self._camera, self.name, self.on_stop = camera, camera.name, "hold"
        self.action_features, self.observation_features = {}, {}
        self.connect, self.disconnect = camera.connect, camera.disconnect

    @property
    def is_connected(self) -> bool:
        return bool(self._camera.is_connected)

    def get_observation(self) -> dict[str, Any]:
        picture = self._camera.read_latest()
        return {"picture": picture, "stamps": {"picture": self._camera.stamp}}


AS_ROBOT: dict[type, Callable[[Any], Any]] = {
    roles.Robot: lambda robot: robot,
    roles.Teleoperator: Held,
    roles.MotorBus: Driven,
    roles.Camera: Watched,
}


class Bench:
    """One type, and what can go wrong with it.

    Attributes:
        faults: what `strike` can bring about.
        ends: those a run may not go on with.
        options: how the part is built.
        age_ms: how old a value may be a while after a fault [ms].
    """

    faults: tuple[str, ...] = ()
    ends: frozenset[str] = frozenset()
    age_ms = 1e3 / FPS

    def __init__(self, role: type, component: Component) -> None:
        self.role, self.component = role, component
        self.options: dict[str, Any] = dict(component.example)

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """What it needs around it, as long as it is used."""
        yield

    def build(self, fault: str = "") -> Any:
        """A new part as a robot; `fault` will happen to it."""
        return AS_ROBOT[self.role](choose(self.role, self.component.name, **self.options).build())

    def strike(self, fault: str) -> None:
        """Let a fault begin, now."""


# --- emulators --------------------------------------------------------------------------------------------------------


def emulator_of(example: Mapping[str, Any]) -> emulators.address.Address | None:
    """The emulator that faults are given to: the only one, or the left one."""
    for value in example.values():
        if isinstance(value, str) and emulators.is_emulated(value):
            return emulators.parse(value)
        if isinstance(value, Mapping) and (found := emulator_of(value)):
            return found
    return None


class Serial(Bench):
    """Servos on a wire."""

    faults = tuple(KINDS)

    def strike(self, fault: str) -> None:
        """It happens to the first servo, or to all replies and the line."""
        address, kind = emulator_of(self.options), KINDS[fault]
        target = f":id={profiles.CHAINS[address.chain][0].id}" if kind.hits != "line" else ""
        if fault in ("drop", "corrupt"):
            target = ":rate=0.3"
        state = emulators.state(address.name)
        state.inject(f"{fault}{target}" + ("" if kind.once else f":for={LASTS}"))
        state.close()


def kill(name: str) -> None:
    """End an emulator as a crash would."""
    found = memory.Memory(memory.location(name))
    os.kill(found.word("pid"), signal.SIGKILL)
    found.close()
    while shared_file.running(memory.location(name)):
        time.sleep(0.001)


class BesideArm(Bench):
    """What looks at an emulated arm and has no wire to it."""

    faults = ("the arm ends",)
    ends = frozenset(faults)
    age_ms = 200.0

    def __init__(self, role: type, component: Component) -> None:
        super().__init__(role, component)
        if role is roles.Camera:
            self.options |= {"width": 160, "height": 120}

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        name = self.options["name"]
        arm = emulators.open_port(f"emulated://so101?name={name}")
        yield
        arm.close()

    def strike(self, fault: str) -> None:
        kill(self.options["name"])


class InWorld(BesideArm):
    """What is in a simulated world around an emulated arm."""

    faults = ("the world ends", "the world stands still")
    ends = frozenset({"the world ends"})

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        with super().open(), contextlib.closing(envs.open_world(self.options["name"])):
            yield

    def strike(self, fault: str) -> None:
        world = envs.state(self.options["name"])
        pid = world.pid
        world.close()
        if fault == "the world ends":
            os.kill(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGSTOP)
            threading.Timer(LASTS, os.kill, (pid, signal.SIGCONT)).start()


# --- desks ------------------------------------------------------------------------------------------------------------


class Desk(Bench):
    """What a person holds: its bytes come through a pty that is written to here."""

    faults = ("unplugged", "noise", "flood", "a byte at a time")
    ends = frozenset({"unplugged"})
    #: what says something to the part
    sentence = b"w\x1b[A\x1b[5~o"

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        self._slave = os.ttyname(slave)
        self._plug_in()
        try:
            with open(slave) as terminal, patch.object(sys, "stdin", terminal):
                yield
        finally:
            if self._master >= 0:
                os.close(self._master)

    def _plug_in(self) -> None:
        """As in `lr teleoperate`, the standard input is the person's terminal."""
        self.options = {}

    def strike(self, fault: str) -> None:
        if fault == "unplugged":
            os.close(self._master)
            self._master = -1
        elif fault == "noise":
            os.write(self._master, random.Random(1).randbytes(400))
        elif fault == "flood":
            os.write(self._master, self.sentence * 100)
        else:
            for at in range(len(self.sentence)):
                os.write(self._master, self.sentence[at : at + 1])
                time.sleep(0.001)


class Pad(Desk):
    """A pad whose events come through a pty."""

    sentence = bytes.fromhex("01000000ff7f0201" + "02000000010001 03".replace(" ", ""))

    def _plug_in(self) -> None:
        self.options = {"device": self._slave}
