"""Faults of environments."""

from __future__ import annotations

import math
import random
import threading

import numpy as np

from core.mutants.kinds import Mutant
from lerobot_core.testing.fakes import (
    ToyEnv,
    ToyEnvConfig,
)


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


def env(kind: type[ToyEnv], noticed: str) -> Mutant:
    return Mutant("environment", lambda: kind(ToyEnvConfig()), noticed)


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
}
