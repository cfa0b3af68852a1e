"""What another process sees of a simulated world, and how it asks for a new cube."""

from __future__ import annotations

import time

import numpy as np

from lerobot_core.errors import DeviceTimeout, NotConnected
from lerobot_motors import emulators, shared_file
from lerobot_motors.envs import memory, scene
from lerobot_motors.sidecar import Sidecars

#: Longest a world may take to start and to obey [s].
START_TIMEOUT, PATIENCE = 60.0, 5.0

_children = Sidecars("lerobot_motors.envs.world", "simulated world", START_TIMEOUT)


class OpenWorld:
    """A running world this process uses."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._open = True

    @property
    def running(self) -> bool:
        return shared_file.running(memory.world_file(self.name))

    def close(self) -> None:
        """Done with it: it ends if this process started it and uses it no more. Idempotent."""
        if self._open:
            self._open = False
            _children.release(self.name)


def open_world(name: str = "so101", seed: int = 0) -> OpenWorld:
    """Attach to the world around the emulated arm of that name, or start it.

    Args:
        name: as in `emulated://so101?name=…`; the arm must be connected.
        seed: of the cube's first place, where it is started.

    Raises:
        NotConnected: no such arm runs, or the world does not start; the message says what it misses.
    """
    emulators.state(name).close()
    with shared_file.one_at_a_time():
        if not shared_file.running(memory.world_file(name)):
            _children.start(name, [name, f"--seed={seed}"])
        _children.use(name)
    return OpenWorld(name)


class WorldState:
    """A window on one world. Places are in m in the frame of `so101`: x forward, y left, z up, from the arm's base."""

    def __init__(self, name: str) -> None:
        path = memory.world_file(name)
        if not shared_file.running(path):
            raise NotConnected(
                f"no simulated world '{name}' is running",
                device=name,
                hint=f"connect a camera with type: simulated, name: {name}",
            )
        self.name = name
        self._path = path
        self._file = memory.World(path)
        self._state = self._file.state

    @property
    def cube(self) -> np.ndarray:
        """Middle of the cube (3,) [m]."""
        return np.array(self._state["cube"][:3])

    @property
    def turn(self) -> np.ndarray:
        """How the cube is turned (4,): quaternion w, x, y, z."""
        return np.array(self._state["cube"][3:])

    @property
    def zone(self) -> np.ndarray:
        """Middle of the zone (3,) [m]."""
        return np.array([*scene.ZONE, 0.0])

    @property
    def in_zone(self) -> bool:
        """Whether the cube lies in the zone, let go and still."""
        return bool(self._state["in_zone"])

    @property
    def joints(self) -> np.ndarray:
        """Where the simulated arm is (6,) [rad]; it follows the emulated servos as far as what it touches lets it."""
        return np.array(self._state["arm"])

    @property
    def tip(self) -> np.ndarray:
        """Tip of the fixed jaw (3,) [m]."""
        return np.array(self._state["tip"])

    @property
    def seed(self) -> int:
        """Of the cube's last place."""
        return int(self._state["seed"])

    @property
    def pid(self) -> int:
        """Of its process."""
        return int(self._state["pid"])

    @property
    def stamp(self) -> int:
        """The moment all this belongs to, monotonic [ns]."""
        return int(self._state["stamp"])

    @property
    def skipped(self) -> float:
        """Time the world left out because the machine stood still [s]."""
        return float(self._state["skipped_ns"]) / 1e9

    @property
    def running(self) -> bool:
        return shared_file.running(self._path)

    def reset(self, seed: int | None = None) -> None:
        """Put the cube where the seed says, by default the next one. It lies there when this returns.

        Raises:
            DeviceTimeout: the world does not obey.
        """
        self._state["seed"] = self.seed + 1 if seed is None else seed
        self._state["orders"] += 1
        deadline = time.monotonic() + PATIENCE
        while self._state["obeyed"] != self._state["orders"]:
            if time.monotonic() > deadline or not self.running:
                raise DeviceTimeout(f"simulated world '{self.name}' put no cube", hint="is it still running?")
            time.sleep(0.001)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


def state(name: str = "so101") -> WorldState:
    """The state of the running world around the emulated arm of that name.

    Raises:
        NotConnected: none runs.
    """
    return WorldState(name)
