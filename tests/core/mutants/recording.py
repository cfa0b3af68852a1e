"""Faults of dataset backends while recording."""

from __future__ import annotations

import threading

import numpy as np

from core.mutants.kinds import Backend, Mutant
from lerobot_core.errors import DataError
from lerobot_core.testing.memory import MemoryWriter


class KeepsReferences(MemoryWriter):
    def add(self, frame, *, task, stamps=None):
        super().add(frame, task=task)
        self._frames[-1] = dict(frame)


class KeepsDiscarded(MemoryWriter):
    def discard(self):
        """Forgets to forget."""

    def save_episode(self):
        saved = super().save_episode()
        self._frames, self._tasks = [], []
        return saved


class DiscardNeedsFrames(MemoryWriter):
    def discard(self):
        if not self._frames:
            raise IndexError("pop from empty list")
        super().discard()

    def finalize(self):
        self._frames, self._closed = [], True

    def save_episode(self):
        if not self._frames:
            raise DataError("no frames")
        return super().save_episode()


class SavesOnFinalize(MemoryWriter):
    def finalize(self):
        if self._frames:
            self.save_episode()
        super().finalize()


class SavesNothing(MemoryWriter):
    """An empty episode is saved as one of no frames."""

    def save_episode(self):
        if self._frames:
            return super().save_episode()
        self._stored.episodes.append(([], []))
        return self.num_episodes - 1


class OpenForEver(MemoryWriter):
    def finalize(self):
        self.discard()


class UndoKeepsTheTask(MemoryWriter):
    def undo(self):
        self._before = list(self._stored.tasks) if self._before is not None else None
        return super().undo()


class UndoesAllDay(MemoryWriter):
    def undo(self):
        self._before = self._before or []
        return super().undo()


class UndoDropsTheRunning(MemoryWriter):
    def undo(self):
        self.discard()
        return super().undo()


class CountsFromOne(MemoryWriter):
    def save_episode(self):
        return super().save_episode() + 1


class CountsTheRunning(MemoryWriter):
    @property
    def num_episodes(self):
        return len(self._stored.episodes) + bool(self._frames)

    def save_episode(self):
        return super().save_episode()


class ChecksNothing(MemoryWriter):
    def add(self, frame, *, task, stamps=None):
        known = {key: np.array(frame.get(key, 0), feature.dtype if not feature.is_picture else "uint8")
                 for key, feature in self.features.items()}  # fmt: skip
        self._frames.append(known)
        self._tasks.append(task)


class ChecksAtTheEnd(ChecksNothing):
    def save_episode(self):
        for frame in self._frames:
            for key, feature in self.features.items():
                if frame[key].shape != feature.shape:
                    self._frames, self._tasks = [], []
                    raise DataError(f"'{key}' has another shape")
        return super().save_episode()


class AddsToTheFrame(MemoryWriter):
    def add(self, frame, *, task, stamps=None):
        super().add(frame, task=task)
        frame["frame_index"] = len(self._frames) - 1


class NoStamps(MemoryWriter):
    def add(self, frame, *, task):
        super().add(frame, task=task)


class OneTask(MemoryWriter):
    """The task of the first frame is that of the episode."""

    def save_episode(self):
        self._tasks = self._tasks[:1] * len(self._tasks)
        return super().save_episode()


class AsciiTasks(MemoryWriter):
    def add(self, frame, *, task, stamps=None):
        super().add(frame, task=task.encode("ascii", "ignore").decode())


class TasksOfTheirOwn(MemoryWriter):
    def save_episode(self):
        number = len(self._stored.episodes)
        self._tasks = [f"{task}#{number}" for task in self._tasks]
        return super().save_episode()


class IntegersAsFloats(MemoryWriter):
    def add(self, frame, *, task, stamps=None):
        super().add({**frame, "count": np.array(frame["count"]).astype(np.float64).astype(np.int64)}, task=task)


