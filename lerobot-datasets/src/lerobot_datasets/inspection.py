"""Runs every check over a dataset folder, an episode at a time. Knows files; what is wrong is told by `checks`. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import av
import numpy as np
import pyarrow as pa

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets import checks, columns
from lerobot_datasets.checks import Finding
from lerobot_datasets.stats import Stats
from lerobot_datasets.v3 import layout, metadata
from lerobot_datasets.v3.layout import Place
from lerobot_datasets.v3.reader import Reader, read_columns
from lerobot_datasets.video import decode

_LOOKS = 5  # pictures of an episode looked at to tell a frozen camera


class Inspection:
    """The checks of one dataset.

    Args:
        reader: the dataset.
        tolerance_s: how far timestamps and pictures may be off [s].
    """

    def __init__(self, reader: Reader, tolerance_s: float = 1e-4) -> None:
        self._reader, self._tolerance_s = reader, tolerance_s
        self._parts: list[Stats] = []
        self._seen: set[Path] = set()
        self._shown: dict[Path, np.ndarray | str] = {}
        self._videos = decode.VideoReader("pyav", tolerance_s=1.0)

    def findings(self, advance: Callable[[], None] = lambda: None) -> Iterator[Finding]:
        """Everything found; `advance` is called after each episode."""
        first = 0
        for row in self._reader.all_episodes:
            yield from self._episode(row, first)
            first += row["length"]
            advance()
        if first != self._reader.info.total_frames:
            says = f"total_frames is {self._reader.info.total_frames}, the episodes have {first}"
            yield Finding(check="index", message=says, file=str(layout.INFO))
        yield from checks.lengths(np.asarray(self._reader.all_episodes["length"]))
        for found in checks.whole(self._parts, self._reader.stats, self._reader.features):
            yield _in(layout.STATS, found) if found.check == "stats" else found
        self._videos.close()

    def episode(self, number: int) -> list[Finding]:
        """What is wrong with the rows and videos of one episode, as far as it alone can tell."""
        row = self._reader.all_episodes[number]
        found = list(self._episode(row, row["dataset_from_index"]))
        self._parts.clear()
        return found

    def _episode(self, row: dict[str, Any], first: int) -> Iterator[Finding]:
        reader, episode = self._reader, row["episode_index"]
        name = reader.info.data_file(Place(row["data/chunk_index"], row["data/file_index"]))
        numeric = {k: f for k, f in columns.stored(reader.features).items() if f.dtype not in _NOT_NUMBERS}
        try:
            yield from self._types(name, numeric)
            found = read_columns(reader.root / name, numeric, [episode], row["length"])
        except DataError as problem:
            yield Finding(check="unreadable", message=problem.message, file=str(name), episode=episode)
            return
        if row["length"] == 0:
            yield Finding(check="index", message="the episode has no rows", file=str(name), episode=episode)
            return
        self._parts.append(checks.summary(found))
        for what in (
            *checks.rows(found, first, episode, len(reader.tasks)),
            *checks.timestamps(found, reader.fps, self._tolerance_s, episode),
            *checks.numbers(found, episode),
        ):
            yield _in(name, what)
        for camera in reader.info.video_keys:
            yield from self._video(camera, row, found["timestamp"])

    def _types(self, name: Path, numeric: dict[str, Feature]) -> Iterator[Finding]:
        """Whether each column of a file is of its feature's type, when the file is met first."""
        if name in self._seen:
            return
        self._seen.add(name)
        schema, wanted = metadata.read_schema(self._reader.root / name), columns.schema(numeric)
        for key in numeric:
            if key not in schema.names:
                yield Finding(check="dtype", message="the column is missing", file=str(name), column=key)
            elif (stored := _leaf(schema.field(key).type)) != _leaf(wanted.field(key).type):
                says = f"stored as {stored}, info.json says {numeric[key].dtype}"
                yield Finding(check="dtype", message=says, file=str(name), column=key)

    def _video(self, camera: str, row: dict[str, Any], timestamps: np.ndarray) -> Iterator[Finding]:
        episode, start = row["episode_index"], row[f"videos/{camera}/from_timestamp"]
        place = Place(row[f"videos/{camera}/chunk_index"], row[f"videos/{camera}/file_index"])
        name = self._reader.info.video_file(place, camera)
        path, where = self._reader.root / name, {"file": str(name), "column": camera, "episode": episode}
        shown = self._shown_times(path)
        if isinstance(shown, str):
            yield Finding(check="unreadable", message=shown, **where)
            return
        problems = list(checks.pictures(shown, start, timestamps, self._tolerance_s))
        for check, says, at in problems:
            yield Finding(check=check, message=says, row=at, **where)
        if problems or len(timestamps) < 2 or self._reader.features[camera].is_depth:
            return
        looks = np.unique(np.linspace(0, len(timestamps) - 1, _LOOKS).astype(int))
        try:
            seen = self._videos.frames(path, start + timestamps[looks].astype(np.float64))
        except DataError as problem:
            yield Finding(check="unreadable", message=problem.message, **where)
            return
        if (seen == seen[0]).all():
            yield Finding(check="frozen", message=f"the same picture {len(looks)} times in the episode", **where)

    def _shown_times(self, path: Path) -> np.ndarray | str:
        """When the pictures of a video are shown, rising [s], or why it cannot be read. Nothing is decoded."""
        if path not in self._shown:
            self._shown = {**dict(list(self._shown.items())[-16:]), path: _shown_times(path)}
        return self._shown[path]


_NOT_NUMBERS = ("string", "image", "language")


def _in(name: Path, finding: Finding) -> Finding:
    return attrs.evolve(finding, file=str(name))


def _leaf(kind: pa.DataType) -> pa.DataType:
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    return kind


def _shown_times(path: Path) -> np.ndarray | str:
    if not path.is_file():
        return "the video is missing"
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            shown = [packet.pts for packet in container.demux(stream) if packet.pts is not None and packet.size]
            return np.sort(np.array(shown) - (stream.start_time or 0)) * float(stream.time_base)
    except (av.FFmpegError, IndexError) as problem:
        return f"the video cannot be read: {problem}"
