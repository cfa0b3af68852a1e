"""The committed episodes of a v3.0 folder: adds one more, takes the last one back. Knows files, no running episode.

What an episode changes is written beside the dataset and takes its place at once (`journal`). Readers of all kinds may
look between any two renames, also those who go by the tables they find and not by the counts of info.json: videos,
tasks and the row of the episode come before its frames, and an episode taken back goes in the opposite order.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets import columns, stats
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.v3 import layout, metadata
from lerobot_datasets.v3.journal import Commit
from lerobot_datasets.v3.layout import MIB, Place
from lerobot_datasets.v3.metadata import Info
from lerobot_datasets.video import encode
from lerobot_datasets.video.stream import Recorded


@attrs.frozen
class Episode:
    """What is to be committed.

    Attributes:
        rows: feature → values, one per frame; no pictures, no default columns.
        tasks: text of each frame.
        pictures: camera → what was recorded of it.
        videos: camera → mp4 of the episode alone.
        source: a file of the dataset's folder that is removed with the commit.
    """

    rows: Mapping[str, list[Any]]
    tasks: list[str]
    pictures: Mapping[str, Recorded]
    videos: Mapping[str, Path]
    source: Path | None = None

    def __len__(self) -> int:
        return len(self.tasks)


@attrs.frozen
class _Open:
    """A file that takes more episodes.

    Attributes:
        place: which one.
        frames: frames in it.
        end: where its last episode ends [s]; videos only.
    """

    place: Place
    frames: int = 0
    end: float = 0.0


@attrs.frozen(kw_only=True)
class _State:
    """All that an episode changes.

    Attributes:
        info: counts and features.
        tasks: text → number.
        stats: of all episodes; None before the first.
        files: data (`""`) or camera → its file that takes more.
        rows: table of the episodes added since the dataset was opened.
        dropped: camera → pictures dropped by a full queue in these episodes.
    """

    info: Info
    tasks: Mapping[str, int]
    stats: stats.Stats | None
    files: Mapping[str, _Open]
    rows: pa.Table | None
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
        self._state = _State(info=info, tasks=tasks, stats=found, files={}, rows=None, dropped=dropped)
        self._next = _next_places(root, info)
        self._last: tuple[Commit, _State] | None = None

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
        tasks = dict(before.tasks)
        for task in episode.tasks:
            tasks.setdefault(task, len(tasks))
        values = self._columns(episode, tasks)
        described = self._numbers(episode, values)
        self._last = None
        commit = Commit(self.root)
        files = {key: self._append_video(commit, key, episode) for key in self.info.video_keys}
        if len(tasks) > len(before.tasks):
            pq.write_table(metadata.tasks_table(list(tasks)), commit.stage(layout.TASKS))
        data = self._data_place(len(episode))
        rows = self._append_row(commit, self._row(files | {"": data}, episode, described))
        files[""] = self._append_data(commit, data, values)
        info = attrs.evolve(
            self.info,
            features=self._described(commit, files),
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
        dropped = {key: count + episode.pictures[key].dropped for key, count in before.dropped.items()}
        self._state = _State(info=info, tasks=tasks, stats=total, files=files, rows=rows, dropped=dropped)
        self._last = commit, before
        return number

    def _columns(self, episode: Episode, tasks: Mapping[str, int]) -> dict[str, Any]:
        """Every stored column of the episode, in the order of the features."""
        length, info = len(episode), self.info
        frame = np.arange(length, dtype=np.int64)
        defaults = {
            "timestamp": (frame / info.fps).astype(np.float32),
            "frame_index": frame,
            "episode_index": np.full(length, info.total_episodes),
            "index": frame + info.total_frames,
            "task_index": np.array([tasks[task] for task in episode.tasks], dtype=np.int64),
        }
        cells = {key: r.cells for key, r in episode.pictures.items() if info.features[key].dtype == "image"}
        rows = {
            key: values if info.features[key].dtype == "string" else np.stack(values)
            for key, values in episode.rows.items()
        }
        found = rows | defaults | cells
        return {key: found[key] for key in columns.stored(info.features)}

    def _numbers(self, episode: Episode, values: Mapping[str, Any]) -> stats.Stats:
        """The episode's statistics; those of times in double, as the ecosystem's."""
        exact = {**values, "timestamp": np.arange(len(episode)) / self.info.fps}
        pictures = {key: recorded.stats for key, recorded in episode.pictures.items()}
        return stats.episode_stats(exact, self.info.features, pictures)

    def _data_place(self, length: int) -> _Open:
        """The table that takes an episode of this length, with as many frames as it has now."""
        current = self._state.files.get("")
        if current is not None:
            size = (self.root / self.info.data_file(current.place)).stat().st_size / MIB
            if size + size / current.frames * length < self.info.data_files_size_in_mb:
                return current
        return _Open(self._take(""))

    def _append_data(self, commit: Commit, current: _Open, values: Mapping[str, Any]) -> _Open:
        features = columns.stored(self.info.features)
        arrays = [columns.to_arrow(values[key], key, feature) for key, feature in features.items()]
        table = pa.Table.from_arrays(arrays, schema=columns.schema(self.info.features))
        name = self.info.data_file(current.place)
        _write_groups(commit.stage(name), table, after=self.root / name if current.frames else None)
        return attrs.evolve(current, frames=current.frames + table.num_rows)

    def _append_video(self, commit: Commit, key: str, episode: Episode) -> _Open:
        clip, length = episode.videos[key], len(episode)
        current = self._state.files.get(key)
        if current is not None:
            name = self.info.video_file(current.place, key)
            size = ((self.root / name).stat().st_size + clip.stat().st_size) / MIB
            if size < self.info.video_files_size_in_mb:
                clips = [(self.root / name, Fraction(0)), (clip, Fraction(current.frames, self.info.fps))]
                encode.join(clips, commit.stage(name))
                return _Open(current.place, current.frames + length, current.end + length / self.info.fps)
        place = self._take(key)
        encode.join([(clip, Fraction(0))], commit.stage(self.info.video_file(place, key)))
        return _Open(place, length, length / self.info.fps)

    def _take(self, key: str) -> Place:
        """The next unused file of the data (`""`) or of a camera."""
        current = self._state.files.get(key)
        return current.place.next(self.info.chunks_size) if current else self._next[key]

    def _append_row(self, commit: Commit, row: dict[str, Any]) -> pa.Table:
        place = self._next["episodes"]
        row |= {"meta/episodes/chunk_index": place.chunk, "meta/episodes/file_index": place.file}
        table = pa.Table.from_pydict({key: [value] for key, value in row.items()})
        if self._state.rows is not None:
            table = pa.concat_tables([self._state.rows, table.cast(self._state.rows.schema)])
        pq.write_table(table, commit.stage(place.path(layout.EPISODES_PATH)))
        return table

    def _row(self, files: Mapping[str, _Open], episode: Episode, described: stats.Stats) -> dict[str, Any]:
        start = self.info.total_frames
        row: dict[str, Any] = {
            "episode_index": self.info.total_episodes,
            "tasks": list(dict.fromkeys(episode.tasks)),
            "length": len(episode),
            "data/chunk_index": files[""].place.chunk,
            "data/file_index": files[""].place.file,
            "dataset_from_index": start,
            "dataset_to_index": start + len(episode),
        }
        for key in self.info.video_keys:
            place, before = files[key].place, self._state.files.get(key)
            row |= {
                f"videos/{key}/chunk_index": place.chunk,
                f"videos/{key}/file_index": place.file,
                f"videos/{key}/from_timestamp": before.end if before and before.place == place else 0.0,
                f"videos/{key}/to_timestamp": files[key].end,
            }
        for key, values in described.items():
            row |= {f"stats/{key}/{name}": values[name].tolist() for name in stats.NAMES}
        return row

    def _described(self, commit: Commit, files: Mapping[str, _Open]) -> Mapping[str, Feature]:
        """The features; after the first episode those of videos say what their streams are."""
        if self.info.total_episodes:
            return self.info.features
        out = dict(self.info.features)
        for key in self.info.video_keys:
            path = commit.staged(self.info.video_file(files[key].place, key))
            out[key] = attrs.evolve(out[key], info=encode.describe(path, self._encoder))
        return out


def _write_groups(target: Path, table: pa.Table, after: Path | None = None) -> None:
    """Write a table as one row group, after those of an existing file."""
    with pq.ParquetWriter(target, table.schema) as out:
        if after is not None:
            source = pq.ParquetFile(after)
            for group in range(source.num_row_groups):
                out.write_table(source.read_row_group(group).cast(table.schema))
        out.write_table(table)


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
