"""What another process sees of a running emulator, as numpy arrays on its shared memory."""

from __future__ import annotations

import time

import numpy as np

from lerobot_core.errors import ConfigError, DeviceTimeout, NotConnected
from lerobot_motors import shared_file
from lerobot_motors.emulators import faults, memory
from lerobot_motors.emulators.memory import CAPACITY, ORDER_SIZE, Memory

#: Longest an emulator may take to obey [s].
PATIENCE = 2.0


class EmulatorState:
    """A window on one emulator; N is the number of its motors, in the order of their ids.

    Attributes:
        name: of the emulator.
        scene: (16,) float64, free for whatever processes want to tell each other; writable.
        hand: (N,) float64, where a hand moves the joints whose torque is off [ticks]; NaN lets go; writable.
    """

    def __init__(self, name: str) -> None:
        path = memory.location(name)
        if not shared_file.running(path):
            raise NotConnected(
                f"no emulator '{name}' is running",
                device=name,
                hint=f"connect a device to emulated://so101?name={name}",
            )
        self.name = name
        self._path = path
        self._memory = Memory(path)
        self._motors = self._memory.word("motors")
        self.scene = self._array("scene", CAPACITY)
        self.hand = self._array("hand", self._motors)
        self._positions = self._array("positions", self._motors)
        self._goals = self._array("goals", self._motors)
        self._torque = self._array("torque", self._motors)
        self._loads = self._array("loads", self._motors)
        self._status = self._array("status", self._motors)

    @property
    def positions(self) -> np.ndarray:
        """Where the joints are (N,) float64 [ticks]."""
        return self._positions.copy()

    @property
    def goals(self) -> np.ndarray:
        """Where they were last told to go (N,) float64 [ticks]."""
        return self._goals.copy()

    @property
    def torque(self) -> np.ndarray:
        """Which joints hold (N,) bool."""
        return self._torque != 0

    @property
    def loads(self) -> np.ndarray:
        """What their motors do (N,) float64 [‰ of their torque]."""
        return self._loads.copy()

    @property
    def status(self) -> np.ndarray:
        """The fault bits of each servo (N,) int64."""
        return self._status.astype(np.int64)

    @property
    def heard(self) -> int:
        """How many instructions it has heard."""
        return self._memory.word("heard")

    @property
    def device(self) -> str:
        """Path of its port; empty while it is unplugged."""
        return self._memory.device

    @property
    def stamp(self) -> int:
        """When the emulator last wrote, monotonic [ns]."""
        return self._memory.word("stamp")

    @property
    def running(self) -> bool:
        return shared_file.running(self._path)

    def inject(self, text: str) -> None:
        """Let faults begin, as in `dead:id=3:for=1`; `at` and `cycle` count from now. They have begun when it returns.

        Raises:
            ConfigError: the text says something unknown.
            DeviceTimeout: the emulator does not obey.
        """
        faults.parse(text)
        if len(text.encode()) > ORDER_SIZE:
            raise ConfigError(
                f"faults for '{self.name}': at most {ORDER_SIZE} bytes at a time, got {len(text.encode())}"
            )
        self._memory.order = text
        deadline = time.monotonic() + PATIENCE
        while self._memory.word("obeyed") != self._memory.word("orders"):
            if time.monotonic() > deadline or not self.running:
                raise DeviceTimeout(f"emulator '{self.name}' took no faults", hint="is it still running?")
            time.sleep(0.001)

    def close(self) -> None:
        """Give the file back."""
        self._memory.close()

    def _array(self, block: str, count: int) -> np.ndarray:
        return np.frombuffer(self._memory.map, np.float64, count, Memory.offset(block))


def state(name: str = "so101") -> EmulatorState:
    """The state of the running emulator of that name.

    Raises:
        NotConnected: none runs.
    """
    return EmulatorState(name)
