"""Intel RealSense cameras: colour, depth in millimetres, or both from one moment. Knows Intel's library by a small seam."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lerobot_core.errors import ConfigError
from lerobot_motors.cameras import realsense_sdk
from lerobot_motors.cameras.configs import RealsenseConfig
from lerobot_motors.cameras.live import LiveCamera
from lerobot_motors.cameras.realsense_sdk import Pipeline

#: Time the library is given for the next picture before that counts as a failure [ms].
WAIT_MS = 200


class RealsenseCamera(LiveCamera):
    """A RealSense; `read` gives its colour, or its depth where colour is off.

    Args:
        config: its options.
        start: opens the camera; Intel's library unless a test gives another.
    """

    def __init__(
        self, config: RealsenseConfig, *, start: Callable[[RealsenseConfig], Pipeline] = realsense_sdk.start
    ) -> None:
        super().__init__(config, config.serial_number_or_name)
        self.config = config
        self.use_rgb, self.use_depth = config.use_rgb, config.use_depth
        self._start_pipeline = start
        self._pipeline: Pipeline | None = None
        self._turns = -config.rotation // 90  # numpy turns counter-clockwise

    def read_latest_depth(self, max_age_ms: float | None = None) -> np.ndarray:
        """The newest depth (H, W, 1) uint16 [mm], returned before or not; waits for nothing.

        Raises:
            DeviceTimeout: it is older than `max_age_ms`, by default the `max_age_s` of the config or two periods.
            ConfigError: this camera was opened without depth.
        """
        depth = self.read_both(max_age_ms)[1]
        if depth is None:
            raise ConfigError(f"camera '{self.name}' was opened without depth", hint="set use_depth")
        return depth

    def read_both(self, max_age_ms: float | None = None) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Colour (H, W, 3) and depth (H, W, 1) [mm] of one moment, None for what is off; waits for nothing.

        Raises:
            DeviceTimeout: they are older than `max_age_ms`, by default the `max_age_s` of the config or two periods.
        """
        frame = self._running().newest(self.max_age if max_age_ms is None else max_age_ms / 1e3)
        picture = self._take(frame)
        return (picture, frame.depth) if self.use_rgb else (None, frame.depth)

    def _open(self) -> None:
        self._pipeline = self._start_pipeline(self.config)
        given = self._pipeline.given
        turned = self.config.rotation in (90, -90)
        self.width, self.height = (given.height, given.width) if turned else (given.width, given.height)
        self.fps = given.fps

    def _grab(self) -> tuple[np.ndarray, np.ndarray | None] | None:
        if self._pipeline is None or (given := self._pipeline.wait(WAIT_MS)) is None:
            return None
        colour, depth = given
        if (self.use_rgb and colour is None) or (self.use_depth and depth is None):
            return None
        if colour is not None:
            colour = self._turned(colour if self.config.color_mode == "rgb" else colour[..., ::-1])
        if depth is not None and self.use_depth:
            millimetres = np.round(depth * self._pipeline.given.depth_step_mm).clip(0, 65535)
            depth = self._turned(millimetres.astype(np.uint16)[..., None])  # (H, W, 1)
        else:
            depth = None
        seen = colour if self.use_rgb else depth
        return None if seen is None else (seen, depth)

    def _turned(self, picture: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.rot90(picture, self._turns))

    def _close(self, stopped: bool) -> None:
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.stop()
