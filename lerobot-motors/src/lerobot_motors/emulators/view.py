"""What another process sees of a running emulator, as numpy arrays on its shared memory."""

from __future__ import annotations

import numpy as np

from lerobot_core.errors import NotConnected
from lerobot_motors.emulators import memory
from lerobot_motors.emulators.memory import CAPACITY, Memory


class EmulatorState:
    """A window on one emulator; N is the number of its motors, in the order of their ids.

    Attributes:
        name: of the emulator.
        scene: (16,) float64, free for whatever processes want to tell each other; writable.
        hand: (N,) float64, where a hand moves the joints whose torque is off [ticks]; NaN lets go; writable.
    """

    def __init__(self, name: str) -> None:
        path = memory.location(name)
        if not memory.running(path):
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
    def stamp(self) -> int:
        """When the emulator last wrote, monotonic [ns]."""
        return self._memory.word("stamp")

    @property
    def running(self) -> bool:
        return memory.running(self._path)

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
