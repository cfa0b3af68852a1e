"""Faults of motor buses."""

from __future__ import annotations

import time

import numpy as np

from core.mutants.kinds import Mutant
from lerobot_core.testing.fakes import ToyBus, ToyBusConfig


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


def bus(kind: type[ToyBus], noticed: str) -> Mutant:
    return Mutant("motor bus", lambda: kind(ToyBusConfig()), noticed)


MUTANTS = {
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
