"""The rows of the selected episodes: columns of raw values that are mapped from the cache, and which rows are whose.

Decoding the tables takes seconds for millions of rows, so it is done once. Knows tables, no videos and no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets import checks, columns
from lerobot_datasets.cache import Cache, progress
from lerobot_datasets.columns import Cells
from lerobot_datasets.v3 import metadata
from lerobot_datasets.v3.layout import Place
from lerobot_datasets.v3.reader import Reader, read_rows


class _File(NamedTuple):
    """A frame table, which of its episodes are wanted, and how many rows these have."""

    path: Path
    episodes: Sequence[int]
    length: int


class Rows:
    """The rows of a reader's episodes; row 0 is the first of the first episode selected.

    Attributes:
        columns: feature → values (stored rows, …), or its `Cells`; indexed by what `stored` gives.
        ends: rows up to the end of each episode (E,) int64.

    Args:
        reader: the dataset.
        cache: keeps the columns; without one they are kept in memory.
        tolerance_s: how far a timestamp may be from its place on the grid of frames [s].

    Raises:
        DataError: a table is missing or does not fit, rows are missing or not in order, a timestamp is off, or an action is
            not a number.
    """

    columns: Mapping[str, np.ndarray | Cells]

    def __init__(self, reader: Reader, cache: Cache | None = None, tolerance_s: float = 1e-4) -> None:
        lengths = np.asarray(reader.episodes["length"], dtype=np.int64)
        self.ends = np.cumsum(lengths)
        self._shift = np.zeros(len(lengths), np.int64)
        tables, files = _Tables(reader, tolerance_s), _files(reader)
        found = None if cache is None or not files else _cached(tables, cache, files)
        if found is None:
            self.columns = _in_memory(tables, _mine(files, reader.selection, reader.all_episodes["length"]))
        else:
            self.columns = found
            numbers = np.concatenate([file.episodes for file in files])
            stored = np.asarray(reader.all_episodes["length"], dtype=np.int64)[numbers]
            begins = np.zeros(reader.info.total_episodes, np.int64)
            begins[numbers] = np.cumsum(stored) - stored
            self._shift = begins[np.asarray(reader.selection)] - (self.ends - lengths)
        self._is_shifted = bool(self._shift.any())

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def episode(self, rows: np.ndarray) -> np.ndarray:
        """The position in the selection of each row's episode (N,)."""
        return np.searchsorted(self.ends, rows, side="right")

    def bounds(self, episode: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first row of some episodes (N,), and the row after their last (N,)."""
        return np.append(0, self.ends)[episode], self.ends[episode]

    def stored(self, rows: np.ndarray, episode: np.ndarray) -> np.ndarray:
        """Where some rows (N, …), of the episodes (N,), are in the columns."""
        if not self._is_shifted:
            return rows
        return rows + self._shift[episode].reshape(-1, *[1] * (rows.ndim - 1))


def _files(reader: Reader) -> list[_File]:
    """The tables that hold selected episodes, with all episodes they hold."""
    table = reader.all_episodes
    if not len(table):
        return []
    places = np.stack([table["data/chunk_index"], table["data/file_index"]])
    cuts = np.flatnonzero((np.diff(places) != 0).any(axis=0)) + 1
    wanted = np.zeros(len(table), bool)
    wanted[np.asarray(reader.selection, dtype=np.int64)] = True
    lengths = np.asarray(table["length"], dtype=np.int64)
    out = []
    for numbers in np.split(np.arange(len(table)), cuts):
        if wanted[numbers].any():
            place = Place(*(int(value) for value in places[:, numbers[0]]))
            out.append(_File(reader.root / reader.info.data_file(place), numbers, int(lengths[numbers].sum())))
    return out


def _mine(files: Sequence[_File], selection: Sequence[int], lengths: Any) -> list[_File]:
    """The same tables with only the episodes selected."""
    out, wanted = [], np.asarray(selection)
    for file in files:
        numbers = np.intersect1d(file.episodes, wanted)
        out.append(_File(file.path, numbers, int(np.asarray(lengths)[numbers].sum())))
    return out


class _Tables:
    """Reads frame tables, and refuses those that cannot be right.

    Args:
        reader: the dataset.
        tolerance_s: how far a timestamp may be off [s].
    """

    def __init__(self, reader: Reader, tolerance_s: float) -> None:
        self.reader, self.tolerance_s = reader, tolerance_s
        self.features = columns.stored(reader.features)
        lengths = np.asarray(reader.all_episodes["length"], dtype=np.int64)
        self._lengths, self._first = lengths, np.cumsum(lengths) - lengths

    def read(self, files: Sequence[_File]) -> Iterator[dict[str, np.ndarray | pa.Array]]:
        """The columns of each table."""
        for file in files:
            table = read_rows(file.path, self.features, [int(number) for number in file.episodes], file.length)
            found = {
                key: (columns.to_cells if feature.dtype in columns.OBJECTS else columns.to_numpy)(
                    table[key], key, feature, file.path
                )
                for key, feature in self.features.items()
            }
            self._check(file, found)
            yield found

    def _check(self, file: _File, values: Mapping[str, np.ndarray]) -> None:
        info, lengths = self.reader.info, self._lengths[file.episodes]
        number = np.arange(file.length) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        index = number + np.repeat(self._first[file.episodes], lengths)
        wrong = checks.impossible(values, number, index, info.total_tasks, info.fps, self.tolerance_s)
        if wrong is not None:
            episode = int(np.repeat(file.episodes, lengths)[wrong.row])
            raise unusable(wrong, str(file.path), episode, int(number[wrong.row]), self.reader)


def unusable(wrong: checks.Finding, path: str, episode: int, row: int, reader: Reader) -> DataError:
    """What a table is refused with."""
    return DataError(
        f"'{path}', column '{wrong.column}', row {row} of episode {episode}: {wrong.message}",
        path=path,
        episode=episode,
        hint=f"`lr dataset check {reader.root}` lists all that is wrong",
    )


def _in_memory(tables: _Tables, files: Sequence[_File]) -> dict[str, np.ndarray | Cells]:
    parts = list(tables.read(files))
    return {
        key: Cells([part[key] for part in parts], feature)
        if feature.dtype in columns.OBJECTS
        else np.concatenate([part[key] for part in parts] or [columns.empty(feature)])
        for key, feature in tables.features.items()
    }


# --- the cache --------------------------------------------------------------------------------------------------------


def _cached(tables: _Tables, cache: Cache, files: Sequence[_File]) -> dict[str, np.ndarray | Cells] | None:
    """The columns of whole tables, mapped; None when they cannot be kept, or an episode not asked for is broken."""
    reader, features = tables.reader, tables.features

    def build(folder: Path) -> None:
        _write(folder, files, tables)

    paths = [reader.root / metadata.layout.INFO, *(file.path for file in files)]
    described = repr([(key, feature.dtype, feature.shape) for key, feature in features.items()])
    described += repr([tables.tolerance_s, reader.info.total_tasks])
    described += repr([(file.length, *file.episodes[[0, -1]].tolist()) for file in files])
    try:
        for _ in range(2):
            folder = cache.entry("columns", paths, build, described)
            if folder is None or (found := _mapped(folder, features)) is not None:
                return None if folder is None else found
            cache.remove(folder)
    except DataError:
        if len(reader.selection) == sum(len(file.episodes) for file in files):
            raise
    return None


def _write(folder: Path, files: Sequence[_File], tables: _Tables) -> None:
    """One file a column, filled table by table: memory is taken for one table."""
    total = sum(file.length for file in files)
    with ExitStack() as stack:
        advance = stack.enter_context(progress("reading tables", total))
        out: dict[str, Any] = {}
        for number, (key, feature) in enumerate(tables.features.items()):
            file = stack.enter_context((folder / _name(number, feature)).open("wb"))
            if feature.dtype in columns.OBJECTS:
                kind = pa.large_binary() if feature.dtype == "image" else pa.large_string()
                out[key] = stack.enter_context(pa.ipc.new_file(file, pa.schema([("cells", kind)])))
            else:
                example = columns.empty(feature)
                head = {"descr": example.dtype.str, "fortran_order": False, "shape": (total, *example.shape[1:])}
                np.lib.format.write_array_header_1_0(file, head)
                out[key] = file
        for table, part in zip(files, tables.read(files), strict=True):
            for key, values in part.items():
                if isinstance(values, np.ndarray):
                    out[key].write(np.ascontiguousarray(values).data)
                else:
                    out[key].write_batch(pa.record_batch([values], names=["cells"]))
            advance(table.length)


def _name(number: int, feature: Feature) -> str:
    return f"{number}.arrow" if feature.dtype in columns.OBJECTS else f"{number}.npy"


def _mapped(folder: Path, features: Mapping[str, Feature]) -> dict[str, np.ndarray | Cells] | None:
    """The columns of an entry; None when it is broken."""
    out: dict[str, np.ndarray | Cells] = {}
    try:
        for number, (key, feature) in enumerate(features.items()):
            path = folder / _name(number, feature)
            if feature.dtype in columns.OBJECTS:
                out[key] = Cells(pa.ipc.open_file(pa.memory_map(str(path))).read_all()["cells"].chunks, feature)
            else:
                out[key] = np.load(path, mmap_mode="r").view(np.ndarray)
    except (OSError, ValueError, pa.ArrowException):
        return None
    return out
