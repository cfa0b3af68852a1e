"""Cameras in a simulated world around an emulated arm. The world draws in a process of its own; this reads its ring.

Knows no simulator: `lerobot_motors.envs` does.
"""

from __future__ import annotations

import time

import numpy as np

from lerobot_core.errors import DeviceError, DeviceTimeout, NotConnected
from lerobot_motors.cameras.configs import SimulatedConfig
from lerobot_motors.cameras.stream import CameraHealth
from lerobot_motors.envs.memory import Ring
from lerobot_motors.envs.view import OpenWorld, open_world

#: Longest wait of `read` for the next picture, and of `connect` for the first [s].
READ_TIMEOUT, FIRST_TIMEOUT = 10.0, 30.0
#: Between two looks at the ring [s].
_POLL = 0.0005


class SimulatedCamera:
    """Pictures (H, W, 3) uint8 of a world, stamped with the moment they show.

    Attributes:
        name: the camera, for messages.
        stamp: moment the last picture returned shows, monotonic [ns].
    """

    def __init__(self, config: SimulatedConfig) -> None:
        self.config = config
        self.name = f"{config.name} {config.view}"
        self.fps, self.width, self.height = config.fps, config.width, config.height
        self.stamp = 0
        self._world: OpenWorld | None = None
        self._ring: Ring | None = None
        self._returned = 0
        self._counted = CameraHealth(frames=0, dropped=0, failures=0)

    @property
    def is_connected(self) -> bool:
        return self._ring is not None

    @property
    def health(self) -> CameraHealth:
        """What arrived and what was dropped since the last connect."""
        ring = self._ring
        if ring is not None:
            frames, dropped = int(ring.state["newest"]), int(ring.state["dropped"])
            self._counted = CameraHealth(frames=frames, dropped=dropped, failures=0)
        return self._counted

    def connect(self) -> None:
        """Start the world or attach to it, and wait for the first picture.

        Raises:
            DeviceError: connected already; no such arm runs; the world does not start or cannot draw.
        """
        if self.is_connected:
            raise DeviceError(f"camera '{self.name}' is connected already", device=self.name)
        config = self.config
        self._world = open_world(config.name, config.seed)
        try:
            self._ring = Ring.ask(config.name, config.view, config.width, config.height, config.fps)
            self._returned = 0
            self._after(0, FIRST_TIMEOUT)
        except BaseException:
            self.disconnect()
            raise

    def read(self) -> np.ndarray:
        """The next picture (H, W, 3), which shows the world after this call; waits for it up to 10 s."""
        called = time.monotonic_ns()
        picture = self._after(int(self._running().state["newest"]), READ_TIMEOUT)
        while self.stamp < called:  # it was being drawn
            picture = self._after(self._returned, READ_TIMEOUT)
        return picture

    def async_read(self, timeout_ms: float = 200) -> np.ndarray:
        """The newest picture (H, W, 3) not returned before; waits at most `timeout_ms`.

        Raises:
            DeviceTimeout: none came.
        """
        return self._after(self._returned, timeout_ms / 1e3)

    def read_latest(self, max_age_ms: float | None = None) -> np.ndarray:
        """The newest picture (H, W, 3), returned before or not; waits for nothing.

        Raises:
            DeviceTimeout: it is older than `max_age_ms`, by default the `max_age_s` of the config.
        """
        allowed = self.config.max_age_s if max_age_ms is None else max_age_ms / 1e3
        picture = self._after(0, 0.0)
        age = (time.monotonic_ns() - self.stamp) / 1e9
        if age > allowed:
            raise self._late(f"the newest picture is {age * 1e3:.0f} ms old")
        return picture

    def disconnect(self) -> None:
        ring, world = self._ring, self._world
        _ = self.health  # what was counted stays
        self._ring = self._world = None
        if ring is not None:
            ring.path.unlink(missing_ok=True)
            ring.close()
        if world is not None:
            world.close()

    def _after(self, number: int, timeout: float) -> np.ndarray:
        """The newest picture, which comes after `number`."""
        deadline = time.monotonic() + timeout
        while True:
            ring = self._running()
            if ring.state["newest"] > number and (given := ring.newest()) is not None:
                self._returned, self.stamp, picture = given
                return picture
            if time.monotonic() >= deadline or ring.state["problem"]:
                raise self._late(f"no new picture within {timeout * 1e3:.0f} ms")
            time.sleep(_POLL)

    def _late(self, what: str) -> DeviceError:
        """Why there is no picture, as far as it can be told."""
        problem = bytes(self._running().state["problem"]).decode()
        if problem:
            return DeviceError(f"camera '{self.name}': {problem}", device=self.name, hint="see docs/simulation.md")
        if self._world is not None and not self._world.running:
            return DeviceError(f"camera '{self.name}': its world has ended", device=self.name, hint="connect again")
        return DeviceTimeout(
            f"camera '{self.name}': {what}",
            device=self.name,
            hint="drawing takes the processor: ask for smaller pictures or fewer, or allow more with max_age_s",
        )

    def _running(self) -> Ring:
        if self._ring is None:
            raise NotConnected(
                f"camera '{self.name}' is not connected", device=self.name, hint="call connect() before reading"
            )
        return self._ring
