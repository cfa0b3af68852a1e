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

import numpy as np

from lerobot_core.errors import DeviceError, DeviceTimeout, NotConnected
from lerobot_core.roles import Camera

#: Consecutive failures of the source after which it counts as gone.
MAX_FAILURES = 10


def newest(camera: Camera) -> np.ndarray:
    """The newest picture (H, W, C) without waiting for the next: a camera slower than the loop must not slow the loop down.

    Cameras that cannot give a picture twice are waited for.

    Raises:
        DeviceTimeout: the newest picture is too old.
    """
    return camera.read_latest() if hasattr(camera, "read_latest") else camera.async_read()


class Frame(NamedTuple):
    """A picture (H, W, C) uint8, its place in the stream from 1, and its monotonic time [ns]."""

    picture: np.ndarray
    number: int
    stamp: int


class FrameStream:
    """Runs `grab` in a thread and keeps the newest picture.

    Args:
        name: the camera, for messages.
        grab: waits for the next picture; None when the source failed to give one.
        freeze_s: a picture repeated bit by bit for this long is an error [s]; 0 never asks.
    """

    def __init__(self, name: str, grab: Callable[[], np.ndarray | None], *, freeze_s: float = 0.0) -> None:
        self._name = name
        self._grab = grab
        self._freeze_ns = int(freeze_s * 1e9)
        self._fresh = threading.Condition()
        self._newest: Frame | None = None
        self._error: Exception | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> bool:
        """Ends the thread; False when the source holds it for longer than `timeout` [s]."""
        self._stopping = True
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def number(self) -> int:
        """Number of the newest picture; 0 before the first."""
        return self._newest.number if self._newest else 0

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
                    raise DeviceTimeout(
                        f"camera '{self._name}': no new picture within {timeout * 1e3:.0f} ms ({self._age()})",
                        device=self._name,
                        hint="check the cable and the USB bandwidth, or lower width, height or fps",
                    )
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
                raise DeviceTimeout(
                    f"camera '{self._name}': no picture younger than {max_age * 1e3:.0f} ms ({self._age()})",
                    device=self._name,
                    hint="check the cable and the USB bandwidth, or lower width, height or fps",
                )
            return frame

    def _age(self) -> str:
        if self._newest is None:
            return "none has come yet"
        return f"the newest is {(time.monotonic_ns() - self._newest.stamp) / 1e6:.0f} ms old"

    def _check(self) -> None:
        if self._error is not None:
            raise DeviceError(
                f"camera '{self._name}': {self._error}", device=self._name, hint="check the cable and connect again"
            ) from self._error
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
        failures, changed, signature = 0, time.monotonic_ns(), 0
        while not self._stopping:
            picture = self._grab()
            now = time.monotonic_ns()
            if picture is None:
                failures += 1
                if failures >= MAX_FAILURES:
                    raise OSError(f"the source gave no picture {failures} times in a row")
                continue
            failures = 0
            if self._freeze_ns:
                # a sensor has noise: rows that repeat exactly come from a driver that hands out one buffer again
                seen, signature = signature, zlib.crc32(np.ascontiguousarray(picture[::8]))
                changed = changed if seen == signature else now
                if now - changed > self._freeze_ns:
                    raise OSError(f"the same picture for {(now - changed) / 1e9:.1f} s: the source is frozen")
            with self._fresh:
                self._newest = Frame(picture, self.number + 1, now)
                self._fresh.notify_all()
