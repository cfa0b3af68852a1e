"""Faults of robots in how they move, connect and stop."""

from __future__ import annotations

import math
import os
import threading
import time

import numpy as np

from core.mutants.kinds import Mutant
from lerobot_core.errors import DeviceError
from lerobot_core.testing.fakes import ToyArm, ToyArmConfig
from lerobot_core.testing.fakes.arm import TICKS


class SendsNan(ToyArm):
    def send_action(self, action):
        try:
            return super().send_action(action)
        except Exception:
            return dict(action)


class NanBecomesZero(ToyArm):
    def send_action(self, action):
        return super().send_action({key: float(np.nan_to_num(value)) for key, value in action.items()})


class SendsHalf(ToyArm):
    """Moves the joints in front of the bad one before it refuses."""

    def send_action(self, action):
        sent = {}
        for key, value in action.items():
            sent |= super().send_action({key: value})
        return sent


class BareErrors(ToyArm):
    def send_action(self, action):
        if not all(math.isfinite(value) for value in action.values()):
            raise ValueError("bad action")
        return super().send_action(action)


class SaysNotWhich(ToyArm):
    def send_action(self, action):
        if not all(math.isfinite(value) for value in action.values()):
            raise DeviceError("invalid action")
        return super().send_action(action)


class IgnoresUnknown(ToyArm):
    def send_action(self, action):
        return super().send_action({key: value for key, value in action.items() if key in self.action_features})


class SaysWhatWasAsked(ToyArm):
    def send_action(self, action):
        return {**super().send_action(action), **{key: float(value) for key, value in action.items()}}


class ClipsTheAnswerOnly(ToyArm):
    def send_action(self, action):
        sent = super().send_action(action)
        self.bus.sync_write("Goal_Position", {k[:-4]: min(max(v * TICKS, -32e3), 32e3) for k, v in action.items()})
        return sent


class WrongSign(ToyArm):
    def send_action(self, action):
        super().send_action({key: -value for key, value in action.items()})
        return dict(action)


class InRadians(ToyArm):
    def send_action(self, action):
        sent = super().send_action({key: math.degrees(value) for key, value in action.items()})
        return {key: math.radians(value) for key, value in sent.items()}


class AnswersInTicks(ToyArm):
    def send_action(self, action):
        return {key: value * TICKS for key, value in super().send_action(action).items()}


class SwapsJoints(ToyArm):
    """Pairs sorted names with unsorted ones."""

    def send_action(self, action):
        swapped = dict(zip(sorted(action), action.values(), strict=True))
        return dict(zip(action, super().send_action(swapped).values(), strict=True))


class FillsUpWithZeros(ToyArm):
    def send_action(self, action):
        return super().send_action({**dict.fromkeys(self.action_features, 0.0), **action})


class KeepsTheDict(ToyArm):
    """Follows whatever the caller's dict says later on."""

    def send_action(self, action):
        sent, self.kept = super().send_action(action), action
        return sent

    def get_observation(self):
        if getattr(self, "kept", None):
            super().send_action(self.kept)
        return super().get_observation()


class ChangesTheAction(ToyArm):
    def send_action(self, action):
        sent = super().send_action(action)
        action.clear()
        return sent


class WaitsUntilThere(ToyArm):
    def send_action(self, action):
        sent = super().send_action(action)
        time.sleep(0.1)
        return sent


class SlowRead(ToyArm):
    def get_observation(self):
        time.sleep(0.05)
        return super().get_observation()


class PlainFloatsOnly(ToyArm):
    def send_action(self, action):
        if not all(type(value) is float for value in action.values()):
            raise TypeError("an action is a dict of floats")
        return super().send_action(action)


class GoesHome(ToyArm):
    def configure(self):
        super().configure()
        self.bus.sync_write("Goal_Position", dict.fromkeys(self.bus.motors, 0))


class GoesOn(ToyArm):
    """Powers on with the goal of the last session."""

    def configure(self):
        self.bus.enable_torque()


class StaysPowered(ToyArm):
    def disconnect(self):
        for device in self.devices:
            device.disconnect(False) if device is self.bus else device.disconnect()


class StopsAtFirst(ToyArm):
    def disconnect(self):
        for device in self.devices:
            device.disconnect()


class StopsAtFirstCamera(ToyArm):
    def disconnect(self):
        for device in reversed(self.devices):
            device.disconnect()


class NeedsAReadToStop(ToyArm):
    def disconnect(self):
        if self.is_connected:
            self.get_observation()
        super().disconnect()


class RaisesWhenClosed(ToyArm):
    def disconnect(self):
        if not self.is_connected:
            raise DeviceError("not connected")
        super().disconnect()


class StaysHalfOpen(ToyArm):
    def connect(self, calibrate=True):
        if not self.is_connected:
            for device in self.devices:
                device.connect()
            self._moved = time.monotonic_ns()
            self.configure()


