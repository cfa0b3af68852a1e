"""The camera: a thread that takes every picture from the sensor and keeps the newest.

Nothing is inherited: it has the methods of `lerobot_core.roles.Camera`, so it is one.
"""

from __future__ import annotations

import threading
import time

import numpy as np
from lerobot_core.errors import DeviceError, DeviceTimeout
from lerobot_core.guard import check_connected

from {{ cookiecutter.name }}.camera_config import {{ cookiecutter.class_name }}CameraConfig

#: Longest that `connect` and `read` wait for a picture [s].
PATIENCE = 5.0


class Sensor:
    """Stand-in for the hardware, in memory: each picture is a little lighter than the last. Replace it with your driver."""

    def __init__(self, config: {{ cookiecutter.class_name }}CameraConfig) -> None:
        self._config = config
        self._number = 0
        self._opened = 0.0

    def open(self) -> None:
        self._number, self._opened = 0, time.monotonic()

    def close(self) -> None:
        """Nothing to release in memory."""

    def grab(self) -> np.ndarray:
        """The next picture (H, W, 3) uint8, RGB; waits for it."""
        self._number += 1
        due = self._opened + self._number / self._config.fps
        time.sleep(max(0.0, due - time.monotonic()))
        return np.full((self._config.height, self._config.width, 3), self._number % 256, np.uint8)


class {{ cookiecutter.class_name }}Camera:
    """Pictures (H, W, 3) uint8, RGB, each handed out once. `stamp` is when the last of them arrived, monotonic [ns]."""

    name = "{{ cookiecutter.name }}"

    def __init__(self, config: {{ cookiecutter.class_name }}CameraConfig) -> None:
        self.config = config
        self.fps, self.width, self.height = config.fps, config.width, config.height
        self.stamp = 0
        self.sensor = Sensor(config)
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._newest: tuple[np.ndarray, int] | None = None
        self._failure: Exception | None = None

    @property
    def is_connected(self) -> bool:
        return self._thread is not None and not self._stopping.is_set()

    def connect(self) -> None:
        """Open the sensor and wait for its first picture; does nothing when it is open.

        Raises:
            DeviceTimeout: none came within 5 s.
            DeviceError: the sensor failed.
        """
        if self.is_connected:
            return
        self.sensor.open()
        self.stamp, self._newest, self._failure = 0, None, None
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name=f"camera {self.name}", daemon=True)
        self._thread.start()
        try:
            self._after(0, PATIENCE)
        except DeviceError:
            self.disconnect()
            raise

    def read(self) -> np.ndarray:
        """The next picture (H, W, 3); waits for it.

        Raises:
            NotConnected: before `connect` or after `disconnect`.
            DeviceTimeout: none came within 5 s.
            DeviceError: the sensor failed.
        """
        newest = self._newest
        return self._after(newest[1] if newest else 0, PATIENCE)

    def async_read(self, timeout_ms: float = 200) -> np.ndarray:
        """The newest picture (H, W, 3) that was not handed out before; waits at most `timeout_ms`.

        Raises:
            NotConnected: before `connect` or after `disconnect`.
            DeviceTimeout: none came in time.
            DeviceError: the sensor failed.
        """
        return self._after(self.stamp, timeout_ms / 1e3)

    def read_latest(self, max_age_ms: float = 500) -> np.ndarray:
        """The newest picture (H, W, 3), handed out before or not, so that a loop faster than the camera need not wait.

        Raises:
            NotConnected: before `connect` or after `disconnect`.
            DeviceTimeout: it is older than `max_age_ms`.
            DeviceError: the sensor failed.
        """
        return self._after(time.monotonic_ns() - int(max_age_ms * 1e6), 0.0).copy()

    def disconnect(self) -> None:
        """End the thread and close the sensor; does nothing when it is closed."""
        if self._thread is None:
            return
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        self._thread.join()
        self._thread = None
        self.sensor.close()

    def _after(self, stamp: int, seconds: float) -> np.ndarray:
        """The newest picture that arrived after `stamp`; also `disconnect` ends the wait for it."""

        def is_over() -> bool:
            fresh = self._newest is not None and self._newest[1] > stamp
            return fresh or self._failure is not None or not self.is_connected

        with self._changed:
            self._changed.wait_for(is_over, seconds)
            check_connected(self)
            if self._failure is not None:
                raise DeviceError(f"'{self.name}' failed: {self._failure}", device=self.name) from self._failure
            if self._newest is None or self._newest[1] <= stamp:
                age = f"{(time.monotonic_ns() - self._newest[1]) / 1e6:.0f} ms old" if self._newest else "still to come"
                raise DeviceTimeout(
                    f"'{self.name}' gave no new picture in {seconds * 1e3:.0f} ms, the newest is {age}",
                    device=self.name,
                    hint="check the cable, or lower fps, width or height",
                )
            picture, self.stamp = self._newest
            return picture

    def _run(self) -> None:
        try:
            while self.is_connected:
                picture = self.sensor.grab()
                with self._changed:
                    self._newest = picture, time.monotonic_ns()
                    self._changed.notify_all()
        except Exception as failure:  # whatever ends the thread is what every reader is told
            with self._changed:
                self._failure = failure
                self._changed.notify_all()
