"""Cameras, video files and streams through OpenCV's VideoCapture.

A file plays at its own rate and starts over at its end, so that it can stand in for a camera. Knows nothing of robots.
"""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path

import cv2
import numpy as np

from lerobot_core.clock import MonotonicClock, Rate
from lerobot_core.errors import DeviceError, NotConnected
from lerobot_motors.cameras.configs import OpencvConfig
from lerobot_motors.cameras.stream import Frame, FrameStream

#: Longest wait of `read` for the next picture [s].
READ_TIMEOUT = 10.0
ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, -90: cv2.ROTATE_90_COUNTERCLOCKWISE}

logger = logging.getLogger(__name__)
# a camera that does not open is said by the error; OpenCV's own lines for each backend it tried hide it
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)


class OpencvCamera:
    """A source that OpenCV opens: pictures (H, W, 3) uint8, read by a thread of their own."""

    def __init__(self, config: OpencvConfig) -> None:
        self.config = config
        self.name = str(config.index_or_path)
        self.fps = config.fps or 0.0
        self.width = config.width or 0
        self.height = config.height or 0
        self.stamp = 0
        self._file = Path(self.name).is_file()
        self._capture: cv2.VideoCapture | None = None
        self._stream: FrameStream | None = None
        self._rate: Rate | None = None
        self._returned = 0

    @property
    def is_connected(self) -> bool:
        return self._stream is not None

    def connect(self) -> None:
        """Open the source, check its size and rate, start the reader, wait for the first picture.

        Raises:
            DeviceError: it cannot be opened, gives another size or rate than asked, or gives no picture.
        """
        if self.is_connected:
            raise DeviceError(f"camera '{self.name}' is connected already", device=self.name)
        self._capture = self._open()
        try:
            self._settle(self._capture)
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

    def read_latest(self, max_age_ms: float = 500) -> np.ndarray:
        """The newest picture (H, W, 3), returned before or not; waits for nothing.

        Raises:
            DeviceTimeout: it is older than `max_age_ms`.
        """
        return self._take(self._running().newest(max_age_ms / 1e3))

    def disconnect(self) -> None:
        stream, self._stream = self._stream, None
        capture, self._capture = self._capture, None
        stopped = stream is None or stream.stop()
        if capture is not None and stopped:  # releasing a capture that another thread reads crashes OpenCV
            capture.release()
        elif not stopped:
            logger.warning("camera '%s' does not return from reading; it is left to the end of the process", self.name)

    def _open(self) -> cv2.VideoCapture:
        source = int(self.name) if self.name.isdecimal() else self.name
        capture = cv2.VideoCapture(source, self.config.backend)
        if not capture.isOpened():
            capture.release()
            raise DeviceError(
                f"camera '{self.name}' cannot be opened",
                device=self.name,
                hint="give index_or_path a device of /dev/v4l/by-id, and see that no other program holds it",
            )
        return capture

    def _settle(self, capture: cv2.VideoCapture) -> None:
        """Ask for format, size and rate, then take over what the source really gives."""
        config, turned = self.config, self.config.rotation in (90, -90)
        if config.fourcc:
            wanted = cv2.VideoWriter.fourcc(*config.fourcc)
            capture.set(cv2.CAP_PROP_FOURCC, wanted)
            if int(capture.get(cv2.CAP_PROP_FOURCC)) != wanted:
                logger.warning("camera '%s' does not give the pixel format %s", self.name, config.fourcc)
        if config.width and config.height:
            wide, high = (config.height, config.width) if turned else (config.width, config.height)
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, wide)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, high)
        if config.fps:
            capture.set(cv2.CAP_PROP_FPS, config.fps)
        wide, high = (round(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        width, height = (high, wide) if turned else (wide, high)
        fps = capture.get(cv2.CAP_PROP_FPS)
        if config.width and (width, height) != (config.width, config.height):
            hint = f"ask for width: {width}, height: {height}, or for another pixel format with fourcc: MJPG"
            raise self._refused(f"{config.width} x {config.height}", f"{width} x {height}", hint)
        if config.fps and not math.isclose(fps, config.fps, rel_tol=1e-3):
            hint = f"ask for fps: {fps:g}, or for another pixel format with fourcc: MJPG"
            raise self._refused(f"{config.fps:g} Hz", f"{fps:g} Hz", hint)
        self.width, self.height, self.fps = width, height, fps

    def _refused(self, asked: str, given: str, hint: str) -> DeviceError:
        return DeviceError(f"camera '{self.name}': asked for {asked}, it gives {given}", device=self.name, hint=hint)

    def _start(self) -> None:
        if self._file:
            if self.fps <= 0:
                raise DeviceError(f"camera '{self.name}': the file does not say its rate", device=self.name)
            self._rate = Rate(self.fps, MonotonicClock(spin=0.0))  # spinning would take time from the control loop
        self._returned = 0
        self._stream = FrameStream(self.name, self._grab, freeze_s=0.0 if self._file else self.config.freeze_s)
        self._stream.start()
        self._stream.after(0, READ_TIMEOUT)
        if not self._file:
            time.sleep(self.config.warmup_s)
        self._returned = self._stream.number

    def _grab(self) -> np.ndarray | None:
        """The next picture of the source; runs in the reader's thread."""
        capture = self._capture
        if capture is None:
            return None
        if self._rate is not None:
            self._rate.wait()
        given, picture = capture.read()
        if not given and self._file:
            capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            given, picture = capture.read()
        if not given:
            return None
        if self.config.color_mode == "rgb":
            picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        if self.config.rotation:
            picture = cv2.rotate(picture, ROTATIONS[self.config.rotation])
        return picture

    def _running(self) -> FrameStream:
        if self._stream is None:
            raise NotConnected(
                f"camera '{self.name}' is not connected", device=self.name, hint="call connect() before reading"
            )
        return self._stream

    def _take(self, frame: Frame) -> np.ndarray:
        self._returned, self.stamp = frame.number, frame.stamp
        return frame.picture
