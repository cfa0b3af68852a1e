"""The new dataset of a plan while it is written, episode by episode. Knows no names of folders and changes no source."""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lerobot_core.errors import DataError
from lerobot_core.features import DEFAULT_COLUMNS, Feature
from lerobot_datasets import columns, stats
from lerobot_datasets.edit import clips, language
from lerobot_datasets.edit.clips import Cells, Pictures
from lerobot_datasets.edit.origin import Origin
from lerobot_datasets.edit.plan import Filling, Piece, Plan, Relative
from lerobot_datasets.edit.videos import File, Part, Videos, kept, parts
from lerobot_datasets.v3 import layout, metadata, stamps
from lerobot_datasets.v3.layout import MIB, Place
from lerobot_datasets.v3.metadata import Info
from lerobot_datasets.video import encode

#: Rows of the table of episodes held as Python objects at a time.
_BATCH = 100

#: Share of the limit at which a table that is filled episode by episode is full.
_NEARLY = 0.9


class _Tables:
    """The frame tables: one row group per episode, a new file when one is full.

    What counts is the size of the columns before compression, as with the ecosystem's tools.
    """

    def __init__(self, root: Path, info: Info, filling: Filling) -> None:
        self._root, self._info, self._filling = root, info, filling
        self._next = self._place = Place()
        self._file: BinaryIO | None = None
        self._out: Any = None
        self._size = 0.0
        self._source: File | None = None
        self._stamps: list[pa.Table] = []

    def add(self, table: pa.Table, times: pa.Table, source: File, whole: float, share: float) -> Place:
        """Append an episode.

        Args:
            table: its rows.
            times: its stamps.
            source: the file they come from.
            whole: bytes of that file before compression.
            share: bytes of these rows before compression.
        """
        if self._file is not None and self._is_full(source, whole):
            self.close()
        if self._file is None:
            self._place, self._next = self._next, self._next.next(self._info.chunks_size)
            path = self._root / self._info.data_file(self._place)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file, self._size = path.open("wb"), 0
            self._out = pq.ParquetWriter(self._file, table.schema)
        self._out.write_table(table, row_group_size=len(table))
        self._stamps.append(times)
        self._size += share
        self._source = source
        return self._place

    def _is_full(self, source: File, whole: float) -> bool:
        limit = self._info.data_files_size_in_mb * MIB
        if self._filling == "filled":
            return self._size >= _NEARLY * limit
        return source != self._source and (self._filling == "kept" or self._size + whole >= limit)

    def close(self) -> None:
        if self._file is not None:
            if self._out is not None:  # a Ctrl-C may come between the two
                self._out.close()
            self._file.close()
            self._file = self._out = None
            stamps.write(self._stamps, self._root, self._place)
            self._stamps = []


@attrs.define
class _Episode:
    """An episode on its way.

    Attributes:
        number: its new number.
        piece: what it is made of.
        start: its first frame in the dataset.
        tasks: task of each frame (frames,).
        rows: the source's rows, as the source has them.
        times: its stamps.
        source: the table they come from, its size and theirs.
        videos: camera → packets of its video.
        stats: camera → statistics of its pictures, where they are made anew.
    """

    number: int
    piece: Piece
    start: int
    tasks: np.ndarray
    rows: pa.Table
    times: pa.Table
    source: tuple[Path, float, float]
    videos: dict[str, list[Part]] = attrs.Factory(dict)
    stats: stats.Stats = attrs.Factory(dict)


