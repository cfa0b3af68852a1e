"""Writes the dataset a plan describes: beside the sources, and whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lerobot_core.errors import DataError
from lerobot_core.features import DEFAULT_COLUMNS, Feature
from lerobot_datasets import columns, stats
from lerobot_datasets.edit.plan import Piece, Plan
from lerobot_datasets.edit.videos import Clip, Packets, Videos, picture_stats, require, scan
from lerobot_datasets.v3 import layout, metadata
from lerobot_datasets.v3.journal import STAGING
from lerobot_datasets.v3.layout import MIB, Place
from lerobot_datasets.v3.metadata import Info
from lerobot_datasets.v3.reader import Reader, read_columns, read_rows
from lerobot_datasets.video import png

#: Rows of the table of episodes held as Python objects at a time.
_BATCH = 100


def execute(plan: Plan, target: Path, *, in_place: bool = False, advance: Callable[[], None] = lambda: None) -> None:
    """Write a plan's dataset.

    Args:
        plan: what to write.
        target: folder of the new dataset; with `in_place` that of the source, which it replaces.
        in_place: write beside the source, then change places with it.
        advance: called after every episode.

    Raises:
        DataError: the folder is taken, or a source is incomplete. Nothing is left behind.
    """
    target = target.absolute()  # a name to write beside, also for "."
    require_free(plan, target, in_place=in_place)
    sources = [_Origin(Reader(source.root)) for source in plan.sources]
    tasks, rows = _tasks(plan, sources)
    _require_videos(plan, sources)
    draft = target.parent / f".{target.name}.{os.getpid()}"
    try:
        draft.mkdir(parents=True)
        _Making(plan, sources, draft, tasks).write(rows, advance)
        if in_place:
            _carry_over(target, draft)
        _flush(draft)
        _publish(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def require_free(plan: Plan, target: Path, *, in_place: bool = False) -> None:
    """
    Raises:
        DataError: something is there, or a source is around it; in place, it is not the source or of v2.x.
    """
    roots = [source.root.resolve() for source in plan.sources]
    if in_place:
        if [target.resolve()] != roots or target.is_symlink():
            raise DataError(f"'{target}' is not the folder of the dataset edited in place", path=target)
        if (version := plan.sources[0].info.codebase_version).startswith("v2."):
            raise DataError(
                f"'{target}' is in format {version}, what is written is v3.0", path=target, hint="give another folder"
            )
        return
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(f"'{target}' exists", path=target, hint="choose another output_dir")
    if inside := [root for root in roots if target.resolve().is_relative_to(root)]:
        raise DataError(f"'{target}' is in the dataset '{inside[0]}'", path=target, hint="choose another output_dir")


def _carry_over(root: Path, draft: Path) -> None:
    """Copy what lies in a dataset's folder and is none of the format's files: a card, notes, tables of other tools."""
    ours = {root: {"data", "videos", "meta"}, root / "meta": {"info.json", "stats.json", "tasks.parquet", "episodes"}}
    for folder, names in ours.items():
        for path in folder.iterdir():
            if path.name not in names | {STAGING.name}:
                copy = shutil.copytree if path.is_dir() else shutil.copy2
                copy(path, draft / path.relative_to(root))


def _flush(folder: Path) -> None:
    """See that everything is on the disk before it takes another's place."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _publish(draft: Path, target: Path) -> None:
    """Move the new dataset into place; what was there before goes when it is."""
    old = draft.with_name(f"{draft.name}.old")
    try:
        if target.exists():
            target.rename(old)
        draft.rename(target)
    finally:
        if old.exists() and not target.exists():  # it failed, or was interrupted, in between
            old.rename(target)
    shutil.rmtree(old, ignore_errors=True)


# --- sources ----------------------------------------------------------------------------------------------------------


