"""Reads a dataset folder: metadata, columns of one or all episodes, frames of one episode. numpy; knows no torch.

A v2.x folder is described in the terms of v3.0 (`v21.metadata`) and read by the same lines.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lerobot_core.errors import DataError, did_you_mean, first_sentence
from lerobot_core.features import Feature
from lerobot_datasets import columns
from lerobot_datasets.cache import Cache
from lerobot_datasets.stats import Stats
from lerobot_datasets.v3 import metadata
from lerobot_datasets.v3.layout import Place
from lerobot_datasets.v21 import metadata as v21
from lerobot_datasets.video import decode, depth, png

logger = logging.getLogger(__name__)


class Reader:
    """A dataset folder opened for reading.

    Args:
        root: the folder.
        episodes: which episodes; all when not given. Numbers that do not exist are left out with a warning.
        depth_output_unit: unit of depth pictures and their statistics.
        cache: keeps what the files under `meta/` hold; they are read anew without one.
    """

    def __init__(
        self,
        root: Path,
        episodes: Sequence[int] | None = None,
        depth_output_unit: depth.Unit = "mm",
        cache: Cache | None = None,
    ) -> None:
        self.root = root
        self.depth_output_unit = depth_output_unit
        found = description(root, cache)
        self.info, self.tasks, self.all_episodes = found.info, found.tasks, found.episodes
        self.stats: Stats | None = self._in_unit(found.stats)
        self.selection = self._select(episodes)

    def _in_unit(self, stats: Stats | None) -> Stats | None:
        """Statistics of depth cameras are stored in the unit of recording."""
        for key, values in (stats or {}).items():
            if key in self.features and self.features[key].is_depth:
                for name in values.keys() - {"count"}:
                    values[name] = depth.in_unit(values[name], self.features[key], self.depth_output_unit)
        return stats

    def _select(self, episodes: Sequence[int] | None) -> Sequence[int]:
        total = self.info.total_episodes
        if episodes is None:
            return range(total)
        if unknown := [number for number in episodes if not 0 <= number < total]:
            logger.warning("%s has %d episodes, these are left out: %s", self.root, total, unknown)
        known = sorted({number for number in episodes if 0 <= number < total})
        return range(total) if len(known) == total else known

    @property
    def features(self) -> Mapping[str, Feature]:
        return self.info.features

    @property
    def fps(self) -> int:
        return self.info.fps

    @cached_property
    def episodes(self) -> metadata.Episodes:
        """The rows of the episodes selected."""
        everything = isinstance(self.selection, range)
        return self.all_episodes if everything else self.all_episodes.select(self.selection)

    def episode_table(self) -> pa.Table:
        """The table of all episodes with their statistics, which `episodes` leaves out; read at each call."""
        table = v21.episode_table if self.info.codebase_version.startswith("v2.") else metadata.episode_table
        return table(self.root, self.info)

    @property
    def num_episodes(self) -> int:
        return len(self.selection)

    @cached_property
    def num_frames(self) -> int:
        return int(np.sum(self.episodes["length"]))

    def columns(self, episode: int) -> dict[str, np.ndarray]:
        """Every stored column of one episode, each (length, …). Pictures in the table come decoded: (length, H, W, 3)
        uint8, or (length, H, W, 1) float32 of depth.

        Raises:
            DataError: no such episode, or its table is missing or does not fit.
        """
        row = self.all_episodes[self._known(episode)]
        path = self.root / self.info.data_file(Place(row["data/chunk_index"], row["data/file_index"]))
        out = read_columns(path, self.features, [episode], row["length"])
        for key, feature in columns.stored(self.features).items():
            if feature.dtype == "image":
                out[key] = pictures(out[key], feature, self.depth_output_unit)
        return out

    def frames(self, episode: int, camera: str) -> Iterable[np.ndarray]:
        """The pictures of one camera in one episode, in order: (H, W, 3) uint8, or (H, W, 1) float32 of depth.

        Raises:
            DataError: no such episode or camera, or the video is missing or shorter than the table.
        """
        row = self.all_episodes[self._known(episode)]
        if camera not in self.info.camera_keys:
            known = self.info.camera_keys
            raise DataError(f"no camera '{camera}', found {', '.join(known) or 'none'}{did_you_mean(camera, known)}")
        if self.features[camera].dtype == "image":
            return iter(self.columns(episode)[camera])
        return self._video(row, camera)

    def _video(self, row: dict[str, Any], camera: str) -> Iterator[np.ndarray]:
        is_depth = self.features[camera].is_depth
        distances = self.distances(camera) if is_depth else np.empty(0)
        path = self.root / self.info.video_file(
            Place(row[f"videos/{camera}/chunk_index"], row[f"videos/{camera}/file_index"]), camera
        )
        start = row[f"videos/{camera}/from_timestamp"]
        count = 0
        stop = start + row["length"] / self.fps
        for picture in decode.iterate(path, start, stop, depth.PIXELS if is_depth else decode.RGB):
            count += 1
            yield distances[picture][..., None] if is_depth else picture
        if count != row["length"]:
            number = row["episode_index"]
            raise DataError(
                f"'{path}' holds {count} of the {row['length']} frames of episode {number}", path=path, episode=number
            )

    def distances(self, camera: str) -> np.ndarray:
        """The distance of each code of a depth video (4096,) float32."""
        return depth.quantiser(camera, self.features[camera]).distances(self.depth_output_unit)

    def require_videos(self) -> None:
        """
        Raises:
            DataError: a video of the selected episodes is not there.
        """
        for key in self.info.video_keys if self.num_episodes else ():
            places = np.stack([self.episodes[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index")], axis=1)
            each, first = np.unique(places, axis=0, return_index=True)
            for place, row in zip(each.tolist(), first.tolist(), strict=True):
                path = self.root / self.info.video_file(Place(*place), key)
                if not path.exists():
                    episode = self.selection[row]
                    raise DataError(f"'{path}' does not exist", path=path, episode=episode, hint=metadata.RESTORE)

    def _known(self, episode: int) -> int:
        if not 0 <= episode < self.info.total_episodes:
            raise DataError(
                f"no episode {episode} in '{self.root}'",
                episode=episode,
                hint=f"its {self.info.total_episodes} episodes are 0 to {self.info.total_episodes - 1}",
            )
        return episode


def description(root: Path, cache: Cache | None = None) -> metadata.Description:
    """Everything under `meta/`, whichever version wrote it; the cache keeps what takes long to read of large datasets.

    Raises:
        DataError: no such dataset, another version, or a file is missing or broken.
    """
    read, read_info = (v21.read, v21.read_info) if metadata.major(root) == "2" else (metadata.read, metadata.read_info)
    if cache is None:
        return read(root)
    files = sorted(path for path in (root / "meta").rglob("*") if path.is_file())
    for _ in range(2):
        folder = cache.entry("meta", files, lambda folder: metadata.keep(folder, read(root)))
        if folder is None:
            break
        try:
            return metadata.kept(folder, read_info(root))
        except (OSError, ValueError, pa.ArrowException):
            cache.remove(folder)
    return read(root)


def pictures(cells: Iterable[Mapping[str, bytes]], feature: Feature, unit: depth.Unit) -> np.ndarray:
    """Pictures (N, H, W, 3) uint8, or (N, H, W, 1) float32 of depth, of cells of a table.

    Raises:
        DataError: a cell holds no such picture.
    """
    if feature.is_depth:
        return np.stack([depth.from_cell(cell["bytes"], feature, unit) for cell in cells])
    return np.stack([png.decode(cell["bytes"]) for cell in cells])


def read_columns(
    path: Path, features: Mapping[str, Feature], episodes: Sequence[int], length: int
) -> dict[str, np.ndarray]:
    """Stored columns of some episodes of one file, (length, …).

    Raises:
        DataError: the file is missing or broken, lacks a column, or holds another number of rows.
    """
    table = read_rows(path, features, episodes, length)
    return {key: columns.to_numpy(table[key], key, f, path) for key, f in columns.stored(features).items()}


def read_rows(path: Path, features: Mapping[str, Feature], episodes: Sequence[int], length: int) -> pa.Table:
    """What `read_columns` reads, as the file has it."""
    stored = columns.stored(features)
    present = metadata.read_schema(path).names
    if missing := [key for key in stored if key not in present]:
        raise DataError(f"'{path}' lacks the columns {', '.join(missing)} of info.json", path=path)
    try:
        table = pq.read_table(
            path, columns=list(stored), filters=[("episode_index", "in", list(episodes))], partitioning=None
        )
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"'{path}' cannot be read: {first_sentence(error)}", path=path, hint=metadata.RESTORE
        ) from error
    if table.num_rows != length:
        raise DataError(
            f"'{path}' holds {table.num_rows} of the {length} frames of episodes {list(episodes)}",
            path=path,
            episode=episodes[0],
            hint="the dataset is incomplete; fetch it again",
        )
    return table
