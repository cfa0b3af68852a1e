"""A dataset backend that keeps everything in memory: for tests and demos, and the shortest example of the role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from lerobot_core.errors import DataError, FeatureError, did_you_mean
from lerobot_core.features import Feature

_DEFAULT_KEYS = ("timestamp", "frame_index", "episode_index", "index", "task_index")


@attrs.frozen(kw_only=True)
class MemoryConfig:
    """A dataset that is gone with the process.

    Attributes:
        repo_id: name of the dataset; one name is one dataset per process.
    """

    repo_id: str = "memory/dataset"


@attrs.define
class Stored:
    """What one dataset is made of; an episode is (frames, task)."""

    features: dict[str, Feature]
    fps: int
    robot_type: str | None
    episodes: list[tuple[list[dict[str, np.ndarray]], list[str]]]
    tasks: list[str]


_STORE: dict[str, Stored] = {}


class MemoryBackend:
    """Makes writers and readers of datasets in memory."""

    def __init__(self, config: MemoryConfig) -> None:
        self.config = config

    def create(
        self, features: Mapping[str, Feature], fps: int, *, robot_type: str | None = None, resume: bool = False
    ) -> MemoryWriter:
        there = _STORE.get(self.config.repo_id)
        if (there is not None) != resume:
            found = "exists already" if there is not None else "does not exist"
            raise DataError(f"dataset '{self.config.repo_id}' {found}", hint="use resume, or another repo_id")
        if there is None:
            there = _STORE[self.config.repo_id] = Stored(dict(features), fps, robot_type, [], [])
        if (there.features, there.fps, there.robot_type) != (dict(features), fps, robot_type):
            raise DataError(
                f"dataset '{self.config.repo_id}' has another robot, rate or features",
                hint="record with the same robot and rate, or to another repo_id",
            )
        return MemoryWriter(there)

    def open(self, episodes: Sequence[int] | None = None) -> MemoryReader:
        if self.config.repo_id not in _STORE:
            raise DataError(f"dataset '{self.config.repo_id}' does not exist", hint="record it first")
        return MemoryReader(_STORE[self.config.repo_id], episodes)

    def forget(self) -> None:
        """Remove the dataset."""
        _STORE.pop(self.config.repo_id, None)


class MemoryWriter:
    """Adds episodes to a stored dataset."""

    def __init__(self, stored: Stored) -> None:
        self.features = stored.features
        self._stored = stored
        self._frames: list[dict[str, np.ndarray]] = []
        self._tasks: list[str] = []
        self._closed = False
        self._before: list[str] | None = None

    @property
    def num_episodes(self) -> int:
        return len(self._stored.episodes)

    def add(self, frame: Mapping[str, Any], *, task: str, stamps: Mapping[str, int] | None = None) -> None:
        if self._closed:
            raise DataError("the dataset is finalized", hint="create it again with resume")
        for key in {**self.features, **frame}:
            if key not in frame or key not in self.features:
                what = "missing" if key not in frame else f"unknown{did_you_mean(key, self.features)}"
                raise FeatureError(f"'{key}' is {what}")
            if np.shape(frame[key]) != self.features[key].shape:
                raise FeatureError(f"'{key}' has shape {np.shape(frame[key])}, needed is {self.features[key]}")
        kinds = {key: "uint8" if feature.is_picture else feature.dtype for key, feature in self.features.items()}
        self._frames.append({key: np.array(value, kinds[key]) for key, value in frame.items()})
        self._tasks.append(task)

    def save_episode(self) -> int:
        if not self._frames:
            raise DataError("the episode has no frames", hint="add frames before saving")
        self._before = list(self._stored.tasks)
        for task in self._tasks:
            if task not in self._stored.tasks:
                self._stored.tasks.append(task)
        self._stored.episodes.append((self._frames, self._tasks))
        self.discard()
        return self.num_episodes - 1

    def undo(self) -> int:
        if self._before is None:
            raise DataError("no episode can be taken back", hint="only the one saved last can, once")
        self._stored.episodes.pop()
        self._stored.tasks[:], self._before = self._before, None
        return self.num_episodes

    def discard(self) -> None:
        self._frames, self._tasks = [], []

    def finalize(self) -> None:
        self.discard()
        self._closed = True


class MemoryReader:
    """Episodes of a stored dataset, by their numbers in it."""

    def __init__(self, stored: Stored, episodes: Sequence[int] | None) -> None:
        self._stored = stored
        self.episodes = list(range(len(stored.episodes)) if episodes is None else episodes)
        numbers = {key: Feature(dtype="int64", shape=(1,)) for key in _DEFAULT_KEYS}
        self.features = {**stored.features, **numbers, "timestamp": Feature(dtype="float32", shape=(1,))}
        self.fps = stored.fps
        self.num_episodes = len(self.episodes)
        self.num_frames = sum(len(stored.episodes[episode][0]) for episode in self.episodes)

    @property
    def stats(self) -> dict[str, dict[str, np.ndarray]]:
        out = {}
        for key, feature in self._stored.features.items():
            if feature.dtype.startswith("float"):
                values = np.concatenate([self.columns(episode)[key] for episode in self.episodes]).astype(np.float64)
                named = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
                out[key] = named | {"count": np.array([len(values)])}
        return out

    def columns(self, episode: int) -> dict[str, np.ndarray]:
        if episode not in range(len(self._stored.episodes)):
            raise DataError(f"no episode {episode}, there are {len(self._stored.episodes)}", episode=episode)
        frames, tasks = self._stored.episodes[episode]
        start, length = sum(len(self._stored.episodes[before][0]) for before in range(episode)), len(frames)
        columns = {
            key: np.stack([frame[key] for frame in frames])
            for key, feature in self._stored.features.items()
            if not feature.is_picture
        }
        return columns | {
            "timestamp": np.arange(length, dtype=np.float32) / np.float32(self.fps),
            "frame_index": np.arange(length),
            "episode_index": np.full(length, episode),
            "index": np.arange(start, start + length),
            "task_index": np.array([self._stored.tasks.index(task) for task in tasks]),
        }

    def frames(self, episode: int, camera: str) -> Iterator[np.ndarray]:
        if camera not in self._cameras:
            near = did_you_mean(camera, self._cameras)
            raise DataError(f"no camera '{camera}'{near} (known: {', '.join(self._cameras) or 'none'})")
        return (frame[camera].copy() for frame in self._stored.episodes[episode][0])

    @property
    def _cameras(self) -> list[str]:
        return [key for key, feature in self._stored.features.items() if feature.is_picture]

    def _pictures(self, episode: int) -> dict[str, np.ndarray]:
        """Camera → (length, C, H, W) float32 from 0 to 1."""
        films = {camera: np.stack(list(self.frames(episode, camera))) for camera in self._cameras}
        return {camera: film.transpose(0, 3, 1, 2).astype(np.float32) / 255 for camera, film in films.items()}

    def torch(
        self, delta_timestamps: Mapping[str, Sequence[float]] | None = None, transforms: Any = None
    ) -> MemoryDataset:
        rows = [self.columns(episode) | self._pictures(episode) for episode in self.episodes]
        tasks = [self._stored.episodes[episode][1] for episode in self.episodes]
        return MemoryDataset(rows, tasks, self.fps, delta_timestamps or {})


class MemoryDataset:
    """A map-style dataset of torch tensors with windows."""

    def __init__(
        self,
        rows: list[dict[str, np.ndarray]],
        tasks: list[list[str]],
        fps: int,
        delta_timestamps: Mapping[str, Sequence[float]],
    ) -> None:
        self._rows, self._tasks = rows, tasks
        for key, deltas in delta_timestamps.items():
            if rows and key not in rows[0]:
                raise DataError(f"delta_timestamps names '{key}'{did_you_mean(key, rows[0])}")
            if any(abs(round(delta * fps) - delta * fps) > 1e-3 for delta in deltas):
                raise DataError(f"delta_timestamps['{key}'] are no multiples of 1/{fps} s")
        self._steps = {key: [round(delta * fps) for delta in deltas] for key, deltas in delta_timestamps.items()}
        self._places = [(which, step) for which, row in enumerate(rows) for step in range(len(row["index"]))]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> dict[str, Any]:
        import torch

        which, step = self._places[index]
        item: dict[str, Any] = {}
        for key, column in self._rows[which].items():
            steps = np.array([step + offset for offset in self._steps.get(key, [0])])
            values = column[steps.clip(0, len(column) - 1)]
            item[key] = torch.from_numpy(np.asarray(values if key in self._steps else values[0]))
            if key in self._steps:
                item[f"{key}_is_pad"] = torch.from_numpy((steps < 0) | (steps >= len(column)))
        return item | {"task": self._tasks[which][step]}

    def sampler(
        self,
        seed: int = 0,
        shuffle: bool = True,
        drop_first: int = 0,
        drop_last: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> list[int]:
        """Indices of one epoch."""
        kept = [
            index
            for index, (which, step) in enumerate(self._places)
            if drop_first <= step < len(self._tasks[which]) - drop_last
        ]
        order = np.random.default_rng(seed).permutation(kept).tolist() if shuffle else kept
        return order[rank::world]

    @staticmethod
    def collate(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A batch: tensors stacked, texts as lists."""
        import torch

        return {
            key: [item[key] for item in items] if isinstance(value, str) else torch.stack([item[key] for item in items])
            for key, value in items[0].items()
        }
