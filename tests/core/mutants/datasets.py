"""Faults of dataset backends."""

from __future__ import annotations

import threading

import numpy as np

from core.mutants.kinds import Backend, Mutant
from lerobot_core.errors import DataError
from lerobot_core.testing.memory import MemoryDataset, MemoryReader, MemoryWriter


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


class RoundsToHalf(MemoryReader):
    def columns(self, episode):
        found = super().columns(episode)
        return {**found, "action": found["action"].astype(np.float16).astype(np.float32)}


class DoubleReader(MemoryReader):
    def columns(self, episode):
        return {
            key: v.astype(np.float64) if v.dtype == np.float32 else v for key, v in super().columns(episode).items()
        }


class ColumnMajor(MemoryReader):
    def columns(self, episode):
        found = super().columns(episode)
        return {**found, "touch": found["touch"].transpose(0, 2, 1)}


class LosesNames(MemoryReader):
    def __getattribute__(self, name):
        import attrs

        found = super().__getattribute__(name)
        return {k: attrs.evolve(f, names=None) for k, f in found.items()} if name == "features" else found


class OneOff(MemoryReader):
    def frames(self, episode, camera):
        pictures = list(super().frames(episode, camera))
        return [pictures[0], *pictures[:-1]]


class BlueFrames(MemoryReader):
    def frames(self, episode, camera):
        return [picture[..., ::-1] for picture in super().frames(episode, camera)]


class TurnedFrames(MemoryReader):
    def frames(self, episode, camera):
        return [picture.transpose(1, 0, 2) for picture in super().frames(episode, camera)]


class OneDecoder(MemoryReader):
    """All films share one position."""

    def frames(self, episode, camera):
        self.film = super().frames(episode, camera)
        return (next(self.film) for _ in range(len(self._stored.episodes[episode][0])))


class SharedFrames(MemoryReader):
    def frames(self, episode, camera):
        return (frame[camera] for frame in self._stored.episodes[episode][0])


class AnyCamera(MemoryReader):
    def frames(self, episode, camera):
        return super().frames(episode, camera if camera in self.features else "observation.images.front")


class FromTheEnd(MemoryReader):
    """-1 is the last episode."""

    def columns(self, episode):
        return super().columns(episode % len(self._stored.episodes) if episode < 0 else episode)


class BareIndexErrors(MemoryReader):
    def columns(self, episode):
        self._stored.episodes[episode]
        return super().columns(episode)


class CountsEach(MemoryReader):
    """`index` begins anew in each episode."""

    def columns(self, episode):
        found = super().columns(episode)
        return {**found, "index": found["frame_index"]}


class TimesInFrames(MemoryReader):
    def columns(self, episode):
        found = super().columns(episode)
        return {**found, "timestamp": found["frame_index"].astype(np.float32)}


class ClockGoesOn(MemoryReader):
    def columns(self, episode):
        found = super().columns(episode)
        return {**found, "timestamp": (found["index"] / self.fps).astype(np.float32)}


class FilterByPlace(MemoryReader):
    """Rows of a part are rows of the whole."""

    def torch(self, delta_timestamps=None, transforms=None):
        kept, self.episodes = self.episodes, list(range(len(self.episodes)))
        made = super().torch(delta_timestamps)
        self.episodes = kept
        return made


class AveragesDeviations(MemoryReader):
    @property
    def stats(self):
        found = super().stats
        for key, stats in found.items():
            spread = [self.columns(episode)[key].std(0) for episode in self.episodes]
            found[key] = {**stats, "std": np.mean(spread, axis=0)}
        return found


class AveragesMeans(MemoryReader):
    @property
    def stats(self):
        found = super().stats
        for key, stats in found.items():
            means = [self.columns(episode)[key].mean(0) for episode in self.episodes]
            found[key] = {**stats, "mean": np.mean(means, axis=0)}
        return found


class StatsOfTheLast(MemoryReader):
    @property
    def stats(self):
        self.episodes, kept = self.episodes[-1:], self.episodes
        found = super().stats
        self.episodes = kept
        return found


class CrossesEpisodes(MemoryReader):
    def torch(self, delta_timestamps=None, transforms=None):
        rows = [self.columns(episode) | self._pictures(episode) for episode in self.episodes]
        whole = {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}
        tasks = [task for _, tasks in self._stored.episodes for task in tasks]
        return MemoryDataset([whole], [tasks], self.fps, delta_timestamps or {})


class Items(MemoryReader):
    """Gives torch datasets of another class."""

    kind: type = MemoryDataset

    def torch(self, delta_timestamps=None, transforms=None):
        made = super().torch(delta_timestamps)
        made.__class__ = self.kind
        return made


class NoPads(MemoryDataset):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        return {key: value & False if key.endswith("_is_pad") else value for key, value in item.items()}


class InvertedPads(MemoryDataset):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        return {key: ~value if key.endswith("_is_pad") else value for key, value in item.items()}


class ZeroPads(MemoryDataset):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        item["action"][item["action_is_pad"]] = 0
        return item


class TaskNumbers(MemoryDataset):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        return {**item, "task": str(int(item["task_index"]))}


class Repeats(MemoryDataset):
    def sampler(self, *args, **options):
        order = super().sampler(*args, **options)
        return list(np.random.default_rng(0).choice(order, len(order)))


