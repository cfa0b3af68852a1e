"""Faults of aggregators and processor steps."""

from __future__ import annotations

import numpy as np

from core.mutants.kinds import Mutant
from lerobot_core.testing.fakes import (
    Delta,
    DeltaConfig,
    Mean,
    MeanConfig,
)


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


def merge(kind: type[Mean], noticed: str) -> Mutant:
    return Mutant("aggregator", lambda: kind(MeanConfig()), noticed)


def step(kind: type[Delta], noticed: str) -> Mutant:
    return Mutant("processor step", lambda: kind(DeltaConfig()), noticed)


MUTANTS = {
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
}