class Making:
    """Writes a plan's dataset into an empty folder.

    Args:
        plan: what to write.
        sources: its sources, open.
        root: the folder.
        tasks: text → index of the new table of tasks.
        encoded: folder of cameras that were encoded anew; what is there from an earlier attempt is used.
    """

    def __init__(
        self, plan: Plan, sources: Sequence[Origin], root: Path, tasks: Mapping[str, int], encoded: Path
    ) -> None:
        self._plan, self._sources, self._root, self._tasks = plan, sources, root, tasks
        paths = {"data_path": layout.DATA_PATH, "video_path": layout.VIDEO_PATH if plan.info.video_keys else None}
        self._info = attrs.evolve(plan.info, **paths)
        self._tables = _Tables(root, self._info, plan.data)
        self._videos = {key: Videos(root, self._info, key, plan.videos) for key in plan.info.video_keys}
        self._schema = self._with_language()
        features = {**plan.info.features, **{key: self._before(key) for key in plan.encoders}}
        ours = {*DEFAULT_COLUMNS, *plan.added}
        self._copied = [key for key in columns.stored(features) if key not in ours]
        self._stats: stats.Stats | None = None
        self._parts: list[stats.Stats] = []
        self._episodes: list[pa.Table] = []
        self._rows: list[dict[str, Any]] = []
        self._scratch, self._encoded = root / ".encoded", encoded
        self._stopped = threading.Event()

    def write(self, task_rows: Sequence[np.ndarray], advance: Callable[[], None]) -> None:
        """Every episode, then what the dataset says about itself.

        Args:
            task_rows: task of each frame, by episode.
            advance: called after every episode.
        """
        done = False
        self._scratch.mkdir()
        if self._plan.encoders:
            self._encoded.mkdir(exist_ok=True)
        try:
            for episode in self._ready(self._read(task_rows)):
                self._add(episode)
                advance()
            done = True
        finally:
            self._tables.close()
            for videos in self._videos.values():
                videos.close(check=done)
        self._scratch.rmdir()
        self._describe()

    # --- an episode ---------------------------------------------------------------------------------------------------

    def _read(self, task_rows: Sequence[np.ndarray]) -> Iterator[_Episode]:
        start = 0
        for number, (piece, tasks) in enumerate(zip(self._plan.pieces, task_rows, strict=True)):
            source = self._sources[piece.source]
            row = source.row(piece.episode)
            table = source.table(row)
            where = table.rows(piece.episode, row["length"])
            rows = table.read(slice(where.start + piece.start, where.start + piece.stop), self._copied)
            size = table.path, table.size, table.share(piece.length)
            frames = slice(piece.start, piece.start + piece.length)
            gone = source.reader.features.keys() - self._plan.info.features.keys()
            times = stamps.part(source.stamps(row), piece.episode, frames, number, gone)
            yield _Episode(number, piece, start, tasks, rows, times, size)
            start += piece.length

    def _ready(self, episodes: Iterator[_Episode]) -> Iterator[_Episode]:
        """The episodes with their pictures, in order; on all cores where pictures are decoded or encoded."""
        if not self._is_heavy:
            for episode in episodes:
                self._prepare(episode)
                yield episode
            return
        workers = os.cpu_count() or 1
        waiting: deque[tuple[_Episode, Future[None]]] = deque()
        with ThreadPoolExecutor(workers, "pictures") as pool:
            try:
                for episode in episodes:
                    waiting.append((episode, pool.submit(self._prepare, episode)))
                    if len(waiting) > workers + 1:
                        ready, future = waiting.popleft()
                        future.result()
                        yield ready
                for ready, future in waiting:
                    future.result()
                    yield ready
            finally:
                self._stopped.set()
                pool.shutdown(cancel_futures=True)

    @cached_property
    def _is_heavy(self) -> bool:
        """Whether pictures are decoded or encoded."""
        plan = self._plan
        pictures = {key for key, feature in plan.info.features.items() if feature.is_picture}
        return bool(plan.encoders or pictures & plan.anew or (pictures and not all(map(plan.is_whole, plan.pieces))))

    def _prepare(self, episode: _Episode) -> None:
        """All about an episode's pictures. Runs beside others of its kind."""
        piece, plan = episode.piece, self._plan
        source, before = self._sources[piece.source], None
        for key, feature in self._info.features.items():
            if not feature.is_picture:
                continue
            pictures = self._pictures(key, episode)
            if feature.dtype == "video":
                scratch = self._scratch / f"{episode.number}.{key}.mp4"
                if key in plan.encoders:
                    found = [kept(pictures, plan.encoders[key], self._encoded, self._stopped.is_set)]
                else:
                    clip = source.clip(key, piece)
                    packets = source.packets(clip.path)
                    found = parts(clip, packets, key, feature, scratch, self._stopped.is_set)
                episode.videos[key] = found
            before = before or source.row(piece.episode)
            if key in plan.anew or not plan.is_whole(piece) or before.get(f"stats/{key}/mean") is None:
                episode.stats[key] = clips.statistics(pictures, key, self._before(key))

    def _before(self, key: str) -> Feature:
        """A camera as the sources have it, with what the plan knows of it."""
        feature = self._plan.info.features[key]
        return attrs.evolve(feature, dtype=self._sources[0].reader.features[key].dtype)

    def _pictures(self, key: str, episode: _Episode) -> Pictures:
        source, piece = self._sources[episode.piece.source], episode.piece
        feature = self._before(key)
        if feature.dtype == "video":
            return source.clip(key, piece)
        found = columns.to_numpy(episode.rows[key], key, feature, episode.source[0])
        cells = [cell["bytes"] for cell in found]
        return Cells(cells=cells, feature=feature, key=key, episode=piece.episode, fps=self._info.fps)

    def _add(self, episode: _Episode) -> None:
        piece = episode.piece
        source = self._sources[piece.source]
        before = source.row(piece.episode)
        table = self._table(episode)
        path, whole, share = episode.source
        place = self._tables.add(table, episode.times, (piece.source, path), whole, share)
        texts = list(self._tasks)
        row = {
            "episode_index": episode.number,
            "tasks": [texts[i] for i in dict.fromkeys(episode.tasks.tolist())],
            "length": piece.length,
            "data/chunk_index": place.chunk,
            "data/file_index": place.file,
            "dataset_from_index": episode.start,
            "dataset_to_index": episode.start + piece.length,
        }
        for key, videos in self._videos.items():
            origin = None if key in self._plan.encoders else (piece.source, source.clip(key, piece).path)
            place, begin, end = videos.add(episode.videos[key], origin, self._info.fps)
            row |= {
                f"videos/{key}/chunk_index": place.chunk,
                f"videos/{key}/file_index": place.file,
                f"videos/{key}/from_timestamp": begin,
                f"videos/{key}/to_timestamp": end,
            }
        if self._is_heavy:
            for path in self._scratch.glob(f"{episode.number}.*"):
                path.unlink()
        row |= self._extra(before, piece)
        found = self._statistics(episode, table, before)
        row |= {f"stats/{key}/{name}": value.tolist() for key, part in found.items() for name, value in part.items()}
        self._parts.append(found)
        self._rows.append(row | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0})
        if len(self._rows) == _BATCH:
            self._pack()

    def _pack(self) -> None:
        if self._rows:
            keys = dict.fromkeys(key for row in self._rows for key in row)
            self._episodes.append(pa.Table.from_pydict({key: [row.get(key) for row in self._rows] for key in keys}))
            self._stats = stats.aggregate([*([self._stats] if self._stats else []), *self._parts])
            self._rows, self._parts = [], []

    def _extra(self, before: Mapping[str, Any], piece: Piece) -> dict[str, Any]:
        """Columns that somebody added to the table of episodes; they speak of the whole episode."""
        if not self._plan.is_whole(piece):
            return {}
        known = ("episode_index", "tasks", "length", "dataset_from_index", "dataset_to_index")
        ours = ("data/", "videos/", "stats/", "meta/episodes/")
        return {key: value for key, value in before.items() if key not in known and not key.startswith(ours)}

    # --- tables -------------------------------------------------------------------------------------------------------

    def _with_language(self) -> pa.Schema:
        """The schema of the tables; language has the types it has in the sources."""
        features = self._info.features
        spoken = [key for key, feature in features.items() if feature.dtype == "language"]
        schema = columns.schema({key: feature for key, feature in features.items() if key not in spoken})
        if not spoken:
            return schema
        stored = []
        for i, source in enumerate(self._sources):
            first = next(piece.episode for piece in self._plan.pieces if piece.source == i)
            stored.append(source.table(source.row(first)).schema)
        fields = {}
        for key in spoken:
            if any(key not in each.names for each in stored):
                raise DataError(f"the tables lack the column {key} of info.json", hint=metadata.RESTORE)
            fields[key] = language.field(key, [each.field(key) for each in stored])
        # Their type has no name in the description that the `datasets` library reads; annotating tools write none either.
        return pa.schema([fields[key] if key in fields else schema.field(key) for key in columns.stored(features)])

    def _table(self, episode: _Episode) -> pa.Table:
        """The rows of an episode, as they will be stored."""
        piece, features = episode.piece, self._info.features
        frame = np.arange(piece.length, dtype=np.int64)
        ours: dict[str, Any] = {
            "timestamp": frame / self._info.fps,
            "frame_index": frame,
            "episode_index": np.full(piece.length, episode.number),
            "index": frame + episode.start,
            "task_index": episode.tasks,
        }
        rows = slice(episode.start, episode.start + piece.length)
        ours |= {key: values[rows] for key, values in self._plan.added.items()}
        arrays = []
        for field in self._schema:
            feature = features[field.name]
            if field.name in ours:
                arrays.append(columns.to_arrow(ours[field.name], field.name, feature))
            elif feature.dtype == "language":
                array = language.carried(episode.rows[field.name], field)
                if field.name == language.PERSISTENT and not self._plan.is_whole(piece):
                    array = language.cut(array, piece.start, piece.length, self._info.fps)
                arrays.append(array)
            else:
                arrays.append(_cast(episode.rows[field.name], field, feature, episode.source[0]))
        return pa.Table.from_arrays(arrays, schema=self._schema)

    def _statistics(self, episode: _Episode, table: pa.Table, before: Mapping[str, Any]) -> stats.Stats:
        """An episode's statistics: those it had, and where they are missing or do not hold any more, new ones."""
        out: stats.Stats = {}
        whole = self._plan.is_whole(episode.piece)
        for key, feature in self._info.features.items():
            had = before.get(f"stats/{key}/mean") is not None and key not in self._plan.added
            if feature.dtype in ("string", "language"):
                continue
            if key in episode.stats:
                out[key] = episode.stats[key]
            elif whole and had and key not in self._plan.anew:
                values = {name: before.get(f"stats/{key}/{name}") for name in stats.NAMES}
                out[key] = {name: np.asarray(value) for name, value in values.items() if value is not None}
            elif key == "timestamp":  # double, as the ecosystem's statistics
                out[key] = stats.column_stats(np.arange(episode.piece.length) / self._info.fps)
            else:
                out[key] = stats.column_stats(columns.to_numpy(table[key], key, feature))
        return out

    # --- the dataset --------------------------------------------------------------------------------------------------

    def _describe(self) -> None:
        """The files under `meta/`."""
        self._pack()
        table = pa.concat_tables(self._episodes, promote_options="default")
        last = ["meta/episodes/chunk_index", "meta/episodes/file_index"]
        table = table.select([name for name in table.column_names if name not in last] + last)
        number = len(self._plan.pieces)
        info = attrs.evolve(
            self._info,
            codebase_version=metadata.VERSION,
            features=self._features(),
            total_episodes=number,
            total_frames=self._plan.frames,
            total_tasks=len(self._tasks),
            splits={"train": f"0:{number}"},
        )
        path = self._root / Place().path(layout.EPISODES_PATH)
        path.parent.mkdir(parents=True)
        pq.write_table(table, path)
        pq.write_table(metadata.tasks_table(list(self._tasks)), self._root / layout.TASKS)
        found = dict(self._stats or {})
        if self._plan.relative is not None:
            found["action"] = relative_stats(self._root, info, table, self._plan.relative)
        (self._root / layout.STATS).write_text(metadata.stats_text(found), encoding="utf-8")
        text = metadata.info_text(info)
        (self._root / layout.INFO).write_text(_with_rates(text) if self._plan.rates else text, encoding="utf-8")

    def _features(self) -> dict[str, Feature]:
        """The features; cameras that were encoded say what their streams are."""
        out = dict(self._info.features)
        for key, how in self._plan.encoders.items():
            first = self._videos[key].first
            if first is not None:
                out[key] = attrs.evolve(out[key], info=_described(out[key], key, first, how))
        return out


