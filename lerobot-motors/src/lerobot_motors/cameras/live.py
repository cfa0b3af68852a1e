"""What cameras with a reading thread share: the three ways to read, the age of a picture, the counters.

A subclass says how to open and close its source and how to take one picture. Knows no library.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np

from lerobot_core.errors import DeviceError, NotConnected
from lerobot_motors.cameras.stream import FRESH_PERIODS, MAX_FAILURES, CameraHealth, Frame, FrameStream

#: Longest wait of `read` for the next picture [s].
READ_TIMEOUT = 10.0


class LiveConfig(Protocol):
    """The options every such camera has."""

    fps: float | None
    width: int | None
    height: int | None
    warmup_s: float
    max_age_s: float | None
    freeze_frames: int


class LiveCamera(ABC):
    """A camera whose pictures (H, W, 3) uint8 are read by a thread of their own.

    Attributes:
        name: the camera, for messages.
        stamp: when the last picture returned arrived, monotonic [ns].
    """

    max_failures = MAX_FAILURES

    def __init__(self, config: LiveConfig, name: str) -> None:
        self._live = config
        self.name = name
        self.fps, self.width, self.height = config.fps or 0.0, config.width or 0, config.height or 0
        self.stamp = 0
        self._stream: FrameStream | None = None
        self._returned = 0
        self._counted = CameraHealth(frames=0, dropped=0, failures=0)

    @property
    def is_connected(self) -> bool:
        return self._stream is not None

    @property
    def health(self) -> CameraHealth:
        """What arrived and what did not since the last connect."""
        return self._stream.health if self._stream is not None else self._counted

    def connect(self) -> None:
        """Open the source, start the reader, wait for the first picture.

        Raises:
            DeviceError: it cannot be opened, is another one, gives another size or rate than asked, or gives no picture.
        """
        if self.is_connected:
            raise DeviceError(f"camera '{self.name}' is connected already", device=self.name)
        try:
            self._open()
            self._start()
        except BaseException:
            self.disconnect()
            raise

    def read(self) -> np.ndarray:
        """The next picture (H, W, 3); waits for it up to 10 s."""
        stream = self._running()
        return self._take(stream.after(stream.number, READ_TIMEOUT))

    def async_read(self, timeout_ms: float = 200) -> np.ndarray:
        """The newest picture (H, W, 3) not returned before; waits at most `timeout_ms`.

        Raises:
            DeviceTimeout: none came.
        """
        return self._take(self._running().after(self._returned, timeout_ms / 1e3))

    def read_latest(self, max_age_ms: float | None = None) -> np.ndarray:
        """The newest picture (H, W, 3), returned before or not; waits for nothing.

        Raises:
            DeviceTimeout: it is older than `max_age_ms`, by default the `max_age_s` of the config or two periods.
        """
        return self._take(self._running().newest(self.max_age if max_age_ms is None else max_age_ms / 1e3))

    @property
    def max_age(self) -> float:
        """Age from which on a picture is refused [s]."""
        return FRESH_PERIODS / self.fps if self._live.max_age_s is None else self._live.max_age_s

    def disconnect(self) -> None:
        stream, self._stream = self._stream, None
        stopped = True
        if stream is not None:
            self._counted, stopped = stream.health, stream.stop()
        self._close(stopped)

    @abstractmethod
    def _open(self) -> None:
        """Open the source and set `width`, `height` and `fps` to what it gives."""

    @abstractmethod
    def _grab(self) -> np.ndarray | tuple[np.ndarray, np.ndarray | None] | None:
        """The next picture, or None when there was none; runs in the reader's thread."""

    @abstractmethod
    def _close(self, stopped: bool) -> None:
        """Close the source; `stopped` is False while the reader is still inside it."""

    def _lost(self) -> str:
        """Why the source is gone, where that can be told."""
        return ""

    def _warms_up(self) -> bool:
        return True

    def _freeze_frames(self) -> int:
        return self._live.freeze_frames

    def _start(self) -> None:
        self._returned = 0
        self._stream = stream = FrameStream(
            self.name,
            self._grab,
            period=1 / self.fps if self.fps > 0 else 0.0,
            freeze_frames=self._freeze_frames(),
            max_failures=self.max_failures,
            lost=self._lost,
        )
        stream.start()
        first = stream.after(0, READ_TIMEOUT)
        if self._live.warmup_s and self._warms_up():
            time.sleep(self._live.warmup_s)
        stream.watch()
        self._check_size(first.picture)
        self._returned = stream.number

    def _check_size(self, picture: np.ndarray) -> None:
        """What was asked for is what comes.

        Raises:
            DeviceError: it is not.
        """
        height, width = picture.shape[:2]
        if self.width and (width, height) != (self.width, self.height):
            raise DeviceError(
                f"camera '{self.name}': asked for {self.width} x {self.height}, it gives {width} x {height}",
                device=self.name,
                hint=f"ask for width: {width}, height: {height}",
            )
        self.width, self.height = width, height

    def _running(self) -> FrameStream:
        if self._stream is None:
            raise NotConnected(
                f"camera '{self.name}' is not connected", device=self.name, hint="call connect() before reading"
            )
        return self._stream

    def _take(self, frame: Frame) -> np.ndarray:
        self._check_size(frame.picture)
        self._returned, self.stamp = frame.number, frame.stamp
        return frame.picture
