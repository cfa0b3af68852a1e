"""Faults of cameras and motor buses."""

from __future__ import annotations

import os
import threading
import time

import numpy as np

from core.mutants.kinds import Mutant
from lerobot_core.errors import DeviceError, DeviceTimeout
from lerobot_core.testing.fakes import ToyBus, ToyBusConfig, ToyCamera, ToyCameraConfig


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


class Unsigned(ToyBus):
    def write(self, register, motor, value, *, normalize=True):
        super().write(register, motor, value)
        self.memory[motor][register] &= 0xFFFF


class SignedByte(ToyBus):
    def read(self, register, motor, *, normalize=True):
        found = super().read(register, motor)
        return found if found < 4095 else -1


class WrongOrder(ToyBus):
    def sync_read(self, register, motors=None, *, normalize=True):
        found = super().sync_read(register, motors)
        return dict(zip(found, reversed(list(found.values())), strict=True))


class ByPosition(ToyBus):
    """Pairs values with motors by their place."""

    def sync_write(self, register, values, *, normalize=True):
        super().sync_write(register, dict(zip(self.motors, values.values(), strict=False)))


class ReadsAll(ToyBus):
    def sync_read(self, register, motors=None, *, normalize=True):
        return super().sync_read(register)


class SortsNames(ToyBus):
    def sync_read(self, register, motors=None, *, normalize=True):
        return dict(sorted(super().sync_read(register, motors).items()))


class Broadcasts(ToyBus):
    def write(self, register, motor, value, *, normalize=True):
        for name in self.motors:
            super().write(register, name, value)


class WritesWide(ToyBus):
    """Two bytes too many: the next register is overwritten."""

    def write(self, register, motor, value, *, normalize=True):
        super().write(register, motor, value)
        if register == "Goal_Position":
            self.memory[motor]["Homing_Offset"] = 0


class AllOff(ToyBus):
    def disable_torque(self, motors=None):
        super().disable_torque()


class AllOn(ToyBus):
    def enable_torque(self, motors=None):
        super().enable_torque()


class BlamesFirst(ToyBus):
    def read(self, register, motor, *, normalize=True):
        return super().read(register, next(iter(self.motors)) if motor in self.unplugged else motor)


class ZeroForMissing(ToyBus):
    def sync_read(self, register, motors=None, *, normalize=True):
        there = super().sync_read(register, [name for name in motors or self.motors if name not in self.unplugged])
        return {name: there.get(name, 0) for name in motors or self.motors}


class SlowToGiveUp(ToyBus):
    def read(self, register, motor, *, normalize=True):
        if motor in self.unplugged:
            time.sleep(0.25)
        return super().read(register, motor)


class NoHandshake(ToyBus):
    def connect(self, handshake=True):
        super().connect(handshake=False)


class OpenAfterFailure(ToyBus):
    def connect(self, handshake=True):
        self._open = True
        super().connect(handshake)


class StaysOn(ToyBus):
    def disconnect(self, disable_torque=True):
        super().disconnect(disable_torque=False)


class AlwaysOff(ToyBus):
    def disconnect(self, disable_torque=True):
        super().disconnect(disable_torque=True)


class GivesUpReleasing(ToyBus):
    def disable_torque(self, motors=None):
        for name in motors or self.motors:
            self.write("Torque_Enable", name, 0)


class Wraps(ToyBus):
    def _put(self, register, values):
        wrapped = {
            name: int(value) & 0xFFF if np.isfinite(value) and value > 4095 else value for name, value in values.items()
        }
        super()._put(register, wrapped)


class WritesThenRefuses(ToyBus):
    def _put(self, register, values):
        for name, value in values.items():
            super()._put(register, {name: value})


class NanCrashes(ToyBus):
    def _put(self, register, values):
        super()._put(register, {name: int(value) for name, value in values.items()})


class BareKeyError(ToyBus):
    def _of(self, motor, register):
        return super()._of(motor, register) if motor in self.motors else self.memory[motor]


class AnswersForAll(ToyBus):
    def ping(self, motor):
        super().ping("shoulder")
        return 777


class ReadsWithoutPort(ToyBus):
    def sync_read(self, register, motors=None, *, normalize=True):
        return super().sync_read(register, motors) if self._open else dict.fromkeys(self.motors, 0)


class OneByOne(ToyBus):
    def sync_read(self, register, motors=None, *, normalize=True):
        time.sleep(0.02)
        return super().sync_read(register, motors)


class PingsWithoutPort(ToyBus):
    def ping(self, motor):
        return super().ping(motor) if self._open else None


class QuietAboutTheLost(ToyBus):
    """Releases those that answer and says nothing of the others."""

    def disable_torque(self, motors=None):
        super().disable_torque([name for name in motors or self.motors if name not in self.unplugged])


class WritesNoCalibration(ToyBus):
    def write_calibration(self, calibration):
        """Keeps it in memory only."""


class ForgetsCalibration(ToyBus):
    def read_calibration(self):
        return {name: values for name, values in super().read_calibration().items() if name != "gripper"}


def camera(kind: type[ToyCamera], noticed: str) -> Mutant:
    return Mutant("camera", lambda: kind(ToyCameraConfig()), noticed)


def bus(kind: type[ToyBus], noticed: str) -> Mutant:
    return Mutant("motor bus", lambda: kind(ToyBusConfig()), noticed)


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
    "signs lost": bus(Unsigned, "values_come_back_as_they_went"),
    "largest value is -1": bus(SignedByte, "values_come_back_as_they_went"),
    "values of the neighbour": bus(WrongOrder, "values_of_all_servos"),
    "paired by place": bus(ByPosition, "values_of_all_servos"),
    "reads all when asked for some": bus(ReadsAll, "values_of_all_servos"),
    "names sorted": bus(SortsNames, "once_in_order"),
    "broadcast for a write": bus(Broadcasts, "a_write_changes_nothing_else"),
    "writes into the next register": bus(WritesWide, "a_write_changes_nothing_else"),
    "all servos released": bus(AllOff, "torque_goes_on_and_off"),
    "all servos powered": bus(AllOn, "torque_goes_on_for_those"),
    "neighbour answers for a missing servo": bus(BlamesFirst, "a_missing_servo_is"),
    "zero for a missing servo": bus(ZeroForMissing, "a_missing_servo_is"),
    "slow to give up": bus(SlowToGiveUp, "a_missing_servo_is"),
    "no handshake": bus(NoHandshake, "connecting_misses"),
    "port open after a failed handshake": bus(OpenAfterFailure, "connecting_misses"),
    "torque stays on": bus(StaysOn, "disconnect_releases"),
    "torque always goes off": bus(AlwaysOff, "disconnect_releases"),
    "gives up releasing": bus(GivesUpReleasing, "does_not_keep_the_others"),
    "wraps around": bus(Wraps, "what_does_not_fit"),
    "writes, then refuses": bus(WritesThenRefuses, "is_refused"),
    "NaN crashes": bus(NanCrashes, "no_number_is_refused"),
    "KeyError for a name": bus(BareKeyError, "an_unknown_name"),
    "a ping always answers": bus(AnswersForAll, "answers_a_ping"),
    "reads without a port": bus(ReadsWithoutPort, "needs_a_connection or connects_again"),
    "one packet per servo": bus(OneByOne, "keeps_up"),
    "pings without a port": bus(PingsWithoutPort, "using_it_needs"),
    "quiet about the lost": bus(QuietAboutTheLost, "does_not_keep_the_others"),
    "calibration not written": bus(WritesNoCalibration, "a_calibration_is_written"),
    "calibration of some": bus(ForgetsCalibration, "a_calibration_comes_back"),
}