class SameForEverySeed(MemoryDataset):
    def sampler(self, seed=0, **options):
        return super().sampler(0, **options)


class ShufflesAlways(MemoryDataset):
    def sampler(self, seed=0, shuffle=True, **options):
        return super().sampler(seed, True, **options)


class SamePart(MemoryDataset):
    def sampler(self, seed=0, shuffle=True, rank=0, world=1, **options):
        return super().sampler(seed, shuffle, **options)[: len(self) // world]


class DropsNothing(MemoryDataset):
    def sampler(self, seed=0, shuffle=True, drop_first=0, drop_last=0, **options):
        return super().sampler(seed, shuffle, **options)


class HwcPictures(MemoryDataset):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        camera = "observation.images.front"
        return {**item, camera: item[camera].permute(1, 2, 0)}


class BrightPictures(MemoryDataset):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        camera = "observation.images.front"
        return {**item, camera: item[camera] * 255}


class NextState(MemoryDataset):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        later = super().__getitem__(min(index + 1, len(self) - 1))
        return {**item, "observation.state": later["observation.state"]}


class GoesRound(MemoryDataset):
    def __getitem__(self, index):
        return super().__getitem__(index % len(self))


class SortsBatches(MemoryDataset):
    @staticmethod
    def collate(items):
        return MemoryDataset.collate(sorted(items, key=lambda item: int(item["index"])))


class HoldsAHandle(MemoryDataset):
    """Cannot be sent to a worker."""

    def __init__(self, *args):
        super().__init__(*args)

    def __getstate__(self):
        raise TypeError("cannot pickle '_io.BufferedReader' object")


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


def reader(kind: type, noticed: str) -> Mutant:
    return Mutant("dataset backend", lambda: Backend(reader=kind), noticed)


def items(kind: type, noticed: str) -> Mutant:
    return Mutant("dataset backend", lambda: Backend(reader=type("Given", (Items,), {"kind": kind})), noticed)


def backend(kind: type, noticed: str) -> Mutant:
    return Mutant("dataset backend", kind, noticed)


MUTANTS = {
    "frames by reference": writer(KeepsReferences, "frames_are_the_writers"),
    "discard forgets nothing": writer(KeepsDiscarded, "a_discarded_episode"),
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
    "half precision": reader(RoundsToHalf, "what_is_read"),
    "double precision": reader(DoubleReader, "what_is_read"),
    "column-major": reader(ColumnMajor, "what_is_read"),
    "names lost": reader(LosesNames, "what_is_read"),
    "pictures one late": reader(OneOff, "pictures_come_back"),
    "pictures in BGR": reader(BlueFrames, "pictures_come_back"),
    "pictures turned": reader(TurnedFrames, "pictures_come_back"),
    "one decoder for all": reader(OneDecoder, "side_by_side"),
    "pictures of the cache": reader(SharedFrames, "pictures_are_the_callers_own"),
    "any camera": reader(AnyCamera, "an_unknown_part"),
    "episodes from the end": reader(FromTheEnd, "an_unknown_part"),
    "IndexError for an episode": reader(BareIndexErrors, "an_unknown_part"),
    "index begins anew": reader(CountsEach, "indices_and_times"),
    "times in frames": reader(TimesInFrames, "indices_and_times"),
    "times go on": reader(ClockGoesOn, "indices_and_times"),
    "filter forgotten": backend(ForgetsTheFilter, "some_episodes"),
    "rows of a part are of the whole": reader(FilterByPlace, "windows_of_some_episodes"),
    "deviations averaged": reader(AveragesDeviations, "statistics_are_those"),
    "means averaged": reader(AveragesMeans, "statistics_are_those"),
    "statistics of the last episode": reader(StatsOfTheLast, "statistics_are_those"),
    "windows cross": reader(CrossesEpisodes, "windows_stay_in"),
    "padding lost": items(NoPads, "windows_stay_in"),
    "padding inverted": items(InvertedPads, "windows_stay_in"),
    "padding of zeros": items(ZeroPads, "windows_stay_in"),
    "numbers for tasks": items(TaskNumbers, "items_say_their_task"),
    "frames drawn twice": items(Repeats, "every_frame_once"),
    "seed not used": items(SameForEverySeed, "every_frame_once"),
    "shuffles always": items(ShufflesAlways, "every_frame_once"),
    "the same rows for all processes": items(SamePart, "processes_share"),
    "edges not dropped": items(DropsNothing, "edges_of_episodes"),
    "channels last for torch": items(HwcPictures, "items_hold_pictures"),
    "pictures up to 255": items(BrightPictures, "items_hold_pictures"),
    "state one frame ahead": items(NextState, "items_hold_the_present"),
    "reading goes round": items(GoesRound, "reading_ends"),
    "batches sorted": items(SortsBatches, "a_batch_is_its_items"),
    "cannot go to workers": items(HoldsAHandle, "spawned_workers"),
    "overwrites": backend(Overwrites, "is_not_overwritten"),
    "resumes anything": backend(ResumesAnything, "goes_on_with_the_same"),
    "begins what is missing": backend(BeginsWhatIsMissing, "cannot_be_resumed"),
    "empty for missing": backend(EmptyForMissing, "what_is_not_there_is_refused"),
}