class _Origin:
    """A source opened for copying."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._episodes = reader.episode_table()
        self._packets: dict[Path, Packets] = {}

    def row(self, episode: int) -> dict[str, Any]:
        """The episode's row, statistics included."""
        row: dict[str, Any] = self._episodes.slice(episode, 1).to_pylist()[0]
        return row

    def data_file(self, row: Mapping[str, Any]) -> Path:
        place = Place(row["data/chunk_index"], row["data/file_index"])
        return self.reader.root / self.reader.info.data_file(place)

    def clip(self, row: Mapping[str, Any], key: str, piece: Piece) -> Clip:
        """The frames of a camera in a piece."""
        place = Place(row[f"videos/{key}/chunk_index"], row[f"videos/{key}/file_index"])
        fps = self.reader.fps
        start = row[f"videos/{key}/from_timestamp"] + piece.start / fps
        path = self.reader.root / self.reader.info.video_file(place, key)
        return Clip(path=path, episode=piece.episode, start=start, length=piece.length, fps=fps)

    def packets(self, path: Path) -> Packets:
        """The packets of a video, which is looked through once."""
        if path not in self._packets:
            self._packets[path] = scan(path)
        return self._packets[path]

    def task_numbers(self, episodes: Sequence[int]) -> dict[int, np.ndarray]:
        """Episode → its task per frame (length,).

        Raises:
            DataError: frames are missing, or have a task that the table of tasks lacks.
        """
        features = {key: metadata.DEFAULT_FEATURES[key] for key in ("episode_index", "task_index")}
        out: dict[int, np.ndarray] = {}
        rows = [self.reader.all_episodes[episode] for episode in episodes]
        for path, group in groupby(rows, self.data_file):
            members = {row["episode_index"]: row["length"] for row in group}
            found = read_columns(path, features, list(members), sum(members.values()))
            for episode, length in members.items():
                numbers = found["task_index"][found["episode_index"] == episode]
                problem = f"{len(numbers)} of its {length} frames" if len(numbers) != length else ""
                if not problem and (numbers.min() < 0 or numbers.max() >= len(self.reader.tasks)):
                    problem = f"task {numbers.max()} of {len(self.reader.tasks)}"
                if problem:
                    raise DataError(
                        f"'{path}': episode {episode} has {problem}", path=path, episode=episode, hint=metadata.RESTORE
                    )
                out[episode] = numbers
        return out


def _tasks(plan: Plan, sources: Sequence[_Origin]) -> tuple[dict[str, int], list[np.ndarray]]:
    """The new table of tasks (text → index), and for each piece its new task per frame.

    Texts that no frame has any more are left out, the others keep the order of the sources' tables.
    """
    numbers = []
    for i, source in enumerate(sources):
        used = sorted({piece.episode for piece in plan.pieces if piece.source == i})
        numbers.append(source.task_numbers(used))
    old = [numbers[piece.source][piece.episode][piece.start : piece.stop] for piece in plan.pieces]
    pairs = []
    for position, (piece, task_rows) in enumerate(zip(plan.pieces, old, strict=True)):
        for number in np.unique(task_rows).tolist():
            text = sources[piece.source].reader.tasks[number]
            pairs.append((piece.source, number, position, piece.tasks.get(text, text)))
    table = {text: i for i, text in enumerate(dict.fromkeys(text for *_, text in sorted(pairs)))}
    rows = []
    for piece, task_rows in zip(plan.pieces, old, strict=True):
        texts = sources[piece.source].reader.tasks
        new = np.array([table.get(piece.tasks.get(text, text), -1) for text in texts], dtype=np.int64)
        rows.append(new[task_rows])
    return table, rows


def _require_videos(plan: Plan, sources: Sequence[_Origin]) -> None:
    for piece in plan.pieces:
        source = sources[piece.source]
        row = source.reader.all_episodes[piece.episode]
        for key in plan.info.video_keys:
            clip = source.clip(row, key, piece)
            require(clip, source.packets(clip.path), key, plan.info.features[key])


# --- the new dataset --------------------------------------------------------------------------------------------------