def _described(feature: Feature, key: str, path: Path, how: Any) -> dict[str, Any]:
    """The `info` of a camera after encoding; of depth, with how its distances became codes."""
    found = encode.describe(path, how)
    if not feature.is_depth:
        return found
    quantiser = attrs.asdict(clips.depth.quantiser(key, feature))
    unit = (feature.info or {}).get("depth_unit")
    head = {"is_depth_map": True} | ({"depth_unit": unit} if unit else {})
    return (
        head
        | {name: v for name, v in found.items() if name not in head}
        | {f"video.{n}": v for n, v in quantiser.items()}
    )


def relative_stats(root: Path, info: Info, episodes: pa.Table, how: Relative) -> dict[str, np.ndarray]:
    """Statistics of actions relative to the state at the first frame of each whole chunk, all in one histogram."""
    names = info.features["action"].elements or []
    stays = np.array([any(word in name for word in how.exclude) for name in names], dtype=bool)
    if not len(stays):
        stays = np.zeros(info.features["action"].shape[0], dtype=bool)
    rows = []
    for path in sorted((root / "data").glob("*/*.parquet")):
        table = pq.ParquetFile(path).read(["episode_index", "action", "observation.state"])
        values = {key: columns.to_numpy(table[key], key, info.features[key]) for key in table.column_names}
        for episode in np.unique(values["episode_index"]):
            mine = values["episode_index"] == episode
            action, state = values["action"][mine], values["observation.state"][mine]  # (frames, A)
            starts = np.arange(len(action) - how.chunk_size + 1)
            if len(starts):
                chunks = action[starts[:, None] + np.arange(how.chunk_size)]  # (chunks, T, A)
                chunks = chunks - np.where(stays, 0, state[starts])[:, None].astype(action.dtype)
                rows.append(chunks.reshape(-1, action.shape[1]))  # (chunks × T, A)
    return stats.column_stats(np.concatenate(rows))


def _with_rates(text: str) -> str:
    """info.json with the rate at each feature that is no video."""
    data = json.loads(text)
    for feature in data["features"].values():
        if feature["dtype"] != "video":
            feature["fps"] = data["fps"]
    return json.dumps(data, indent=4, ensure_ascii=False)


def _cast(column: pa.ChunkedArray, field: pa.Field, feature: Feature, path: Path) -> pa.Array:
    """A source's column in the type of the format; other writers have plain lists where it has fixed ones."""
    array = column.combine_chunks()
    if array.type == field.type and not array.null_count:
        return array
    return columns.to_arrow(columns.to_numpy(array, field.name, feature, path), field.name, feature)
