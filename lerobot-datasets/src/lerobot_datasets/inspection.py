"""Runs every check over a dataset folder, an episode at a time. Knows files; what is wrong is told by `checks`. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets import checks, columns
from lerobot_datasets.checks import Finding
from lerobot_datasets.films import Films
from lerobot_datasets.stats import Stats
from lerobot_datasets.v3 import layout, metadata
from lerobot_datasets.v3.layout import Place
from lerobot_datasets.v3.reader import Reader, read_columns


class Inspection:
    """The checks of one dataset.

    Args:
        reader: the dataset.
        tolerance_s: how far timestamps and pictures may be off [s].
        all_frames: look at every picture of the cameras, not only at those that statistics are made of.
        decoded: whether to look at pictures at all.
    """

    def __init__(
        self, reader: Reader, tolerance_s: float = 1e-4, *, all_frames: bool = False, decoded: bool = True
    ) -> None:
        self._reader, self._tolerance_s = reader, tolerance_s
        self._films = Films(reader, tolerance_s, all_frames=all_frames, decoded=decoded)
        self._parts: list[Stats] = []
        self._seen: set[Path] = set()

    def findings(self, advance: Callable[[], None] = lambda: None) -> Iterator[Finding]:
        """Everything found; `advance` is called after each episode."""
        reader, first = self._reader, 0
        yield from self._files()
        yield from self._counts()
        yield from checks.table(reader.all_episodes, reader.fps, reader.info.video_keys, reader.tasks)
        for row in reader.all_episodes:
            yield from self._episode(row, first)
            first += row["length"]
            advance()
        if first != self._reader.info.total_frames:
            says = f"total_frames is {self._reader.info.total_frames}, the episodes have {first}"
            yield Finding(check="index", message=says, file=str(layout.INFO))
        yield from checks.lengths(np.asarray(self._reader.all_episodes["length"]))
        for found in checks.whole(self._parts, self._reader.stats, self._reader.features):
            yield checks.in_file(layout.STATS, found) if found.check == "stats" else found
        yield from self._films.whole()

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
            yield checks.in_file(name, what)
        yield from checks.named(found["task_index"], row, reader.tasks)
        yield from self._films.episode(row, found)

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

    def _files(self) -> Iterator[Finding]:
        """Files where the dataset's are, which are none of its: readers that take every table would read them."""
        reader, info = self._reader, self._reader.info
        known = {info.data_file(Place(row["data/chunk_index"], row["data/file_index"])) for row in reader.all_episodes}
        for camera in info.video_keys:
            chunk, file = f"videos/{camera}/chunk_index", f"videos/{camera}/file_index"
            known |= {info.video_file(Place(row[chunk], row[file]), camera) for row in reader.all_episodes}
        for pattern in ("data/**/*.parquet", "videos/**/*.mp4"):
            for path in sorted(reader.root.glob(pattern)):
                if (name := path.relative_to(reader.root)) not in known:
                    yield Finding(check="orphan", message="no episode is in this file", file=str(name))

    def _counts(self) -> Iterator[Finding]:
        """Whether each table holds the rows of its episodes and no more."""
        reader, wanted = self._reader, dict[Path, int]()
        for row in reader.all_episodes:
            name = reader.info.data_file(Place(row["data/chunk_index"], row["data/file_index"]))
            wanted[name] = wanted.get(name, 0) + row["length"]
        for name, count in wanted.items():
            try:
                found = metadata.read_row_count(reader.root / name)
            except DataError:
                continue  # said of its episodes
            if found > count:
                yield Finding(check="index", message=f"{found} rows, its episodes have {count}", file=str(name))


_NOT_NUMBERS = ("string", "image", "language")


def _leaf(kind: pa.DataType) -> pa.DataType:
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    return kind
