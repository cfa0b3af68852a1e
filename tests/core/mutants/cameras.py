"""Faults of cameras."""

from __future__ import annotations

import os
import threading
import time

import numpy as np

from core.mutants.kinds import Mutant
from lerobot_core.errors import DeviceError, DeviceTimeout
from lerobot_core.testing.fakes import ToyCamera, ToyCameraConfig


class SameAgain(ToyCamera):
    """Gives the newest picture, whether it gave it before or not."""

    def async_read(self, timeout_ms=200):
        return self._take(max(self._newest(), 1))


class NeverLate(ToyCamera):
    def async_read(self, timeout_ms=200):
        return super().async_read(1e9)


class HalfSpeed(ToyCamera):
    def read(self):
        for _ in range(3):
            picture = super().read()
        return picture


class BlueForRed(ToyCamera):
    def _take(self, number):
        return super()._take(number)[..., ::-1].copy()


class Mirrored(ToyCamera):
    def _take(self, number):
        return super()._take(number)[:, ::-1].copy()


class UpsideDown(ToyCamera):
    def _take(self, number):
        return super()._take(number)[::-1].copy()


class View(ToyCamera):
    """Turned twice, without a copy."""

    def _take(self, number):
        return np.ascontiguousarray(super()._take(number)[::-1])[::-1]


class ReadOnly(ToyCamera):
    def _take(self, number):
        return np.frombuffer(super()._take(number).tobytes(), np.uint8).reshape(self.height, self.width, 3)


class Transposed(ToyCamera):
    def _take(self, number):
        return super()._take(number).transpose(1, 0, 2).copy()


class WithAlpha(ToyCamera):
    def _take(self, number):
        picture = super()._take(number)
        return np.concatenate([picture, picture[..., :1]], axis=2)


class OneBuffer(ToyCamera):
    def _take(self, number):
        self.buffer = getattr(self, "buffer", np.zeros((self.height, self.width, 3), np.uint8))
        self.buffer[...] = super()._take(number)
        return self.buffer


class Frozen(ToyCamera):
    """Its thread died; the picture stays, the stamp goes on."""

    def _take(self, number):
        picture = super()._take(number)
        self.first = getattr(self, "first", picture)
        return self.first.copy()


class WallStamps(ToyCamera):
    def _take(self, number):
        picture = super()._take(number)
        self.stamp = time.time_ns()
        return picture


class Queue(ToyCamera):
    """Gives pictures in order, however late the caller is."""

    def async_read(self, timeout_ms=200):
        if self._due(self._last + 1) - time.monotonic_ns() > timeout_ms * 1e6:
            raise DeviceTimeout("no new picture")
        self._newest()
        return self._take(self._last + 1)


class KeepsTheLast(ToyCamera):
    """A picture of before `disconnect` is the first one after `connect`."""

    def disconnect(self):
        self.left, self.left_stamp = (self.is_connected and super()._take(self._last + 1)), self.stamp
        super().disconnect()

    def async_read(self, timeout_ms=200):
        if isinstance(getattr(self, "left", None), np.ndarray) and self.is_connected:
            picture, self.left, self.stamp = self.left, None, self.left_stamp
            return picture
        return super().async_read(timeout_ms)


class BlackWithout(ToyCamera):
    def read(self):
        return super().read() if self.is_connected else np.zeros((self.height, self.width, 3), np.uint8)


class Hangs(ToyCamera):
    """A reader goes on waiting after disconnect."""

    def read(self):
        while True:
            try:
                return super().read()
            except DeviceError:
                if not getattr(self, "reading", False):
                    raise
                time.sleep(0.01)

    def connect(self):
        super().connect()
        self.reading = threading.current_thread() is threading.main_thread()

    def disconnect(self):
        super().disconnect()
        threading.Timer(1.5, lambda: setattr(self, "reading", False)).start() if self.reading else None


class CrashesAtTheEnd(ToyCamera):
    def read(self):
        if not self.is_connected and getattr(self, "was", False):
            raise AttributeError("'NoneType' object has no attribute 'read'")
        self.was = self.is_connected
        return super().read()


class SizeOnlyLater(ToyCamera):
    def __init__(self, config):
        super().__init__(config)
        self.width = 640

    def connect(self):
        super().connect()
        self.width = self.config.width


class CameraLeaks(ToyCamera):
    def connect(self):
        super().connect()
        self.files = [*getattr(self, "files", []), open(os.devnull)]  # noqa: SIM115


class ConnectsTwice(ToyCamera):
    def connect(self):
        if self.is_connected:
            self._began = 0
            raise OSError("device busy")
        super().connect()


def camera(kind: type[ToyCamera], noticed: str) -> Mutant:
    return Mutant("camera", lambda: kind(ToyCameraConfig()), noticed)


MUTANTS = {
    "the same picture twice": camera(SameAgain, "no_picture_is_given_twice"),
    "waits for ever": camera(NeverLate, "async_read_waits_no_longer"),
    "another rate": camera(HalfSpeed, "pictures_come_at_the_rate"),
    "blue for red": camera(BlueForRed, "colours_and_axes"),
    "mirrored": camera(Mirrored, "colours_and_axes"),
    "upside down": camera(UpsideDown, "colours_and_axes"),
    "negative strides": camera(View, "pictures_can_be_worked_on"),
    "read-only pictures": camera(ReadOnly, "pictures_can_be_worked_on"),
    "camera's axes swapped": camera(Transposed, "a_picture_has_the_size"),
    "four channels": camera(WithAlpha, "a_picture_has_the_size"),
    "camera's one buffer": camera(OneBuffer, "pictures_share_no_memory"),
    "frozen picture": camera(Frozen, "a_new_stamp_is_a_new_picture"),
    "camera's wall clock": camera(WallStamps, "a_stamp_says_when"),
    "queue of old pictures": camera(Queue, "async_read_gives_the_newest"),
    "picture of the last session": camera(KeepsTheLast, "the_first_picture_is_not"),
    "black without a connection": camera(BlackWithout, "reading_needs_a_connection"),
    "read hangs after disconnect": camera(Hangs, "disconnect_ends_a_waiting_read or needs_a_connection"),
    "crash at disconnect": camera(CrashesAtTheEnd, "needs_a_connection or waiting_read"),
    "size known later": camera(SizeOnlyLater, "its_size_is_known"),
    "camera leaves files open": camera(CameraLeaks, "no_file_outlives"),
    "second connect breaks it": camera(ConnectsTwice, "a_second_connect"),
}
