"""Faults of environments, trackers, aggregators, steps and commands."""

from __future__ import annotations

import math
import random
import threading
import time
from pathlib import Path

import click
import numpy as np

from core.mutants.kinds import Mutant
from lerobot_core.components import Command
from lerobot_core.testing.fakes import (
    Delta,
    DeltaConfig,
    Mean,
    MeanConfig,
    ToyEnv,
    ToyEnvConfig,
    ToyTracker,
    ToyTrackerConfig,
)

# --- environments -----------------------------------------------------------------------------------------------------


class NoSeed(ToyEnv):
    def reset(self, *, seed=None):
        return super().reset(seed=random.randrange(10**6))


class OneStart(ToyEnv):
    def reset(self, *, seed=None):
        return super().reset(seed=0)


class AlwaysAnew(ToyEnv):
    def reset(self, *, seed=None):
        self.seed = seed if seed is not None else getattr(self, "seed", 0)
        return super().reset(seed=self.seed)


class KeepsThePose(ToyEnv):
    """`reset` draws the place and leaves the arm where it was."""

    def reset(self, *, seed=None):
        at, began = self._at, getattr(self, "began", False)
        super().reset(seed=seed)
        self.began = True
        self._at = at if began else self._at
        return self._seen(), {"is_success": False}


class SeedsAll(ToyEnv):
    def reset(self, *, seed=None):
        random.seed(seed)
        return super().reset(seed=seed)


class ObservationOnly(ToyEnv):
    def reset(self, *, seed=None):
        return super().reset(seed=seed)[0]


class FourWords(ToyEnv):
    def step(self, action):
        seen, reward, terminated, truncated, info = super().step(action)
        return seen, reward, terminated or truncated, info


class NumpyBooleans(ToyEnv):
    def step(self, action):
        seen, reward, terminated, truncated, info = super().step(action)
        return seen, np.float32(reward), np.bool_(terminated), np.bool_(truncated), info


class NeverEnds(ToyEnv):
    def step(self, action):
        self._left = None if self._left is None else max(self._left, 10)
        return super().step(action)


class GoesOn(ToyEnv):
    def step(self, action):
        self._left = self._left or (self.config.steps if hasattr(self, "began") else None)
        self.began = True
        return super().step(action)


class StepsFromNowhere(ToyEnv):
    def step(self, action):
        if self._left is None and not hasattr(self, "began"):
            self.reset()
        self.began = True
        return super().step(action)


class TakesNan(ToyEnv):
    def step(self, action):
        return super().step({key: value if math.isfinite(value) else 0.0 for key, value in action.items()})


class TakesAnyKey(ToyEnv):
    def step(self, action):
        return super().step({key: action.get(key, 0.0) for key in self.action_features})


class DropsActions(ToyEnv):
    def step(self, action):
        super().step(action)
        self._at = np.zeros(2)
        return self._seen(), 0.0, False, self._left is None, {}


class ChangesActions(ToyEnv):
    def step(self, action):
        found = super().step(action)
        for key in action:
            action[key] = 0.0
        return found


class OnePicture(ToyEnv):
    def _seen(self):
        seen = super()._seen()
        self.buffer = getattr(self, "buffer", np.zeros_like(seen["top"]))
        self.buffer[...] = seen["top"]
        return {**seen, "top": self.buffer}


class PlacesAsVector(ToyEnv):
    def _seen(self):
        seen = {key: value for key, value in super()._seen().items() if not key.startswith("place")}
        return {**seen, "place": self._place.astype(np.float32)}


class FirstChannels(ToyEnv):
    def _seen(self):
        seen = super()._seen()
        return {**seen, "top": seen["top"].transpose(2, 0, 1).copy()}


class ClosedTwice(ToyEnv):
    def close(self):
        if getattr(self, "closed", False) and not getattr(self, "told", False):
            self.told = True
            raise RuntimeError("already closed")
        self.closed = True
        super().close()


class StepsWhenClosed(ToyEnv):
    def close(self):
        """The window is closed, the rest stays."""


class LeavesARenderer(ToyEnv):
    def reset(self, *, seed=None):
        threading.Timer(1.0, int).start()
        return super().reset(seed=seed)


# --- trackers ---------------------------------------------------------------------------------------------------------


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


# --- aggregators and steps --------------------------------------------------------------------------------------------


class DriftsAway(Mean):
    def __call__(self, old, new):
        return np.float32(0.7) * old + np.float32(0.4) * new


