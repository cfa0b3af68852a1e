"""Faults of policies at inference."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

from core.mutants.kinds import Mutant
from lerobot_core.roles import ActionChunk
from lerobot_core.testing.fakes import TinyConfig, TinyPolicy


def with_actions(chunks: Any, change: Any) -> list[ActionChunk]:
    return [ActionChunk(actions=change(one.actions), step=one.step, observed=one.observed) for one in chunks]


class OneGenerator(TinyPolicy):
    """Every client draws from the same numbers."""

    def session(self, seed=0):
        made = super().session(seed)
        self.generator = made.generator = getattr(self, "generator", made.generator)
        return made


class NoSeed(TinyPolicy):
    def session(self, seed=0):
        return super().session(0)


class GlobalNoise(TinyPolicy):
    def infer(self, sessions, observations, executed_steps):
        chunks = super().infer(sessions, observations, executed_steps)
        return with_actions(chunks, lambda a: a + np.float32(random.gauss(0, 0.1)))


class SeedsTheProcess(TinyPolicy):
    def infer(self, sessions, observations, executed_steps):
        random.seed(0)
        return super().infer(sessions, observations, executed_steps)


class OneWindow(TinyPolicy):
    """What was seen last is kept in the policy."""

    def infer(self, sessions, observations, executed_steps):
        for session in sessions:
            session.last = getattr(self, "last", None)
        chunks = super().infer(sessions, observations, executed_steps)
        self.last = sessions[-1].last if sessions else None
        return chunks


class OneSession(TinyPolicy):
    def session(self, seed=0):
        self.only = getattr(self, "only", None) or super().session(seed)
        return self.only


class OneTask(TinyPolicy):
    """The task is kept in the class."""

    def session(self, seed=0):
        made = super().session(seed)
        made.__class__ = type("Shared", (type(made),), {"task": property(lambda s: self.task, self.tell)})
        return made

    task = ""

    def tell(self, session, task):
        self.task = task


class LooksAround(TinyPolicy):
    """Scales by the batch."""

    def infer(self, sessions, observations, executed_steps):
        chunks = super().infer(sessions, observations, executed_steps)
        return with_actions(chunks, lambda a: a / np.float32(len(chunks)))


class SwapsRows(TinyPolicy):
    def infer(self, sessions, observations, executed_steps):
        return super().infer(sessions, observations, executed_steps)[::-1]


class Blind(TinyPolicy):
    def infer(self, sessions, observations, executed_steps):
        nothing = [{"observation.state": np.zeros(3, np.float32)} for _ in observations]
        return super().infer(sessions, nothing, executed_steps)


class FillsWithZeros(TinyPolicy):
    def _state(self, observation):
        return super()._state({"observation.state": np.zeros(3, np.float32), **observation})


class BareKeyErrors(TinyPolicy):
    def _state(self, observation):
        return np.array(observation["observation.state"], np.float32)[:3]


class CutsToSize(TinyPolicy):
    def _state(self, observation):
        state = observation.get("observation.state")
        return super()._state({**observation, "observation.state": state[:3]} if state is not None else observation)


class WritesInto(TinyPolicy):
    def _state(self, observation):
        state = super()._state(observation)
        observation["observation.state"][...] = 0
        return state


class NeedsPlainMemory(TinyPolicy):
    def _state(self, observation):
        state = observation.get("observation.state")
        if state is not None:
            state.flags.writeable = True
        return super()._state(observation)


class RefusesMore(TinyPolicy):
    def _state(self, observation):
        if set(observation) != set(self.input_features):
            raise ValueError("unexpected keys")
        return super()._state(observation)


class DoublePrecision(TinyPolicy):
    def infer(self, sessions, observations, executed_steps):
        return with_actions(super().infer(sessions, observations, executed_steps), lambda a: a.astype(np.float64))


class ExtraAxis(TinyPolicy):
    def infer(self, sessions, observations, executed_steps):
        return with_actions(super().infer(sessions, observations, executed_steps), lambda a: a[None])


class AxesSwapped(TinyPolicy):
    def infer(self, sessions, observations, executed_steps):
        return with_actions(super().infer(sessions, observations, executed_steps), lambda a: a.T.copy())


class ShortAtFirst(TinyPolicy):
    def infer(self, sessions, observations, executed_steps):
        fresh = any(session.last is None for session in sessions)
        return with_actions(super().infer(sessions, observations, executed_steps), lambda a: a[:4] if fresh else a)


class OneStep(TinyPolicy):
    """All rows get the step of the first."""

    def infer(self, sessions, observations, executed_steps):
        return super().infer(sessions, observations, list(executed_steps)[:1] * len(executed_steps))


class OwnSteps(TinyPolicy):
    def infer(self, sessions, observations, executed_steps):
        return super().infer(sessions, observations, [0] * len(executed_steps))


class DropsTheRest(TinyPolicy):
    def infer(self, sessions, observations, executed_steps):
        n = min(len(sessions), len(observations))
        return super().infer(sessions[:n], observations[:n], executed_steps[:n])


class NobodyCrashes(TinyPolicy):
    def infer(self, sessions, observations, executed_steps):
        np.stack(
            [observation["observation.state"] for observation in observations if "observation.state" in observation]
        )
        return super().infer(sessions, observations, executed_steps)


class KeepsItsChunk(TinyPolicy):
    """Blends with the array it handed out."""

    def infer(self, sessions, observations, executed_steps):
        chunks = super().infer(sessions, observations, executed_steps)
        out = []
        for session, chunk in zip(sessions, chunks, strict=True):
            before = getattr(session, "chunk", chunk.actions)
            session.chunk = (chunk.actions + before) / 2
            out.append(ActionChunk(actions=session.chunk, step=chunk.step, observed=chunk.observed))
        return out


class Remembers(TinyPolicy):
    def session(self, seed=0):
        made = super().session(seed)
        made.reset = lambda: None
        return made


class SavesRounded(TinyPolicy):
    def save_pretrained(self, directory):
        kept, self.weight = self.weight, self.weight.round(3)
        super().save_pretrained(directory)
        self.weight = kept


class SavesDefaults(TinyPolicy):
    def save_pretrained(self, directory):
        super().save_pretrained(directory)
        Path(directory, "config.json").write_text('{"type": "tiny", "noise": 0.0}')


class Pickles(TinyPolicy):
    def save_pretrained(self, directory):
        super().save_pretrained(directory)
        Path(directory, "training_state.pt").write_bytes(b"")


class SavesOnce(TinyPolicy):
    def save_pretrained(self, directory):
        Path(directory).mkdir()
        super().save_pretrained(directory)


class HalvedBySaving(TinyPolicy):
    def save_pretrained(self, directory):
        super().save_pretrained(directory)
        self.weight = self.weight.astype(np.float16).astype(np.float32)


def tiny(kind: type[TinyPolicy], noticed: str) -> Mutant:
    return Mutant("policy", lambda: kind(TinyConfig()), noticed)


MUTANTS = {
    "one generator": tiny(OneGenerator, "interleaved_clients"),
    "seed of sessions not used": tiny(NoSeed, "seeds_differ"),
    "noise from the process": tiny(GlobalNoise, "a_seed_repeats"),
    "seeds the process": tiny(SeedsTheProcess, "global_generators"),
    "one window": tiny(OneWindow, "interleaved_clients"),
    "one session": tiny(OneSession, "a_session_knows_nothing or interleaved"),
    "one task": tiny(OneTask, "a_session_knows_nothing"),
    "rows depend on each other": tiny(LooksAround, "rows_do_not_depend"),
    "rows swapped": tiny(SwapsRows, "chunks_carry or rows_do_not"),
    "blind": tiny(Blind, "the_answer_depends"),
    "zeros for what is missing": tiny(FillsWithZeros, "a_missing_observation"),
    "KeyError for what is missing": tiny(BareKeyErrors, "a_missing_observation"),
    "cuts to size": tiny(CutsToSize, "a_wrong_shape"),
    "observation written into": tiny(WritesInto, "observations_are_not_changed"),
    "needs plain memory": tiny(NeedsPlainMemory, "borrowed_observations"),
    "refuses more": tiny(RefusesMore, "more_than_it_needs"),
    "float64 chunks": tiny(DoublePrecision, "a_chunk_is_what"),
    "one axis too many": tiny(ExtraAxis, "a_chunk_is_what"),
    "steps and joints swapped": tiny(AxesSwapped, "a_chunk_is_what"),
    "short chunk at first": tiny(ShortAtFirst, "chunks_keep_their_size"),
    "one step for all": tiny(OneStep, "chunks_carry"),
    "steps of its own": tiny(OwnSteps, "a_chunk_is_what"),
    "drops sessions": tiny(DropsTheRest, "belong_together"),
    "nobody crashes it": tiny(NobodyCrashes, "nobody_asks"),
    "keeps the chunk it gave": tiny(KeepsItsChunk, "chunks_are_the_callers_own"),
    "reset forgets nothing": tiny(Remembers, "a_reset_session"),
    "weights rounded": tiny(SavesRounded, "what_is_saved"),
    "config not saved": tiny(SavesDefaults, "its_config_comes_back or what_is_saved"),
    "saves a pickle": tiny(Pickles, "holds_no_code"),
    "saves once": tiny(SavesOnce, "saving_changes_nothing"),
    "halved by saving": tiny(HalvedBySaving, "saving_changes_nothing or what_is_saved"),
}
