"""The committed episodes of a v3.0 folder: adds one more, takes the last one back. Knows files, no running episode.

An episode is committed as small files of its own, so that it costs the same whatever there is already; `compact` joins
them later. They are written beside the dataset and take their places at once (`journal`). Readers of all kinds may look
between any two renames, also those who go by the tables they find and not by the counts of info.json: videos, tasks and
the row of the episode come before its frames, and an episode taken back goes in the opposite order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets import columns, stats
from lerobot_datasets.config import DEPTH, EncoderConfig
from lerobot_datasets.v3 import layout, metadata, stamps
from lerobot_datasets.v3.journal import Commit
from lerobot_datasets.v3.layout import Place
from lerobot_datasets.v3.metadata import Info
from lerobot_datasets.v3.stamps import Stamps
from lerobot_datasets.video import depth, encode
from lerobot_datasets.video.stream import Recorded


@attrs.frozen
class Episode:
    """What is to be committed.

    Attributes:
        rows: feature → values, one per frame; no pictures, no default columns.
        tasks: text of each frame.
        pictures: waits for the cameras and gives what was recorded of each; asked when all else is done.
        videos: camera → mp4 of the episode alone, on the disk; looked at after `pictures`.
        units: depth camera → unit of its pictures.
        stamps: when its values were measured, frame by frame; None when nobody said.
        source: a file of the dataset's folder that is removed with the commit.
    """

    rows: Mapping[str, list[Any]]
    tasks: list[str]
    pictures: Callable[[], Mapping[str, Recorded]]
    videos: Mapping[str, Path]
    units: Mapping[str, depth.Unit] = attrs.field(factory=dict)
    stamps: list[Stamps] | None = None
    source: Path | None = None

    def __len__(self) -> int:
        return len(self.tasks)


@attrs.frozen(kw_only=True)
class _State:
    """All that an episode changes.

    Attributes:
        info: counts and features.
        tasks: text → number.
        stats: of all episodes; None before the first.
        places: data (`""`), `episodes` or camera → its next file.
        dropped: camera → pictures dropped by a full queue, in the episodes added since the dataset was opened.
    """

    info: Info
    tasks: Mapping[str, int]
    stats: stats.Stats | None
    places: Mapping[str, Place]
    dropped: Mapping[str, int]


class Committed:
    """The episodes of a dataset.

    Args:
        root: folder of the dataset.
        info: what its info.json says.
        encoder: how new pictures are encoded, for the description of the videos.
    """

    def __init__(self, root: Path, info: Info, encoder: EncoderConfig) -> None:
        self.root = root
        self._encoder = encoder
        found = metadata.read_stats(root)
        if info.total_episodes and found is None:
            path = root / layout.STATS
            raise DataError(
                f"'{path}' not found, so it cannot be brought up to date", path=path, hint="restore the file"
            )
        tasks = {task: i for i, task in enumerate(metadata.read_tasks(root, info))}
        dropped = dict.fromkeys(info.camera_keys, 0)
        places = _next_places(root, info)
        self._state = _State(info=info, tasks=tasks, stats=found, places=places, dropped=dropped)
        self._last: tuple[Commit, _State] | None = None
        pa.array(np.zeros(0))  # looks for libraries the first time: now rather than when an episode is saved

    @property
    def info(self) -> Info:
        return self._state.info

    @property
    def dropped(self) -> Mapping[str, int]:
        return self._state.dropped

    def undo(self) -> int:
        """Take the last episode back; returns the index it had.

        Raises:
            DataError: none was added since the dataset was opened or an episode was last taken back.
        """
        if self._last is None:
            raise DataError(
                f"no episode of '{self.root}' can be taken back",
                path=self.root,
                hint="only the one committed last can, once, by the recording that committed it",
            )
        (commit, before), self._last = self._last, None
        commit.undo()
        self._state = before
        return before.info.total_episodes

    def add(self, episode: Episode) -> int:
        """Commit an episode; returns its index."""
        before, number = self._state, self.info.total_episodes
        places, chunks_size = before.places, self.info.chunks_size
        tasks = dict(before.tasks)
        for task in episode.tasks:
            tasks.setdefault(task, len(tasks))
        values = self._columns(episode, tasks)
        described = self._numbers(episode, values)
        self._last = None
        commit = Commit(self.root)
        data, times = self.info.data_file(places[""]), places[""].path(layout.STAMPS_PATH)
        cells = any(self.info.features[key].dtype == "image" for key in self.info.camera_keys)
        early: dict[Path, pa.Table] = {}  # written and on the disk while the encoders are at work
        if not cells:
            early[data] = self._frames(values)
        if episode.stamps is not None:
            early[times] = stamps.table(episode.stamps, number, self.info.camera_keys)
        if len(tasks) > len(before.tasks):
            early[layout.TASKS] = metadata.tasks_table(list(tasks))
        for name, table in early.items():
            pq.write_table(table, commit.write(name))
        commit.flush(early)
        pictures = episode.pictures()
        values |= {key: r.cells for key, r in pictures.items() if self.info.features[key].dtype == "image"}
        described |= {key: recorded.stats for key, recorded in pictures.items()}
        described = {key: described[key] for key in self.info.features if key in described}
        for key in self.info.video_keys:
            commit.link(self.info.video_file(places[key], key), episode.videos[key])
        if layout.TASKS in early:
            commit.stage(layout.TASKS)
        pq.write_table(self._row(episode, described), commit.stage(places["episodes"].path(layout.EPISODES_PATH)))
        if times in early:
            commit.stage(times)
        if cells:
            pq.write_table(self._frames(values), commit.write(data))
        commit.stage(data)
        info = attrs.evolve(
            self.info,
            features=self._described(episode),
            total_episodes=number + 1,
            total_frames=self.info.total_frames + len(episode),
            total_tasks=len(tasks),
            splits={"train": f"0:{number + 1}"},
        )
        total = stats.aggregate([before.stats, described]) if before.stats else described
        commit.write_text(layout.STATS, metadata.stats_text(total))
        commit.write_text(layout.INFO, metadata.info_text(info))
        if episode.source is not None:
            commit.remove(episode.source.relative_to(self.root))
        commit.publish()
        self._state = _State(
            info=info,
            tasks=tasks,
            stats=total,
            places={key: place.next(chunks_size) for key, place in places.items()},
            dropped={key: count + pictures[key].dropped for key, count in before.dropped.items()},
        )
        self._last = commit, before
        return number

    def _columns(self, episode: Episode, tasks: Mapping[str, int]) -> dict[str, Any]:
        """Every stored column of the episode but its pictures."""
        length, info = len(episode), self.info
        frame = np.arange(length, dtype=np.int64)
        defaults = {
            "timestamp": (frame / info.fps).astype(np.float32),
            "frame_index": frame,
            "episode_index": np.full(length, info.total_episodes),
            "index": frame + info.total_frames,
            "task_index": np.array([tasks[task] for task in episode.tasks], dtype=np.int64),
        }
        rows = {
            key: values if info.features[key].dtype in columns.OBJECTS else np.stack(values)
            for key, values in episode.rows.items()
        }
        return rows | defaults

    def _numbers(self, episode: Episode, values: Mapping[str, Any]) -> stats.Stats:
        """The statistics of the episode's numbers; those of times in double, as the ecosystem's."""
        exact = {**values, "timestamp": np.arange(len(episode)) / self.info.fps}
        return stats.episode_stats(exact, self.info.features, {})

    def _frames(self, values: Mapping[str, Any]) -> pa.Table:
        features = columns.stored(self.info.features)
        arrays = [columns.to_arrow(values[key], key, feature) for key, feature in features.items()]
        return pa.Table.from_arrays(arrays, schema=columns.schema(self.info.features))

    def _row(self, episode: Episode, described: stats.Stats) -> pa.Table:
        start, places = self.info.total_frames, self._state.places
        row: dict[str, Any] = {
            "episode_index": self.info.total_episodes,
            "tasks": list(dict.fromkeys(episode.tasks)),
            "length": len(episode),
            "data/chunk_index": places[""].chunk,
            "data/file_index": places[""].file,
            "dataset_from_index": start,
            "dataset_to_index": start + len(episode),
        }
        for key in self.info.video_keys:
            row |= {
                f"videos/{key}/chunk_index": places[key].chunk,
                f"videos/{key}/file_index": places[key].file,
                f"videos/{key}/from_timestamp": 0.0,
                f"videos/{key}/to_timestamp": len(episode) / self.info.fps,
            }
        for key, values in described.items():
            row |= {f"stats/{key}/{name}": values[name].tolist() for name in stats.NAMES}
        row |= {
            "meta/episodes/chunk_index": places["episodes"].chunk,
            "meta/episodes/file_index": places["episodes"].file,
        }
        return pa.Table.from_pydict({key: [value] for key, value in row.items()})

    def _described(self, episode: Episode) -> Mapping[str, Feature]:
        """The features; after the first episode those of cameras say how their pictures are stored."""
        if self.info.total_episodes:
            return self.info.features
        out = dict(self.info.features)
        for key in self.info.camera_keys:
            feature, info = out[key], dict(out[key].info or {})
            if feature.is_depth:
                info = {"is_depth_map": True, "depth_unit": episode.units[key]}
            if feature.dtype == "video":
                encoder = DEPTH if feature.is_depth else self._encoder
                info |= encode.describe(episode.videos[key], encoder) | {"is_depth_map": feature.is_depth}
            if feature.is_depth and feature.dtype == "video":
                quantiser = attrs.asdict(depth.quantiser(key, feature))
                info |= {f"video.{name}": value for name, value in quantiser.items()}
            out[key] = attrs.evolve(feature, info=info or None)
        return out


def _next_places(root: Path, info: Info) -> dict[str, Place]:
    """The first unused file of the data (`""`), each camera and the episodes."""
    keys = ["", *info.video_keys, "episodes"]
    if not info.total_episodes:
        return dict.fromkeys(keys, Place())
    rows = metadata.read_episodes(root, info)
    prefix = {"": "data", "episodes": "meta/episodes"}
    out = {}
    for key in keys:
        name = prefix.get(key, f"videos/{key}")
        used = zip(rows[f"{name}/chunk_index"].tolist(), rows[f"{name}/file_index"].tolist(), strict=True)
        out[key] = Place(*max(used)).next(info.chunks_size)
    return out
