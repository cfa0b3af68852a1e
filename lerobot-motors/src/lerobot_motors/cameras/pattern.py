"""A camera without hardware: picture n is a pure function of n and shows n, so that a test or a person can tell which
picture arrived where, also after lossy video.

The number stands in the upper quarter as 16 black or white cells, most significant bit first; below it a bar moves over
a gradient.
"""

from __future__ import annotations

import time

import numpy as np

from lerobot_core.clock import MonotonicClock, Rate
from lerobot_core.errors import DeviceTimeout, NotConnected
from lerobot_core.roles import Camera
from lerobot_motors.cameras.configs import PatternConfig
from lerobot_motors.cameras.live import LiveCamera
from lerobot_motors.cameras.stream import FRESH_PERIODS

BITS = 16


def draw(number: int, width: int, height: int) -> np.ndarray:
    """Picture `number` (modulo 65536) as (H, W, 3) uint8."""
    picture = np.empty((height, width, 3), np.uint8)  # (H, W, 3)
    picture[..., 0] = np.linspace(0, 255, width, dtype=np.uint8)
    picture[..., 1] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    picture[..., 2] = 64
    bar = number * 4 % width
    picture[height // 4 :, bar : bar + max(width // 32, 2)] = 255
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        picture[: height // 4, left:right] = 255 * (number >> (BITS - 1 - bit) & 1)
    return picture


def decode(picture: np.ndarray) -> int:
    """The number (modulo 65536) that a picture (H, W, 3) of this camera shows."""
    height, width = picture.shape[:2]
    number = 0
    for bit in range(BITS):
        middle = (2 * bit + 1) * width // (2 * BITS)
        cell = picture[height // 16 : height * 3 // 16, middle - 1 : middle + 1]
        number = number << 1 | int(cell.mean() > 127)
    return number


def pattern(config: PatternConfig) -> Camera:
    """The camera of these options: exact by the clock, or read by a thread like a real one where it has a fault."""
    return FaultyPattern(config) if config.faulty else PatternCamera(config)


class PatternCamera:
    """Pictures that show their number, on a grid of `fps` from the moment of connecting."""

    def __init__(self, config: PatternConfig) -> None:
        self.config = config
        self.name = "pattern"
        self.fps, self.width, self.height = config.fps, config.width, config.height
        self.stamp = 0
        self._clock = MonotonicClock(spin=0.0)
        self._period = round(1e9 / config.fps)
        self._began: int | None = None
        self._returned = -1

    @property
    def is_connected(self) -> bool:
        return self._began is not None

    def connect(self) -> None:
        self._began, self._returned = time.monotonic_ns(), -1

    def read(self) -> np.ndarray:
        """The next picture (H, W, 3); waits for it."""
        return self._take(self._newest() + 1)

    def async_read(self, timeout_ms: float = 200) -> np.ndarray:
        """The newest picture (H, W, 3) not returned before; waits at most `timeout_ms`.

        Raises:
            DeviceTimeout: the next one is due later than that.
        """
        newest = self._newest()
        index = newest if newest > self._returned else self._returned + 1
        if self._due(index) - time.monotonic_ns() > timeout_ms * 1e6:
            raise DeviceTimeout(
                f"camera '{self.name}': no new picture within {timeout_ms:g} ms at {self.fps:g} Hz", device=self.name
            )
        return self._take(index)

    def read_latest(self, max_age_ms: float | None = None) -> np.ndarray:
        """The newest picture (H, W, 3), returned before or not; waits for nothing.

        Raises:
            DeviceTimeout: it is older than `max_age_ms`, by default two periods.
        """
        index = self._newest()
        max_age_ms = FRESH_PERIODS / self.fps * 1e3 if max_age_ms is None else max_age_ms
        age = (time.monotonic_ns() - self._due(index)) / 1e6
        if age > max_age_ms:
            raise DeviceTimeout(f"camera '{self.name}': the newest picture is {age:.0f} ms old", device=self.name)
        return self._take(index)

    def disconnect(self) -> None:
        self._began = None

    def _newest(self) -> int:
        return (time.monotonic_ns() - self._running()) // self._period

    def _due(self, index: int) -> int:
        return self._running() + index * self._period

    def _running(self) -> int:
        if self._began is None:
            raise NotConnected(
                f"camera '{self.name}' is not connected", device=self.name, hint="call connect() before reading"
            )
        return self._began

    def _take(self, index: int) -> np.ndarray:
        self.stamp = self._due(index)
        self._clock.sleep_until(self.stamp)
        self._returned = index
        return draw(self.config.start + index, self.width, self.height)


class FaultyPattern(LiveCamera):
    """The same pictures from a source with faults, so that what a real camera does at its worst can be tried out."""

    def __init__(self, config: PatternConfig) -> None:
        super().__init__(config, "pattern")
        self.config = config
        self._open()

    def _open(self) -> None:
        self._count, self._rate = -1, Rate(self.config.fps, MonotonicClock(spin=0.0))

    def _grab(self) -> np.ndarray:
        config = self.config
        self._next()
        if config.drop and self._count % config.drop == config.drop - 1:
            self._next()
        if config.unplug and self._count >= config.unplug:
            raise OSError("it was unplugged")
        shown = min(self._count, config.freeze - 1) if config.freeze else self._count
        return draw(config.start + shown, config.width, config.height)

    def _next(self) -> None:
        self._count += 1
        self._rate.wait()
        time.sleep(self.config.slow_s)

    def _close(self, stopped: bool) -> None:
        """There is nothing to close."""
