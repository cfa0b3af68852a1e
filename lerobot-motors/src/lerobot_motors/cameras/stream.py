"""The newest picture of a source that blocks, taken by a thread of its own.

Readers get a picture with its number and the time it arrived, or an error that names the camera; never an old picture in
place of a new one. Knows nothing of OpenCV or of any device.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable
from typing import NamedTuple

import attrs
import numpy as np

from lerobot_core.errors import DeviceError, DeviceTimeout, NotConnected
from lerobot_core.roles import Camera

#: Consecutive failures of the source after which it counts as gone.
MAX_FAILURES = 10
#: Periods of a camera after which its newest picture is too old, where it does not say another age.
FRESH_PERIODS = 2


def newest(camera: Camera) -> np.ndarray:
    """The newest picture (H, W, C) without waiting for the next: a camera slower than the loop must not slow the loop down.

    Cameras that cannot give a picture twice are waited for.

    Raises:
        DeviceTimeout: the newest picture is older than the camera allows, by default two of its periods.
        DeviceError: the camera is gone or frozen.
    """
    return camera.read_latest() if hasattr(camera, "read_latest") else camera.async_read()


class Frame(NamedTuple):
    """A picture (H, W, C) uint8, its place in the stream from 1, its monotonic time [ns], and depth (H, W, 1) uint16 [mm]."""

    picture: np.ndarray
    number: int
    stamp: int
    depth: np.ndarray | None = None


@attrs.frozen(kw_only=True)
class CameraHealth:
    """What a camera has counted since it was connected.

    Attributes:
        frames: pictures that arrived.
        dropped: pictures missing between them, told by the time that passed.
        failures: times the source was asked and gave none.
    """

    frames: int
    dropped: int
    failures: int

    def line(self) -> str:
        return f"{self.frames} pictures, {self.dropped} dropped, {self.failures} failures"


class FrameStream:
    """Runs `grab` in a thread and keeps the newest picture.

    Args:
        name: the camera, for messages.
        grab: waits for the next picture, or picture and depth; None when the source failed to give one.
        period: time between two pictures [s]; 0 when it is not known, and then none are counted as dropped.
        freeze_frames: a picture repeated bit by bit so many times is an error; 0 never asks.
        max_failures: so many failures in a row are an error.
        lost: why the source is gone, or an empty string; asked when no picture comes.
    """

    def __init__(
        self,
        name: str,
        grab: Callable[[], np.ndarray | tuple[np.ndarray, np.ndarray | None] | None],
        *,
        period: float = 0.0,
        freeze_frames: int = 0,
        max_failures: int = MAX_FAILURES,
        lost: Callable[[], str] = str,
    ) -> None:
        self._name = name
        self._grab = grab
        self._lost = lost
        self._period_ns = period * 1e9
        self._freeze_frames, self._max_failures = freeze_frames, max_failures
        self._repeats = self._signature = self._dropped = self._failures = 0
        self._watched = False
        self._fresh = threading.Condition()
        self._newest: Frame | None = None
        self._error: Exception | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def watch(self) -> None:
        """From now on repeats and gaps count: while it warms up, a camera may give black pictures, or none."""
        self._watched = True

    def stop(self, timeout: float = 2.0) -> bool:
        """Ends the thread; False when the source holds it for longer than `timeout` [s]. Who waits is told."""
        self._stopping = True
        with self._fresh:
            self._fresh.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def number(self) -> int:
        """Number of the newest picture; 0 before the first."""
        return self._newest.number if self._newest else 0

    @property
    def health(self) -> CameraHealth:
        return CameraHealth(frames=self.number, dropped=self._dropped, failures=self._failures)

    def after(self, number: int, timeout: float) -> Frame:
        """The newest picture, which comes after `number`; waits for it at most `timeout` [s].

        Raises:
            DeviceTimeout: none came.
            DeviceError: the source is gone or frozen.
        """
        deadline = time.monotonic() + timeout
        with self._fresh:
            while True:
                self._check()
                if self._newest is not None and self._newest.number > number:
                    return self._newest
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise self._late(f"no new picture within {timeout * 1e3:.0f} ms")
                self._fresh.wait(remaining)

    def newest(self, max_age: float) -> Frame:
        """The newest picture, seen before or not; waits for nothing.

        Raises:
            DeviceTimeout: it is older than `max_age` [s], or there is none.
            DeviceError: the source is gone or frozen.
        """
        with self._fresh:
            self._check()
            frame = self._newest
            if frame is None or time.monotonic_ns() - frame.stamp > max_age * 1e9:
                raise self._late(f"no picture younger than {max_age * 1e3:.0f} ms")
            return frame

    def _late(self, what: str) -> DeviceError:
        """Why there is no picture, as far as it can be told."""
        if reason := self._lost():
            return self._gone(reason)
        if self._newest is None:
            age = "none has come yet"
        else:
            age = f"the newest is {(time.monotonic_ns() - self._newest.stamp) / 1e6:.0f} ms old"
        return DeviceTimeout(
            f"camera '{self._name}': {what} ({age})",
            device=self._name,
            hint="check the cable, the USB bandwidth and the light (a dark scene lowers the rate), or allow more with max_age_s",
        )

    def _gone(self, reason: object) -> DeviceError:
        return DeviceError(
            f"camera '{self._name}': {reason}", device=self._name, hint="check the cable and connect again"
        )

    def _check(self) -> None:
        if self._error is not None:
            raise self._gone(self._error) from self._error
        if self._stopping or not self._thread.is_alive():
            raise NotConnected(
                f"camera '{self._name}' is not connected", device=self._name, hint="call connect() first"
            )

    def _run(self) -> None:
        try:
            self._pump()
        except Exception as error:  # whatever ends the thread is what every reader is told
            with self._fresh:
                self._error = error
                self._fresh.notify_all()

    def _pump(self) -> None:
        failures = 0
        while not self._stopping:
            given = self._grab()
            now = time.monotonic_ns()
            if given is None:
                failures += 1
                self._failures += 1
                if reason := self._lost():
                    raise OSError(reason)
                if failures >= self._max_failures:
                    raise OSError(f"the source gave no picture {failures} times in a row")
                continue
            failures = 0
            picture, depth = given if isinstance(given, tuple) else (given, None)
            self._look_for_faults(picture, now)
            with self._fresh:
                self._newest = Frame(picture, self.number + 1, now, depth)
                self._fresh.notify_all()

    def _look_for_faults(self, picture: np.ndarray, now: int) -> None:
        """Count what is missing since the last picture, and refuse one that only repeats it."""
        if self._period_ns and self._newest is not None and self._watched:
            self._dropped += max(0, round((now - self._newest.stamp) / self._period_ns) - 1)
        if not self._freeze_frames:
            return
        # a sensor has noise: rows that repeat exactly come from a driver that hands out one buffer again
        seen, self._signature = self._signature, zlib.crc32(np.ascontiguousarray(picture[::8]))
        self._repeats = self._repeats + 1 if seen == self._signature and self._watched else 0
        if self._repeats >= self._freeze_frames:
            raise OSError(
                f"the same picture {self._repeats + 1} times in a row: the source is frozen (for a still source without "
                "noise set freeze_frames: 0)"
            )
