"""A camera without hardware that looks at the demo's scene: the emulated arm of a given name, and the goal.

A picture is drawn when it is asked for, from where the emulated servos are at that moment; what it shows is up to
`lerobot_motors.demo.picture`.
"""

from __future__ import annotations

import time

import numpy as np

from lerobot_core.errors import NotConnected
from lerobot_motors.cameras.configs import EmulatedConfig
from lerobot_motors.demo.picture import Painter
from lerobot_motors.demo.stage import Stage


class EmulatedCamera:
    """Pictures of an emulated arm and its goal; deterministic by seed, pose and goal."""

    def __init__(self, config: EmulatedConfig) -> None:
        self.config = config
        self.name = "emulated"
        self.fps, self.width, self.height = config.fps, config.width, config.height
        self.stamp = 0
        self._painter = Painter(config.view, config.width, config.height, config.seed)
        self._stage: Stage | None = None

    @property
    def is_connected(self) -> bool:
        return self._stage is not None

    def connect(self) -> None:
        self.disconnect()
        self._stage = Stage(self.config.name)

    def read(self) -> np.ndarray:
        """The next picture (H, W, 3), one period after the last; waits for it."""
        self._running()
        due = self.stamp + round(1e9 / self.fps)
        time.sleep(max(due - time.monotonic_ns(), 0) / 1e9)
        return self.async_read()

    def async_read(self, timeout_ms: float = 200) -> np.ndarray:
        """A picture (H, W, 3) of this moment; there is nothing to wait for."""
        stage = self._running()
        self.stamp = time.monotonic_ns()
        return self._painter.draw(stage.joints(), stage.goal)

    def read_latest(self, max_age_ms: float = 500) -> np.ndarray:
        """A picture (H, W, 3) of this moment."""
        return self.async_read()

    def disconnect(self) -> None:
        if self._stage is not None:
            self._stage.close()
            self._stage = None

    def _running(self) -> Stage:
        if self._stage is None:
            raise NotConnected(
                f"camera '{self.name}' is not connected", device=self.name, hint="call connect() before reading"
            )
        return self._stage