class VisibleAtTheEnd(MemoryWriter):
    """Episodes appear with `finalize`."""

    def save_episode(self):
        saved = super().save_episode()
        self.late = [*getattr(self, "late", []), self._stored.episodes.pop()]
        return saved + len(self.late) - 1

    @property
    def num_episodes(self):
        return len(self._stored.episodes) + len(getattr(self, "late", []))

    def finalize(self):
        self._stored.episodes += getattr(self, "late", [])
        self.late = []
        super().finalize()


class KeepsAThread(MemoryWriter):
    def finalize(self):
        super().finalize()
        threading.Timer(1.5, int).start()


class ForgetsTheFilter(Backend):
    def open(self, episodes=None):
        return super().open()


class Overwrites(Backend):
    def create(self, features, fps, *, robot_type=None, resume=False):
        if not resume:
            self.forget()
        return super().create(features, fps, robot_type=robot_type, resume=resume)


class ResumesAnything(Backend):
    def create(self, features, fps, *, robot_type=None, resume=False):
        if resume:
            stored = self.open()._stored
            features, fps, robot_type = stored.features, stored.fps, stored.robot_type
        return super().create(features, fps, robot_type=robot_type, resume=resume)


class BeginsWhatIsMissing(Backend):
    def create(self, features, fps, *, robot_type=None, resume=False):
        try:
            return super().create(features, fps, robot_type=robot_type, resume=resume)
        except DataError:
            if not resume:
                raise
            return super().create(features, fps, robot_type=robot_type)


class EmptyForMissing(Backend):
    def open(self, episodes=None):
        try:
            return super().open(episodes)
        except DataError:
            super().create({}, 1)
            return super().open(episodes)


def writer(kind: type, noticed: str) -> Mutant:
    return Mutant("dataset backend", lambda: Backend(writer=kind), noticed)


def backend(kind: type, noticed: str) -> Mutant:
    return Mutant("dataset backend", kind, noticed)


MUTANTS = {
    "frames by reference": writer(KeepsReferences, "frames_are_the_writers"),
    "discard forgets nothing": writer(KeepsDiscarded, "a_discarded_episode"),
    "undo keeps the task": writer(UndoKeepsTheTask, "an_undone_episode"),
    "undo of more than one": writer(UndoesAllDay, "only_the_last_episode"),
    "undo drops the running episode": writer(UndoDropsTheRunning, "an_undone_episode"),
    "discard of nothing crashes": writer(DiscardNeedsFrames, "discard_can_be_called"),
    "half an episode saved": writer(SavesOnFinalize, "a_running_episode"),
    "empty episodes saved": writer(SavesNothing, "an_empty_episode or discard_can"),
    "adds after finalize": writer(OpenForEver, "a_closed_dataset"),
    "episodes counted from one": writer(CountsFromOne, "what_is_read"),
    "counts the running episode": writer(CountsTheRunning, "the_writer_counts"),
    "frames are not checked": writer(ChecksNothing, "a_wrong_frame"),
    "frames are checked too late": writer(ChecksAtTheEnd, "a_wrong_frame"),
    "adds keys to the frame": writer(AddsToTheFrame, "the_frame_is_left_alone"),
    "no stamps": writer(NoStamps, "stamps_are_taken"),
    "one task per episode": writer(OneTask, "tasks_are_kept"),
    "tasks in ASCII": writer(AsciiTasks, "tasks_are_kept"),
    "a task per episode": writer(TasksOfTheirOwn, "equal_tasks or items_say"),
    "integers through floats": writer(IntegersAsFloats, "numbers_come_back"),
    "episodes appear at the end": writer(VisibleAtTheEnd, "while_recording"),
    "encoder left running": writer(KeepsAThread, "nothing_goes_on"),
    "filter forgotten": backend(ForgetsTheFilter, "some_episodes"),
    "overwrites": backend(Overwrites, "is_not_overwritten"),
    "resumes anything": backend(ResumesAnything, "goes_on_with_the_same"),
    "begins what is missing": backend(BeginsWhatIsMissing, "cannot_be_resumed"),
    "empty for missing": backend(EmptyForMissing, "what_is_not_there_is_refused"),
}