class InexactMean(Mean):
    def __call__(self, old, new):
        return np.float32(0.7) * old + np.float32(0.3) * new


class InPlace(Mean):
    def __call__(self, old, new):
        old += np.float32(0.5) * (new - old)
        return old


class Widens(Mean):
    def __call__(self, old, new):
        return old + 0.5 * (new.astype(np.float64) - old)


class Squeezes(Mean):
    def __call__(self, old, new):
        return super().__call__(old, new).squeeze()


class Overshoots(Mean):
    def __call__(self, old, new):
        return old + np.float32(1.5) * (new - old)


class EmptyCrashes(Mean):
    def __call__(self, old, new):
        new[0]
        return super().__call__(old, new)


class OwnMemory(Mean):
    def __call__(self, old, new):
        self.last = super().__call__(
            getattr(self, "last", old) if getattr(self, "last", old).shape == old.shape else old, new
        )
        return self.last


class ForgetsNothing(Delta):
    def reset(self):
        """Keeps the last values."""


class SaysNothing(Delta):
    def features(self, features):
        return dict(features)


class WritesInto(Delta):
    def __call__(self, values):
        if "front" in values:
            values["front"][...] = 0
        return super().__call__(values)


class DropsPictures(Delta):
    def __call__(self, values):
        return {key: value for key, value in super().__call__(values).items() if np.ndim(value) == 0}


class Divides(Delta):
    def __call__(self, values):
        found = super().__call__(values)
        return (
            {key: value / value if key.endswith(".delta") and value == 0 else value for key, value in found.items()}
            if (all(value == 0 for value in self.last.values()))
            else found
        )


class FillsOneDict(Delta):
    def __call__(self, values):
        self.out = getattr(self, "out", {})
        self.out.update(super().__call__(values))
        return self.out


class KeyErrors(Delta):
    def __call__(self, values):
        values["a.pos"], values["front"]
        return super().__call__(values)


class LearnsFromFeatures(Delta):
    def features(self, features):
        self.last = dict.fromkeys(features, 1000.0)
        return super().features(features)


class FloatsOnly(Delta):
    def __call__(self, values):
        found = super().__call__(values)
        return {k: v for k, v in found.items() if not k.endswith(".delta") or type(values[k[:-6]]) is float}


# --- commands ---------------------------------------------------------------------------------------------------------


@click.command("turns")
@click.option("--angle", type=float, default=90.0, help="angle of a turn [deg]")
def another_help(angle: float) -> None:
    """Something else altogether."""


@click.command("turns")
@click.option("--angle", type=float, default=90.0)
def unexplained(angle: float) -> None:
    """Say how many turns make a whole one."""


@click.command("turns", context_settings={"ignore_unknown_options": True})
@click.argument("rest", nargs=-1)
def takes_anything(rest: tuple[str, ...]) -> None:
    """Say how many turns make a whole one."""


@click.command("turns", context_settings={"ignore_unknown_options": True})
@click.argument("rest", nargs=-1)
def crashes(rest: tuple[str, ...]) -> None:
    """Say how many turns make a whole one."""
    raise KeyError(rest[0])


def _print_long(context: click.Context, option: click.Parameter, value: str) -> None:
    if value:
        raise click.UsageError("\n".join(f"line {number}" for number in range(30)))


@click.command("turns", context_settings={"ignore_unknown_options": True})
@click.argument("rest", nargs=-1, callback=_print_long)
def lectures(rest: tuple[str, ...]) -> None:
    """Say how many turns make a whole one."""


class Folder(click.Command):
    def get_help(self, ctx: click.Context) -> str:
        Path("turns-output").mkdir(exist_ok=True)
        return super().get_help(ctx)


class Counting(click.Command):
    asked = 0

    def get_help(self, ctx: click.Context) -> str:
        self.asked += 1
        return f"{super().get_help(ctx)}\n{self.asked}"


@click.command("turns", cls=Folder)
def makes_folders() -> None:
    """Say how many turns make a whole one."""


@click.command("turns", cls=Counting)
def counts() -> None:
    """Say how many turns make a whole one."""


def no_command() -> None:
    """Say how many turns make a whole one."""


SUMMARY = "Say how many turns make a whole one."


def command(noticed: str, target: str = "lerobot_core.testing.fakes.software:turns", **changes: str) -> Mutant:
    named = Command("toy turns", target, SUMMARY)._replace(**changes)
    return Mutant("command", lambda: named, noticed)


