"""Faults of teleoperators."""

from __future__ import annotations

import math
import threading

from core.mutants.kinds import Mutant
from lerobot_core.errors import DeviceError
from lerobot_core.testing.fakes import ToyLeader, ToyLeaderConfig


class ReadsWithout(ToyLeader):
    def get_action(self):
        return super().get_action() if self.is_connected else dict.fromkeys(self.action_features, 0.0)


class KeepsThread(ToyLeader):
    def connect(self, calibrate=True):
        super().connect(calibrate)
        threading.Timer(1.0, int).start()


class StuckHand(ToyLeader):
    def get_action(self):
        self.first = getattr(self, "first", super().get_action())
        return dict(self.first)


class OneAction(ToyLeader):
    def get_action(self):
        self.action = getattr(self, "action", {})
        self.action.update(super().get_action())
        return self.action


class MissesAJoint(ToyLeader):
    def get_action(self):
        action = super().get_action()
        del action["gripper.pos"]
        return action


class GivesNan(ToyLeader):
    def get_action(self):
        return {**super().get_action(), "gripper.pos": math.nan}


class Words(ToyLeader):
    def get_action(self):
        return {key: f"{value:.1f}" for key, value in super().get_action().items()}


class OwnEvents(ToyLeader):
    def get_events(self):
        return {"stop_recording": False}


class EventsAreNumbers(ToyLeader):
    def get_events(self):
        return {"success": 0}


class FeelsNothing(ToyLeader):
    def send_feedback(self, feedback):
        raise NotImplementedError


class NoWayBack(ToyLeader):
    def connect(self, calibrate=True):
        if getattr(self, "used", False):
            raise DeviceError("port is busy")
        self.used = True
        super().connect(calibrate)


class SpacesInItsName(ToyLeader):
    name = "my leader"


def leader(kind: type[ToyLeader], noticed: str) -> Mutant:
    return Mutant("teleoperator", lambda: kind(ToyLeaderConfig()), noticed)


MUTANTS = {
    "action without a connection": leader(ReadsWithout, "the_first_read_needs"),
    "thread left behind": leader(KeepsThread, "no_thread_outlives"),
    "stale action": leader(StuckHand, "actions_follow"),
    "one dict for all actions": leader(OneAction, "actions_are_the_callers_own"),
    "leader misses a joint": leader(MissesAJoint, "an_action_matches"),
    "leader gives NaN": leader(GivesNan, "an_action_matches"),
    "numbers as words": leader(Words, "an_action_matches"),
    "events of its own": leader(OwnEvents, "events_are_known"),
    "events are numbers": leader(EventsAreNumbers, "events_are_known"),
    "feedback is not implemented": leader(FeelsNothing, "feedback_is_taken"),
    "connects once": leader(NoWayBack, "connects_and_reads_again"),
    "spaces in its name": leader(SpacesInItsName, "its_name_can_name"),
}
