"""Cameras, video files and streams through OpenCV's VideoCapture.

A file plays at its own rate and starts over at its end, so that it can stand in for a camera. Knows nothing of robots.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path

import cv2
import numpy as np

from lerobot_core.clock import MonotonicClock, Rate
from lerobot_core.errors import DeviceError
from lerobot_motors.cameras import identity
from lerobot_motors.cameras.configs import OpencvConfig
from lerobot_motors.cameras.live import LiveCamera

ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, -90: cv2.ROTATE_90_COUNTERCLOCKWISE}
#: Value of CAP_PROP_AUTO_EXPOSURE that means "by hand": V4L2_EXPOSURE_MANUAL of the Linux kernel, 0.25 elsewhere.
MANUAL_EXPOSURE = {cv2.CAP_V4L2: 1.0}

logger = logging.getLogger(__name__)
# a camera that does not open is said by the error; OpenCV's own lines for each backend it tried hide it
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)


class OpencvCamera(LiveCamera):
    """A source that OpenCV opens."""

    def __init__(self, config: OpencvConfig) -> None:
        super().__init__(config, str(config.index_or_path))
        self.config = config
        self._source = str(config.index_or_path)
        self._file = Path(self._source).is_file()
        self._capture: cv2.VideoCapture | None = None
        self._rate: Rate | None = None
        self._device: Path | None = None
        self._names: list[str] = []

    def _open(self) -> None:
        self._identify()
        source = int(self._source) if self._source.isdecimal() else self._source
        self._capture = capture = cv2.VideoCapture(source, self.config.backend)
        if not capture.isOpened():
            raise DeviceError(
                f"camera '{self.name}' cannot be opened",
                device=self.name,
                hint="`lr find-cameras` lists what is there; see that no other program holds it",
            )
        self._settle(capture)
        if self._file:
            if self.fps <= 0:
                raise DeviceError(f"camera '{self.name}': the file does not say its rate", device=self.name)
            self._rate = Rate(self.fps, MonotonicClock(spin=0.0))  # spinning would take time from the control loop

    def _identify(self) -> None:
        """Remember which camera this is; refuse another than the one asked for."""
        self._device = identity.device_of(self._source)
        self._names = identity.names_of(self._device) if self._device is not None else []
        wanted = self.config.identity
        if wanted is None or identity.is_named(wanted, self._names):
            return
        place = identity.place_of(wanted)
        raise DeviceError(
            f"camera '{self.name}' should be '{wanted}', found {', '.join(self._names) or 'no name at all'}",
            device=self.name,
            hint=f"'{wanted}' is now {place}" if place else f"'{wanted}' is not plugged in; see `lr find-cameras`",
        )

    def _lost(self) -> str:
        if self._device is None:
            return ""
        if not self._device.exists():
            return f"it was unplugged: {self._device} is gone"
        names = identity.names_of(self._device)
        if names != self._names:
            return f"{self._device} was {self._names[:1]} and is now {names[:1]}: cameras changed places"
        return ""

    def _settle(self, capture: cv2.VideoCapture) -> None:
        """Ask for format, size, rate, exposure and focus, then take over what the source really gives."""
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
        self._fix(capture)

    def _fix(self, capture: cv2.VideoCapture) -> None:
        """Exposure and focus by hand, where they were asked for."""
        manual = MANUAL_EXPOSURE.get(int(capture.get(cv2.CAP_PROP_BACKEND)), 0.25)
        for what, automatic, off, key, value in (
            ("exposure", cv2.CAP_PROP_AUTO_EXPOSURE, manual, cv2.CAP_PROP_EXPOSURE, self.config.exposure),
            ("focus", cv2.CAP_PROP_AUTOFOCUS, 0.0, cv2.CAP_PROP_FOCUS, self.config.focus),
        ):
            if value is None:
                continue
            capture.set(automatic, off)
            if not capture.set(key, value) or not math.isclose(capture.get(key), value, abs_tol=0.5):
                hint = f"leave {what} out, or give a value this camera takes: `v4l2-ctl --list-ctrls` lists them"
                raise self._refused(f"{what} {value:g}", f"{capture.get(key):g}", hint)

    def _refused(self, asked: str, given: str, hint: str) -> DeviceError:
        return DeviceError(f"camera '{self.name}': asked for {asked}, it gives {given}", device=self.name, hint=hint)

    def _warms_up(self) -> bool:
        return not self._file

    def _freeze_frames(self) -> int:
        return 0 if self._file else self.config.freeze_frames

    def _grab(self) -> np.ndarray | None:
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

    def _close(self, stopped: bool) -> None:
        capture, self._capture = self._capture, None
        self._rate = None
        if capture is not None and stopped:  # releasing a capture that another thread reads crashes OpenCV
            capture.release()
        elif not stopped:
            logger.warning("camera '%s' does not return from reading; it is left to the end of the process", self.name)