class MisspeltStop(ToyArm):
    on_stop = "relase"


class OldFeatures(ToyArm):
    @property
    def observation_features(self):
        return super().observation_features if self.is_connected else {"shoulder.pos": float}


class BareNames(ToyArm):
    """`shoulder` for `shoulder.pos`: the guard does not know it for a position."""

    @property
    def action_features(self):
        return dict.fromkeys(self.bus.motors, float)

    def get_observation(self):
        return {key.removesuffix(".pos"): value for key, value in super().get_observation().items()}

    def send_action(self, action):
        return dict(zip(action, super().send_action({f"{k}.pos": v for k, v in action.items()}).values(), strict=True))


class CalibratesAlways(ToyArm):
    def connect(self, calibrate=True):
        super().connect(calibrate)
        self.calibrate()


class AsksForACalibration(ToyArm):
    def connect(self, calibrate=True):
        super().connect(calibrate)
        input("move the arm to its middle")


class AsksTheWire(ToyArm):
    @property
    def is_calibrated(self):
        return bool(self.bus.read_calibration())


class OneThreadOnly(ToyArm):
    def connect(self, calibrate=True):
        super().connect(calibrate)
        self.owner = threading.get_ident()

    def get_observation(self):
        if threading.get_ident() != getattr(self, "owner", threading.get_ident()):
            raise RuntimeError("handle used in another thread")
        return super().get_observation()


class LeaksFiles(ToyArm):
    def connect(self, calibrate=True):
        super().connect(calibrate)
        self.files = [*getattr(self, "files", []), open(os.devnull)]  # noqa: SIM115


def arm(kind: type[ToyArm], noticed: str) -> Mutant:
    return Mutant("robot", lambda: kind(ToyArmConfig()), noticed)


MUTANTS = {
    "sends NaN": arm(SendsNan, "no_number_is_refused"),
    "NaN becomes zero": arm(NanBecomesZero, "no_number_is_refused"),
    "sends half of a bad action": arm(SendsHalf, "no_number_is_refused"),
    "ValueError for a bad action": arm(BareErrors, "no_number_is_refused"),
    "error without the joint": arm(SaysNotWhich, "no_number_is_refused"),
    "unknown joints dropped": arm(IgnoresUnknown, "an_unknown_key"),
    "says what was asked": arm(SaysWhatWasAsked, "limits_are_kept"),
    "clips the answer only": arm(ClipsTheAnswerOnly, "limits_are_kept_by_the_joints"),
    "wrong sign": arm(WrongSign, "an_action_moves_the_robot"),
    "actions in radians": arm(InRadians, "limits_are_kept or an_action_moves"),
    "answers in ticks": arm(AnswersInTicks, "what_is_allowed_is_sent"),
    "joints swapped": arm(SwapsJoints, "one_joint_moves_alone"),
    "absent joints sent to zero": arm(FillsUpWithZeros, "some_joints_can_be_sent"),
    "keeps the caller's dict": arm(KeepsTheDict, "the_caller_may_use_its_action"),
    "clears the caller's dict": arm(ChangesTheAction, "the_action_sent_is_returned"),
    "waits until it is there": arm(WaitsUntilThere, "sending_keeps_up"),
    "slow read": arm(SlowRead, "reading_keeps_up"),
    "no numpy numbers": arm(PlainFloatsOnly, "numbers_of_numpy"),
    "goes home on connecting": arm(GoesHome, "connecting_moves_nothing"),
    "goes on to the last goal": arm(GoesOn, "connecting_moves_nothing"),
    "stays powered": arm(StaysPowered, "it_stops_as_declared"),
    "stops at the first broken device": arm(StopsAtFirst, "disconnect_tries_every_device"),
    "a broken camera keeps the arm powered": arm(StopsAtFirstCamera, "disconnect_tries_every_device"),
    "needs a read to stop": arm(NeedsAReadToStop, "after_a_failure"),
    "disconnect twice raises": arm(RaisesWhenClosed, "disconnect_can_be_called"),
    "half open after a failed connect": arm(StaysHalfOpen, "a_failed_connect"),
    "misspelt on_stop": arm(MisspeltStop, "it_says_how_it_stops"),
    "features change": arm(OldFeatures, "features_are_known_before"),
    "bare names": arm(BareNames, "names_say_what"),
    "calibrates unasked": arm(CalibratesAlways, "asks_nobody"),
    "asks a person": arm(AsksForACalibration, "asks_nobody"),
    "is_calibrated needs the wire": arm(AsksTheWire, "asked_before_it_is_connected"),
    "bound to one thread": arm(OneThreadOnly, "another_thread"),
    "files left open": arm(LeaksFiles, "no_file_outlives"),
}
