"""The dataset backend: one .npz file of numpy arrays per episode, beside a file that says what is in them.

    root/info.json              features, fps, robot type
    root/episodes/000000.npz    one array (length, …) per feature, pictures too, and the task of each frame

Nothing is inherited: it has the methods of `lerobot_core.roles.DatasetBackend`, so it is one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from lerobot_core.errors import DataError, FeatureError, did_you_mean
from lerobot_core.features import DEFAULT_COLUMNS, Feature, from_info, to_info

from {{ cookiecutter.name }}.dataset_backend_config import {{ cookiecutter.class_name }}DatasetBackendConfig

INFO, EPISODES, TASK = "info.json", "episodes", "task"


class {{ cookiecutter.class_name }}DatasetBackend:
    """Makes writers and readers of one dataset."""

    def __init__(self, config: {{ cookiecutter.class_name }}DatasetBackendConfig) -> None:
        self.config = config

    def create(
        self, features: Mapping[str, Feature], fps: int, *, robot_type: str | None = None, resume: bool = False
    ) -> Writer:
        """A writer for a new dataset, or with `resume` for more episodes of the one that is there.

        Raises:
            DataError: there is one already, or none with `resume`, or it has other features or another rate.
        """
        root = self.config.root
        about = {"fps": fps, "robot_type": robot_type, "features": {key: to_info(f) for key, f in features.items()}}
        about = json.loads(json.dumps(about))  # as it is read back
        if resume:
            if _read_info(root) != about:
                raise DataError(
                    f"'{root}' was recorded with other features, rate or robot", path=root, hint="use another root"
                )
        elif root.exists():
            raise DataError(f"'{root}' exists already", path=root, hint="use resume, or another root")
        else:
            (root / EPISODES).mkdir(parents=True)
            _write_whole(root / INFO, json.dumps(about, indent=4).encode())
        return Writer(root, features)

    def open(self, episodes: Sequence[int] | None = None) -> Reader:
        """A reader of some or all episodes.

        Raises:
            DataError: there is no such dataset or episode.
        """
        return Reader(self.config.root, episodes)


class Writer:
    """Keeps the running episode in memory; a saved one is on the disk, whole."""

    def __init__(self, root: Path, features: Mapping[str, Feature]) -> None:
        self.root = root
        self.features = dict(features)
        self.num_episodes = len(_episode_files(root))
        self._frames: list[dict[str, np.ndarray]] = []
        self._tasks: list[str] = []
        self._is_closed = False
        self._last: Path | None = None

    def add(self, frame: Mapping[str, Any], *, task: str, stamps: Mapping[str, int] | None = None) -> None:
        """One frame in dataset names, which is copied; `stamps` are not stored.

        Raises:
            FeatureError: a feature is missing, unknown or of another shape.
            DataError: after `finalize`.
        """
        if self._is_closed:
            raise DataError(f"'{self.root}' is closed", path=self.root, hint="create a writer with resume to go on")
        for key in {**self.features, **frame}:
            if key not in frame or key not in self.features:
                what = "missing" if key not in frame else f"unknown{did_you_mean(key, self.features)}"
                raise FeatureError(f"'{key}' is {what} (the dataset has {', '.join(self.features)})")
            if np.shape(frame[key]) != self.features[key].shape:
                raise FeatureError(f"'{key}' has shape {np.shape(frame[key])}, needed is {self.features[key]}")
        self._frames.append({key: np.array(value, _dtype(self.features[key])) for key, value in frame.items()})
        self._tasks.append(task)

    def save_episode(self) -> int:
        """Write the running episode; gives its number.

        Raises:
            DataError: it has no frames.
        """
        if not self._frames:
            raise DataError("the episode has no frames", path=self.root, hint="add frames before saving")
        columns = {key: np.stack([frame[key] for frame in self._frames]) for key in self.features}
        file = self.root / EPISODES / f"{self.num_episodes:06d}.npz"
        _write_whole(file, columns | {TASK: np.array(self._tasks)})
        self.discard()
        self._last = file
        self.num_episodes += 1
        return self.num_episodes - 1

    def undo(self) -> int:
        """Take back the episode saved last; gives the number it had.

        Raises:
            DataError: none was saved by this writer, or it was taken back already.
        """
        if self._last is None:
            raise DataError("no episode can be taken back", path=self.root, hint="only the one saved last can, once")
        self._last.unlink()
        self._last = None
        self.num_episodes -= 1
        return self.num_episodes

    def discard(self) -> None:
        """Forget the running episode."""
        self._frames, self._tasks = [], []

    def finalize(self) -> None:
        """Forget the running episode and take no more."""
        self.discard()
        self._is_closed = True


class Reader:
    """Episodes by their numbers in the dataset, also when only some are opened."""

    def __init__(self, root: Path, episodes: Sequence[int] | None = None) -> None:
        info, self._files = _read_info(root), _episode_files(root)
        self._tasks = [_load(file, TASK).tolist() for file in self._files]
        known = dict.fromkeys(task for tasks in self._tasks for task in tasks)
        self._numbers = {task: number for number, task in enumerate(known)}
        self.episodes = list(range(len(self._files)) if episodes is None else episodes)
        for episode in self.episodes:
            self._file(episode)
        self._stored = {key: from_info(data) for key, data in info["features"].items()}
        own = {key: Feature(dtype=dtype, shape=(1,)) for key, dtype in DEFAULT_COLUMNS.items()}
        self.features = {**self._stored, **own}
        self.fps = int(info["fps"])
        self.robot_type = info["robot_type"]
        self.num_episodes = len(self.episodes)
        self.num_frames = sum(len(self._tasks[episode]) for episode in self.episodes)

    def columns(self, episode: int) -> dict[str, np.ndarray]:
        """Every column of one episode but the pictures, each (length, …)."""
        file, tasks = self._file(episode), self._tasks[episode]
        start, length = sum(map(len, self._tasks[:episode])), len(tasks)
        stored = {key: _load(file, key) for key, feature in self._stored.items() if not feature.is_picture}
        return stored | {
            "timestamp": np.arange(length, dtype=np.float32) / np.float32(self.fps),
            "frame_index": np.arange(length),
            "episode_index": np.full(length, episode),
            "index": np.arange(start, start + length),
            "task_index": np.array([self._numbers[task] for task in tasks]),
        }

    def frames(self, episode: int, camera: str) -> Iterator[np.ndarray]:
        """Pictures (H, W, C) uint8 of one camera in one episode, in order."""
        return iter(_load(self._file(episode), camera))

    @cached_property
    def stats(self) -> dict[str, dict[str, np.ndarray]]:
        """Statistics of every vector of floats over all frames: feature → statistic → array."""
        found = {}
        for key, feature in self._stored.items():
            if feature.dtype.startswith("float"):
                arrays = [_load(self._files[episode], key) for episode in self.episodes]
                values = np.concatenate(arrays, dtype=np.float64)
                named = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
                found[key] = named | {"count": np.array([len(values)])}
        return found

    def torch(self, delta_timestamps: Mapping[str, Sequence[float]] | None = None, transforms: Any = None) -> Any:
        """Refused for now; the README says what belongs here.

        Raises:
            DataError: always.
        """
        raise DataError("this kind of dataset cannot be trained on yet", hint="convert it, or write Reader.torch")

    def _file(self, episode: int) -> Path:
        if not 0 <= episode < len(self._files):
            raise DataError(f"no episode {episode}, the dataset has {len(self._files)}", episode=episode)
        return self._files[episode]


def _dtype(feature: Feature) -> str:
    return "uint8" if feature.is_picture else feature.dtype


def _episode_files(root: Path) -> list[Path]:
    return sorted((root / EPISODES).glob("*.npz"))


def _load(file: Path, key: str) -> np.ndarray:
    """One array of an episode; what numpy would have to unpickle is refused."""
    with np.load(file, allow_pickle=False) as arrays:
        if key not in arrays:
            raise DataError(f"no '{key}' in '{file}'{did_you_mean(key, arrays)}", path=file)
        column: np.ndarray = arrays[key]
        return column


def _read_info(root: Path) -> dict[str, Any]:
    try:
        info: dict[str, Any] = json.loads((root / INFO).read_text())
    except (OSError, ValueError) as failure:
        raise DataError(f"'{root}' is no dataset: {failure}", path=root, hint="check the root") from failure
    return info


def _write_whole(path: Path, content: bytes | Mapping[str, np.ndarray]) -> None:
    """A file that is there whole or not at all, whenever the power fails."""
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            np.savez(file, allow_pickle=False, **content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
