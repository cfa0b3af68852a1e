"""Faults of trackers."""

from __future__ import annotations

import math
import threading
import time

from core.mutants.kinds import Mutant
from lerobot_core.testing.fakes import (
    ToyTracker,
    ToyTrackerConfig,
)


class Rounds(ToyTracker):
    def log(self, values, *, step):
        super().log({key: round(value, 3) for key, value in values.items()}, step=step)


class CountsItself(ToyTracker):
    def log(self, values, *, step):
        super().log(values, step=len(self.rows))


class FirstNamesOnly(ToyTracker):
    """Columns are those of the first row."""

    def log(self, values, *, step):
        self.names = getattr(self, "names", list(values))
        super().log({key: values.get(key, math.nan) for key in self.names}, step=step)


class DropsNan(ToyTracker):
    def log(self, values, *, step):
        super().log({key: value for key, value in values.items() if math.isfinite(value)}, step=step)


class JsonOnly(ToyTracker):
    def log(self, values, *, step):
        if not all(type(value) in (int, float) for value in [step, *values.values()]):
            raise TypeError("Object of type float32 is not JSON serializable")
        super().log(values, step=step)


class KeepsTheDict(ToyTracker):
    def log(self, values, *, step):
        super().log(values, step=step)
        self.rows[-1] = (step, values)


class AddsTheStep(ToyTracker):
    def log(self, values, *, step):
        super().log(values, step=step)
        values["step"] = step


class StepsOnlyUp(ToyTracker):
    def log(self, values, *, step):
        if self.rows and step <= self.rows[-1][0]:
            raise ValueError("steps must increase")
        super().log(values, step=step)


class WaitsForTheServer(ToyTracker):
    def log(self, values, *, step):
        time.sleep(0.05)
        super().log(values, step=step)


class LosesTheLate(ToyTracker):
    def log(self, values, *, step):
        if not self._closed:
            super().log(values, step=step)


class Sends(ToyTracker):
    def close(self):
        super().close()
        threading.Timer(1.0, int).start()


def tracker(kind: type[ToyTracker], noticed: str) -> Mutant:
    return Mutant("tracker", lambda: kind(ToyTrackerConfig()), noticed)


MUTANTS = {
    "numbers rounded": tracker(Rounds, "numbers_are_kept"),
    "steps counted": tracker(CountsItself, "numbers_are_kept"),
    "columns of the first row": tracker(FirstNamesOnly, "names_may_come"),
    "NaN dropped": tracker(DropsNan, "a_diverging_run"),
    "JSON numbers only": tracker(JsonOnly, "numbers_of_numpy"),
    "tracker keeps the dict": tracker(KeepsTheDict, "use_its_dict_again"),
    "adds the step to the dict": tracker(AddsTheStep, "callers_dict"),
    "steps only up": tracker(StepsOnlyUp, "a_step_may_come_twice"),
    "waits for a server": tracker(WaitsForTheServer, "logging_is_quick"),
    "late rows lost": tracker(LosesTheLate, "a_closed_run"),
    "goes on sending": tracker(Sends, "nothing_outlives"),
}