class _Tables:
    """The frame tables: one row group per episode, a new file when one is full."""

    def __init__(self, root: Path, info: Info) -> None:
        self._root, self._info = root, info
        self._next = self._place = Place()
        self._file: BinaryIO | None = None
        self._frames = 0

    def add(self, table: pa.Table) -> Place:
        if self._file is not None:
            size = self._file.tell() / MIB
            if size + size / self._frames * len(table) >= self._info.data_files_size_in_mb:
                self.close()
        if self._file is None:
            self._place, self._next = self._next, self._next.next(self._info.chunks_size)
            path = self._root / self._info.data_file(self._place)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file, self._frames = path.open("wb"), 0
            self._out = pq.ParquetWriter(self._file, table.schema)
        self._out.write_table(table, row_group_size=len(table))
        self._frames += len(table)
        return self._place

    def close(self) -> None:
        if self._file is not None:
            self._out.close()
            self._file.close()
            self._file = None


class _Making:
    """The new dataset while it is written, episode by episode."""

    def __init__(self, plan: Plan, sources: Sequence[_Origin], root: Path, tasks: Mapping[str, int]) -> None:
        self._plan, self._sources, self._root, self._tasks = plan, sources, root, tasks
        paths = {"data_path": layout.DATA_PATH, "video_path": layout.VIDEO_PATH if plan.info.video_keys else None}
        self._info = attrs.evolve(plan.info, **paths)
        self._tables = _Tables(root, self._info)
        self._videos = {key: Videos(root, self._info, key) for key in plan.info.video_keys}
        self._stats: stats.Stats | None = None
        self._episodes: list[pa.Table] = []
        self._rows: list[dict[str, Any]] = []

    def write(self, task_rows: Sequence[np.ndarray], advance: Callable[[], None]) -> None:
        """Every episode, then what the dataset says about itself."""
        start = 0
        try:
            for number, (piece, tasks) in enumerate(zip(self._plan.pieces, task_rows, strict=True)):
                self._episode(number, piece, start, tasks)
                start += piece.length
                advance()
        finally:
            for file in (self._tables, *self._videos.values()):
                file.close()
        self._describe(start)

    def _episode(self, number: int, piece: Piece, start: int, tasks: np.ndarray) -> None:
        source = self._sources[piece.source]
        before = source.row(piece.episode)
        table = self._table(number, piece, start, tasks)
        place = self._tables.add(table)
        texts = list(self._tasks)
        row = {
            "episode_index": number,
            "tasks": [texts[i] for i in dict.fromkeys(tasks.tolist())],
            "length": piece.length,
            "data/chunk_index": place.chunk,
            "data/file_index": place.file,
            "dataset_from_index": start,
            "dataset_to_index": start + piece.length,
        }
        for key, videos in self._videos.items():
            clip = source.clip(before, key, piece)
            place, begin, end = videos.add(clip, source.packets(clip.path))
            row |= {
                f"videos/{key}/chunk_index": place.chunk,
                f"videos/{key}/file_index": place.file,
                f"videos/{key}/from_timestamp": begin,
                f"videos/{key}/to_timestamp": end,
            }
        row |= self._extra(before, piece)
        found = self._statistics(piece, table, before)
        row |= {f"stats/{key}/{name}": value.tolist() for key, part in found.items() for name, value in part.items()}
        self._stats = stats.aggregate([self._stats, found]) if self._stats else found
        self._rows.append(row | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0})
        if len(self._rows) == _BATCH:
            self._pack()

    def _pack(self) -> None:
        if self._rows:
            keys = dict.fromkeys(key for row in self._rows for key in row)
            self._episodes.append(pa.Table.from_pydict({key: [row.get(key) for row in self._rows] for key in keys}))
            self._rows = []

    def _extra(self, before: Mapping[str, Any], piece: Piece) -> dict[str, Any]:
        """Columns that somebody added to the table of episodes; they speak of the whole episode."""
        if not self._plan.is_whole(piece):
            return {}
        known = ("episode_index", "tasks", "length", "dataset_from_index", "dataset_to_index")
        ours = ("data/", "videos/", "stats/", "meta/episodes/")
        return {key: value for key, value in before.items() if key not in known and not key.startswith(ours)}

    def _table(self, number: int, piece: Piece, start: int, tasks: np.ndarray) -> pa.Table:
        """The rows of an episode, as they will be stored."""
        source = self._sources[piece.source]
        row = source.reader.all_episodes[piece.episode]
        features = self._info.features
        copied = {
            key: f for key, f in columns.stored(features).items() if key not in {*DEFAULT_COLUMNS, *self._plan.added}
        }
        wanted = copied | {"frame_index": metadata.DEFAULT_FEATURES["frame_index"]}
        table = read_rows(source.data_file(row), wanted, [piece.episode], row["length"])
        table = table.slice(piece.start, piece.length)
        frame = np.arange(piece.length, dtype=np.int64)
        ours = {
            "timestamp": frame / self._info.fps,
            "frame_index": frame,
            "episode_index": np.full(piece.length, number),
            "index": frame + start,
            "task_index": tasks,
        } | {key: values[start : start + piece.length] for key, values in self._plan.added.items()}
        schema = columns.schema(features)
        arrays = []
        for field in schema:
            if field.name in ours:
                arrays.append(columns.to_arrow(ours[field.name], field.name, features[field.name]))
            else:
                arrays.append(_cast(table[field.name], field, features[field.name], source.data_file(row)))
        return pa.Table.from_arrays(arrays, schema=schema)

    def _statistics(self, piece: Piece, table: pa.Table, before: Mapping[str, Any]) -> stats.Stats:
        """An episode's statistics: those it had, and where they are missing or do not hold any more, new ones."""
        out: stats.Stats = {}
        for key, feature in self._info.features.items():
            had = {name: before.get(f"stats/{key}/{name}") for name in stats.NAMES}
            moved = key in self._plan.anew or not self._plan.is_whole(piece)
            if not moved and had["mean"] is not None:
                out[key] = {name: np.asarray(value) for name, value in had.items() if value is not None}
            elif feature.dtype in ("string", "language") or feature.is_depth:
                continue
            elif feature.dtype == "video":
                out[key] = picture_stats(self._sources[piece.source].clip(before, key, piece))
            elif feature.dtype == "image":
                out[key] = _cell_stats(table[key])
            elif key == "timestamp":  # double, as the ecosystem's statistics
                out[key] = stats.column_stats(np.arange(piece.length) / self._info.fps)
            else:
                out[key] = stats.column_stats(columns.to_numpy(table[key], key, feature))
        return out

    def _describe(self, frames: int) -> None:
        """The files under `meta/`."""
        self._pack()
        table = pa.concat_tables(self._episodes, promote_options="default")
        last = ["meta/episodes/chunk_index", "meta/episodes/file_index"]
        table = table.select([name for name in table.column_names if name not in last] + last)
        number = len(self._plan.pieces)
        info = attrs.evolve(
            self._info,
            codebase_version=metadata.VERSION,
            total_episodes=number,
            total_frames=frames,
            total_tasks=len(self._tasks),
            splits={"train": f"0:{number}"},
        )
        path = self._root / Place().path(layout.EPISODES_PATH)
        path.parent.mkdir(parents=True)
        pq.write_table(table, path)
        pq.write_table(metadata.tasks_table(list(self._tasks)), self._root / layout.TASKS)
        (self._root / layout.STATS).write_text(metadata.stats_text(self._stats or {}), encoding="utf-8")
        (self._root / layout.INFO).write_text(metadata.info_text(info), encoding="utf-8")


def _cast(column: pa.ChunkedArray, field: pa.Field, feature: Feature, path: Path) -> pa.Array:
    """A source's column in the type of the format; other writers have plain lists where it has fixed ones."""
    array = column.combine_chunks()
    if array.type == field.type and not array.null_count:
        return array
    return columns.to_arrow(columns.to_numpy(array, field.name, feature, path), field.name, feature)


def _cell_stats(cells: pa.ChunkedArray) -> dict[str, np.ndarray]:
    """Statistics of PNG cells."""
    wanted = stats.sample_indices(len(cells)).tolist()
    return stats.picture_stats([stats.level_counts(png.decode(cells[i].as_py()["bytes"])) for i in wanted])