def env(kind: type[ToyEnv], noticed: str) -> Mutant:
    return Mutant("environment", lambda: kind(ToyEnvConfig()), noticed)


def tracker(kind: type[ToyTracker], noticed: str) -> Mutant:
    return Mutant("tracker", lambda: kind(ToyTrackerConfig()), noticed)


def merge(kind: type[Mean], noticed: str) -> Mutant:
    return Mutant("aggregator", lambda: kind(MeanConfig()), noticed)


def step(kind: type[Delta], noticed: str) -> Mutant:
    return Mutant("processor step", lambda: kind(DeltaConfig()), noticed)


HERE = __name__
MUTANTS = {
    "seed ignored": env(NoSeed, "a_seed_repeats"),
    "one start": env(OneStart, "seeds_differ"),
    "every episode is the first": env(AlwaysAnew, "episodes_go_on"),
    "pose kept over reset": env(KeepsThePose, "what_came_before"),
    "seeds everybody": env(SeedsAll, "global_generators"),
    "reset gives no info": env(ObservationOnly, "five_words"),
    "four words": env(FourWords, "five_words"),
    "booleans of numpy": env(NumpyBooleans, "five_words"),
    "never ends": env(NeverEnds, "every_episode_ends"),
    "goes on after the end": env(GoesOn, "after_the_end"),
    "steps from nowhere": env(StepsFromNowhere, "a_step_needs_a_reset"),
    "env takes NaN": env(TakesNan, "no_number_is_refused"),
    "env takes any key": env(TakesAnyKey, "wrong_keys"),
    "actions dropped": env(DropsActions, "actions_matter"),
    "action written into": env(ChangesActions, "the_action_is_left_alone"),
    "env's one buffer": env(OnePicture, "callers_own"),
    "keys that are no features": env(PlacesAsVector, "observations_match"),
    "env's channels first": env(FirstChannels, "observations_match"),
    "closed twice raises": env(ClosedTwice, "close_can_be_called"),
    "steps when closed": env(StepsWhenClosed, "after_close"),
    "renderer left running": env(LeavesARenderer, "nothing_outlives"),
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
    "weights above one": merge(DriftsAway, "what_both_say"),
    "inexact weights": merge(InexactMean, "what_both_say"),
    "merges in place": merge(InPlace, "inputs_stay_untouched"),
    "float64 merge": merge(Widens, "shape_and_dtype"),
    "single steps squeezed": merge(Squeezes, "shape_and_dtype"),
    "overshoots": merge(Overshoots, "lies_between"),
    "no overlap crashes": merge(EmptyCrashes, "no_overlap"),
    "memory between calls": merge(OwnMemory, "depends_on_nothing_else"),
    "state kept over reset": step(ForgetsNothing, "reset_forgets"),
    "features do not tell": step(SaysNothing, "its_features_tell"),
    "values written into": step(WritesInto, "the_values_given"),
    "pictures dropped": step(DropsPictures, "its_features_tell"),
    "divides by zero": step(Divides, "numbers_stay_numbers"),
    "one dict for all results": step(FillsOneDict, "its_own_dict"),
    "KeyError for a missing value": step(KeyErrors, "a_missing_value"),
    "features change the state": step(LearnsFromFeatures, "asking_for_features"),
    "floats of Python only": step(FloatsOnly, "numbers_of_numpy"),
    "help of something else": command("help_explains", f"{HERE}:another_help"),
    "option without help": command("every_option", f"{HERE}:unexplained"),
    "takes any option": command("does_not_know", f"{HERE}:takes_anything"),
    "traceback for an option": command("does_not_know", f"{HERE}:crashes"),
    "thirty lines for an option": command("does_not_know", f"{HERE}:lectures"),
    "help makes a folder": command("help_does_nothing", f"{HERE}:makes_folders"),
    "help counts": command("asked_twice", f"{HERE}:counts"),
    "function for a command": command("target_is_a_command", f"{HERE}:no_command"),
    "imports torch for its help": command("importing_it_is_light", "core.mutants.heavy:turns"),
    "prints at import": command("importing_it_is_light", "core.mutants.loud:turns"),
    "target misspelt": command("target_is_a_command", "lerobot_core.testing.fakes.software:turn"),
    "capitals in its name": command("its_name_is_words", name="Toy Turns"),
    "summary of two lines": command("its_summary", summary=f"{SUMMARY}\nAnd more."),
}
