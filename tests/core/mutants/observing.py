"""Faults of robots in what they observe."""

from __future__ import annotations

import time

import numpy as np

from core.mutants.kinds import Mutant
from core.mutants.robots import arm
from core.toys import PatientArm
from lerobot_core.errors import DeviceError
from lerobot_core.testing.fakes import ToyArm, ToyArmConfig
from lerobot_core.testing.fakes.arm import TICKS


class ObservesTicks(ToyArm):
    def get_observation(self):
        seen = super().get_observation()
        return seen | {key: seen[key] * TICKS + 2048 for key in self.action_features}


class ActsUnseen(ToyArm):
    """Its action keys are not those of its observations."""

    @property
    def observation_features(self):
        return {key.replace(".pos", ".angle"): value for key, value in super().observation_features.items()}

    def get_observation(self):
        seen = {key.replace(".pos", ".angle"): value for key, value in super().get_observation().items()}
        return seen | {"stamps": {key.replace(".pos", ".angle"): at for key, at in seen["stamps"].items()}}


class LosesJoint(ToyArm):
    def get_observation(self):
        seen = super().get_observation()
        del seen["gripper.pos"], seen["stamps"]
        return seen


class ArraysOfOne(ToyArm):
    def get_observation(self):
        seen = super().get_observation()
        return {**seen, "elbow.pos": np.array([seen["elbow.pos"]], np.float32)}


class SmallPicture(ToyArm):
    def get_observation(self):
        seen = super().get_observation()
        return {**seen, "front": seen["front"][::2]}


class SwappedAxes(ToyArm):
    def get_observation(self):
        seen = super().get_observation()
        return {**seen, "front": seen["front"].transpose(1, 0, 2).copy()}


class ChannelsFirst(ToyArm):
    def get_observation(self):
        seen = super().get_observation()
        return {**seen, "front": seen["front"].transpose(2, 0, 1).copy()}


class FloatPicture(ToyArm):
    def get_observation(self):
        seen = super().get_observation()
        return {**seen, "front": seen["front"] / 255}


class WallClock(ToyArm):
    def get_observation(self):
        return {**super().get_observation(), "stamps": {"front": time.time_ns()}}


class SecondsForStamps(ToyArm):
    def get_observation(self):
        return {**super().get_observation(), "stamps": {"front": time.monotonic()}}


class FrozenStamps(ToyArm):
    def get_observation(self):
        seen = super().get_observation()
        self.first = getattr(self, "first", seen["stamps"])
        return {**seen, "stamps": dict(self.first)}


class SharedPicture(ToyArm):
    def get_observation(self):
        seen = super().get_observation()
        self.buffer = getattr(self, "buffer", np.zeros_like(seen["front"]))
        self.buffer[...] = seen["front"]
        return {**seen, "front": self.buffer}


class OneDict(ToyArm):
    """Fills one dict again and again."""

    def get_observation(self):
        first, self.seen = not hasattr(self, "seen"), getattr(self, "seen", {})
        found = super().get_observation()
        self.seen.update(found if first else {key: found[key] for key in self.seen})
        return self.seen


class OldForLost(ToyArm):
    """Gives the last observation when a device fails."""

    def get_observation(self):
        try:
            self.last = super().get_observation()
        except OSError:
            return {**self.last}
        return {**self.last}


class TellsNewStamps(PatientArm):
    def told(self):
        return {**self.last, "stamps": dict.fromkeys(self.last["stamps"], time.monotonic_ns())}


class TellsNoStamps(PatientArm):
    def told(self):
        return {key: value for key, value in self.last.items() if key != "stamps"}


class EndlesslyPatient(PatientArm):
    patience = 1e9


class NeverRecovers(ToyArm):
    def get_observation(self):
        if getattr(self, "failed", False):
            raise DeviceError("failed before", device=self.name)
        try:
            return super().get_observation()
        except OSError:
            self.failed = True
            raise


def patient(kind: type[PatientArm]) -> Mutant:
    return Mutant("patient robot", lambda: kind(ToyArmConfig()), "a_failing_device or after_a_failure")


MUTANTS = {
    "new stamps for old values": patient(TellsNewStamps),
    "old values without stamps": patient(TellsNoStamps),
    "endless patience": patient(EndlesslyPatient),
    "observes ticks": arm(ObservesTicks, "positions_lie_within"),
    "sent but not observed": arm(ActsUnseen, "what_is_sent_is_observed"),
    "a joint is lost": arm(LosesJoint, "an_observation_matches"),
    "arrays of one for scalars": arm(ArraysOfOne, "an_observation_matches"),
    "picture of another size": arm(SmallPicture, "an_observation_matches"),
    "height and width swapped": arm(SwappedAxes, "an_observation_matches"),
    "channels first": arm(ChannelsFirst, "an_observation_matches"),
    "float picture": arm(FloatPicture, "an_observation_matches"),
    "wall-clock stamps": arm(WallClock, "an_observation_matches"),
    "stamps in seconds": arm(SecondsForStamps, "an_observation_matches"),
    "frozen stamps": arm(FrozenStamps, "stamps_go_on"),
    "one buffer for all pictures": arm(SharedPicture, "observations_share_no_memory"),
    "one dict for all observations": arm(OneDict, "share_no_memory or callers_own"),
    "old values for lost ones": arm(OldForLost, "a_failing_device"),
    "does not recover": arm(NeverRecovers, "a_failing_device"),
}
