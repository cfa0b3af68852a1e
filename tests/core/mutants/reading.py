"""Faults of dataset backends when reading."""

from __future__ import annotations

import numpy as np

from core.mutants.kinds import Backend, Mutant
from lerobot_core.testing.memory import MemoryDataset, MemoryReader


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


def reader(kind: type, noticed: str) -> Mutant:
    return Mutant("dataset backend", lambda: Backend(reader=kind), noticed)


MUTANTS = {
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
    "rows of a part are of the whole": reader(FilterByPlace, "windows_of_some_episodes"),
    "deviations averaged": reader(AveragesDeviations, "statistics_are_those"),
    "means averaged": reader(AveragesMeans, "statistics_are_those"),
    "statistics of the last episode": reader(StatsOfTheLast, "statistics_are_those"),
    "windows cross": reader(CrossesEpisodes, "windows_stay_in"),
}
