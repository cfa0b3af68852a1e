"""Demonstrations of an HDF5 file as episodes with features, statistics and pictures. No torch."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import rich.console
import rich.progress

from lerobot_core.errors import DataError, did_you_mean
from lerobot_core.features import Feature
from lerobot_datasets import stats
from lerobot_datasets.cache import Cache
from lerobot_datasets.robomimic import features as layout
from lerobot_datasets.robomimic.config import RobomimicBackendConfig
from lerobot_datasets.robomimic.file import DemonstrationFile
from lerobot_datasets.v3 import metadata
from lerobot_datasets.v3.metadata import DEFAULT_FEATURES, Episodes
from lerobot_datasets.video import depth

logger = logging.getLogger(__name__)

_USUAL_FPS = 20
_AT_ONCE = 64 << 20  # bytes of pictures read at once


class Reader:
    """The demonstrations of a file, or of one of its lists, as episodes.

    Args:
        config: file, list, and what its arrays are called.
        episodes: which of them; all when not given. Numbers that do not exist are left out with a warning.

    Raises:
        DataError: the file is missing, of another layout, or holds no demonstration.
        FeatureError: a feature cannot be made of the arrays named.
    """

    def __init__(self, config: RobomimicBackendConfig, episodes: Sequence[int] | None = None) -> None:
        self.config = config
        self.file = DemonstrationFile(config.file.expanduser())
        self._demos = self.file.demos(config.filter_key)
        arrays = self.file.arrays(self._demos[0])
        self.made_of = layout.sources(arrays, config.features)
        self.features: Mapping[str, Feature] = layout.described(arrays, self.made_of, config.names) | DEFAULT_FEATURES
        self._about = self.file.note("data", "env_args")
        self.fps: int = config.control_freq or self._control_rate()
        tasks = [self._task(demo) for demo in self._demos]
        self.tasks = list(dict.fromkeys(tasks))
        self.all_episodes = self._table(tasks)
        self.selection = self._select(episodes)
        self.episodes = self.all_episodes.select(self.selection)
        self.num_episodes = len(self.selection)
        self.num_frames = int(np.sum(self.episodes["length"]))

    def _about_env(self, name: str) -> Any:
        kwargs = self._about.get("env_kwargs") if isinstance(self._about, dict) else None
        return kwargs.get(name) if isinstance(kwargs, dict) else None

    def _control_rate(self) -> int:
        rate = self._about_env("control_freq")
        return round(rate) if isinstance(rate, (int, float)) and 1 <= rate <= 10_000 else _USUAL_FPS

    @property
    def robot_type(self) -> str | None:
        """Name of the robot, where the file says it."""
        robots = self._about_env("robots")
        return "_".join(map(str, robots)) if isinstance(robots, list) else robots if isinstance(robots, str) else None

    def _task(self, demo: str) -> str:
        """In the words of the options, the demonstration, the file, or the environment's name."""
        if self.config.task is not None:
            return self.config.task
        about = self._about if isinstance(self._about, dict) else {}
        places = (
            (self.file.note(f"data/{demo}", "ep_meta"), "lang"),
            (self.file.note("data", "problem_info"), "language_instruction"),
            (about, "lang"),
            (about, "env_name"),
        )
        told = (place.get(name) for place, name in places if isinstance(place, dict))
        return next((" ".join(text.split()) for text in told if isinstance(text, str) and text.strip()), "")

    def _table(self, tasks: list[str]) -> Episodes:
        if not self.made_of:
            raise DataError(
                f"'{self.file.path}' has no arrays to read", path=self.file.path, hint="--dataset.features names them"
            )
        place = next(iter(self.made_of.values()))[0]
        lengths = np.array([self.file.rows(demo, place) for demo in self._demos], dtype=np.int64)
        if empty := [demo for demo, length in zip(self._demos, lengths, strict=True) if not length]:
            raise DataError(f"'{self.file.path}': '{empty[0]}' has no frames", path=self.file.path)
        stop = np.cumsum(lengths)
        columns = {
            "episode_index": np.arange(len(lengths)),
            "tasks": [[task] for task in tasks],
            "length": lengths,
            "dataset_from_index": stop - lengths,
            "dataset_to_index": stop,
            "demo": self._demos,
        }
        return Episodes(pa.table(columns))

    def _select(self, episodes: Sequence[int] | None) -> list[int]:
        total = len(self.all_episodes)
        if episodes is None:
            return list(range(total))
        if unknown := [number for number in episodes if not 0 <= number < total]:
            logger.warning("%s has %d episodes, these are left out: %s", self.file.path, total, unknown)
        return sorted({number for number in episodes if 0 <= number < total})

    @property
    def cameras(self) -> list[str]:
        return [key for key, feature in self.features.items() if feature.is_picture]

    def columns(self, episode: int) -> dict[str, np.ndarray]:
        """Every column of one episode but the pictures, each (length, …).

        Raises:
            DataError: no such episode; an array is missing, of another shape or length; or an action is not a number.
        """
        row = self._row(episode)
        out = {key: self._column(row, key) for key in self.made_of if not self.features[key].is_picture}
        frames = np.arange(row["length"])
        out["timestamp"] = (frames / self.fps).astype(np.float32)
        out["frame_index"], out["index"] = frames, frames + row["dataset_from_index"]
        out["episode_index"] = np.full(row["length"], episode)
        out["task_index"] = np.full(row["length"], self.tasks.index(row["tasks"][0]))
        return out

    def _column(self, row: Mapping[str, Any], key: str) -> np.ndarray:
        feature, length, parts = self.features[key], row["length"], []
        for place in self.made_of[key]:
            part = self.file.read(row["demo"], place)
            if len(part) != length:
                raise self._wrong(row, f"'{place}' has {len(part)} of {length} frames")
            parts.append(part[:, None] if part.ndim == 1 else part)
        try:
            found = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
            found = found.astype(feature.dtype).reshape(length, *feature.shape)
        except ValueError:
            shapes = ", ".join(
                f"{place} {list(part.shape[1:])}" for place, part in zip(self.made_of[key], parts, strict=True)
            )
            raise self._wrong(row, f"'{key}' is {feature} in the first demonstration, here made of {shapes}") from None
        if key == layout.ACTION and found.dtype.kind == "f":
            finite = np.isfinite(found.reshape(length, -1)).all(axis=1)
            if not finite.all():
                raise self._wrong(row, f"'{key}' holds NaN or infinity in row {int(np.argmin(finite))}")
        return found[:, 0] if feature.shape == (1,) else found

    def _wrong(self, row: Mapping[str, Any], says: str) -> DataError:
        return DataError(
            f"'{self.file.path}': {row['demo']}: {says}",
            path=self.file.path,
            episode=row["episode_index"],
            hint="leave the demonstration out with --dataset.filter_key, or the feature with --dataset.features",
        )

    def frames(self, episode: int, camera: str) -> Iterator[np.ndarray]:
        """The pictures of one camera in one episode, in order: (H, W, 3) uint8, or (H, W, 1) float32 of depth.

        Raises:
            DataError: no such episode or camera, or the array does not fit.
        """
        row = self._row(episode)
        if camera not in self.cameras:
            known = self.cameras
            raise DataError(f"no camera '{camera}', found {', '.join(known) or 'none'}{did_you_mean(camera, known)}")
        return self._frames(row, camera)

    def _frames(self, row: Mapping[str, Any], camera: str) -> Iterator[np.ndarray]:
        step = max(1, _AT_ONCE // (4 * int(np.prod(self.features[camera].shape))))
        for start in range(0, row["length"], step):
            rows = np.arange(start, min(start + step, row["length"]))
            yield from (picture.copy() for picture in self.pictures(row["episode_index"], camera, rows))

    def pictures(self, episode: int, camera: str, rows: np.ndarray) -> np.ndarray:
        """The pictures (N, H, W, 3) uint8, or (N, H, W, 1) float32 of depth, at ascending rows (N,) of an episode."""
        row, feature = self._row(episode), self.features[camera]
        [place] = self.made_of[camera]
        if (found := self.file.rows(row["demo"], place)) != row["length"]:
            raise self._wrong(row, f"'{place}' has {found} of {row['length']} frames")
        pictures = self.file.read(row["demo"], place, rows)
        if pictures.shape[1:] != tuple(feature.shape):
            raise self._wrong(row, f"'{place}' is {list(pictures.shape[1:])}, in the first demonstration {feature}")
        if not feature.is_depth:
            return pictures.astype(np.uint8, copy=False)
        return depth.in_unit(pictures.astype(np.float32), feature, self.config.depth_output_unit)

    def _row(self, episode: int) -> dict[str, Any]:
        if not 0 <= episode < len(self.all_episodes):
            raise DataError(
                f"no episode {episode} in '{self.file.path}'",
                episode=episode,
                hint=f"its {len(self.all_episodes)} episodes are 0 to {len(self.all_episodes) - 1}",
            )
        return self.all_episodes[episode]

    # --- statistics ---------------------------------------------------------------------------------------------------

    @cached_property
    def stats(self) -> stats.Stats:
        """Statistics of every feature but depth cameras over the file's list, computed once and kept in the cache folder."""
        computed = b""

        def build(folder: Path) -> None:
            nonlocal computed
            computed = computed or metadata.stats_text(self._compute()).encode()
            (folder / "stats.json").write_bytes(computed)

        cache = Cache(self.file.path.parent)
        described = repr([self.made_of, self._demos, self.fps])
        for _ in range(2):
            folder = cache.entry("robomimic", [self.file.path], build, described)
            if folder is None:
                break
            try:
                return metadata.arrays(metadata.read_json(folder / "stats.json"))
            except DataError:  # broken: it can be had again
                cache.remove(folder)
        return metadata.arrays(json.loads(computed or metadata.stats_text(self._compute())))

    def _compute(self) -> stats.Stats:
        parts, console = [], rich.console.Console(stderr=True)
        with rich.progress.Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            for episode in bar.track(range(len(self.all_episodes)), description="statistics of episodes"):
                cameras = {
                    key: stats.picture_stats(self._levels(episode, key))
                    for key in self.cameras
                    if not self.features[key].is_depth
                }
                known = {key: f for key, f in self.features.items() if not f.is_depth}
                parts.append(stats.episode_stats(self.columns(episode), known, cameras))
        return stats.aggregate(parts)

    def _levels(self, episode: int, camera: str) -> list[np.ndarray]:
        rows = np.unique(stats.sample_indices(self._row(episode)["length"]))
        return [stats.level_counts(self.pictures(episode, camera, rows[i : i + 1])[0]) for i in range(len(rows))]
