"""Columns of any rows of a dataset whose tables stay where they are: read by row groups, checked, and kept for a while.

A *block* is a run of neighbouring row groups of one table, read at once. Knows no videos and no torch.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from lerobot_core.errors import DataError
from lerobot_datasets import checks, columns
from lerobot_datasets.stream.store import Store
from lerobot_datasets.v3.layout import Place
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.rows import unusable

#: Rows of a table, and bytes of its columns, after which a block ends with the next row group.
BLOCK_ROWS, BLOCK_BYTES = 1024, 8 << 20


class Block(NamedTuple):
    """Columns (n, …) of some rows of a table."""

    first: int
    columns: dict[str, np.ndarray]


class Group(NamedTuple):
    """Rows asked for that lie in one block: their positions in the question, and in the block."""

    block: Block
    asked: np.ndarray
    held: np.ndarray


class Tables:
    """The tables of the episodes a reader has selected; rows are numbered as `LeRobotDataset` numbers them.

    Attributes:
        ends: rows up to the end of each selected episode (E,).
        file: number of the table that holds each (E,).
        row: row of that table at which each begins (E,).
        cache: keeps what was read.

    Args:
        store: where the tables are.
        reader: the dataset.
        tolerance_s: how far a timestamp may be from its place on the grid of frames [s].
    """

    def __init__(self, store: Store, reader: Reader, tolerance_s: float = 1e-4) -> None:
        self._store, self._reader, self.cache, self._tolerance_s = store, reader, store.cache, tolerance_s
        self._features = columns.stored(reader.features)
        every, selected = reader.all_episodes, np.asarray(reader.selection, dtype=np.int64)
        self._numbers = selected
        self._all_lengths = np.asarray(every["length"], dtype=np.int64) if len(every) else np.empty(0, np.int64)
        self.lengths = self._all_lengths[selected]
        self.ends = np.cumsum(self.lengths)
        if not len(every):
            self.file = self.row = np.empty(0, np.int64)
            return
        place = np.stack([every["data/chunk_index"], every["data/file_index"]])
        starts = np.append(0, np.flatnonzero((np.diff(place) != 0).any(axis=0)) + 1)
        self._paths = [reader.info.data_file(Place(*place[:, i].tolist())).as_posix() for i in starts]
        self._first_episode = np.append(starts, len(every))
        file = np.searchsorted(starts, np.arange(len(every)), side="right") - 1
        before = np.cumsum(self._all_lengths) - self._all_lengths
        self.file, self.row = file[selected], (before - before[starts][file])[selected]

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    @cached_property
    def first(self) -> np.ndarray:
        """First row of each selected episode (E,)."""
        return self.ends - self.lengths

    @cached_property
    def row_bytes(self) -> int:
        """About what a row takes in memory at most; pictures are taken as if they were not compressed."""
        return sum(
            int(np.prod(f.shape)) * (1 if f.dtype in columns.OBJECTS else np.dtype(f.dtype).itemsize)
            for f in self._features.values()
        )

    def episode_of(self, rows: np.ndarray) -> np.ndarray:
        """Position in the selection of the episode of each row."""
        return np.searchsorted(self.ends, rows, side="right")

    def groups(self, rows: np.ndarray, episode: np.ndarray) -> list[Group]:
        """Where rows (N,) of these episodes (N,) lie; their blocks are read.

        Raises:
            DataError: a table is missing, broken or does not fit the metadata, or the place cannot be reached.
        """
        file, row = self.file[episode], rows - self.first[episode] + self.row[episode]
        out = []
        for number in np.unique(file).tolist():
            here = np.flatnonzero(file == number)
            starts = self._starts(number)
            block = np.searchsorted(starts, row[here], side="right") - 1
            for which in np.unique(block).tolist():
                asked = here[block == which]
                found = self._block(number, which)
                out.append(Group(found, asked, row[asked] - found.first))
        return out

    def column(self, key: str, groups: list[Group], count: int) -> np.ndarray:
        """The values (count, …) of a column at the rows of some groups."""
        if len(groups) == 1:
            return groups[0].block.columns[key][groups[0].held]
        like = groups[0].block.columns[key]
        out = np.empty((count, *like.shape[1:]), like.dtype)
        for block, asked, held in groups:
            out[asked] = block.columns[key][held]
        return out

    # --- blocks -------------------------------------------------------------------------------------------------------

    def _starts(self, number: int) -> np.ndarray:
        """First row of each block of a table (K,)."""
        return self._layout(number)[0]

    def _layout(self, number: int) -> tuple[np.ndarray, list[list[int]]]:
        """First row and the row groups of each block of a table."""
        path = self._paths[number]

        def cut() -> tuple[tuple[np.ndarray, list[list[int]]], int]:
            footer = self._store.footer(path)
            self._check(path, number, footer)
            starts, groups, row, held = list[int](), list[list[int]](), 0, 0
            for i in range(footer.num_row_groups):
                group = footer.row_group(i)
                if not groups or row // BLOCK_ROWS != starts[-1] // BLOCK_ROWS or held >= BLOCK_BYTES:
                    starts.append(row)
                    groups.append([])
                    held = 0
                groups[-1].append(i)
                row, held = row + group.num_rows, held + group.total_byte_size
            return (np.array(starts), groups), 64 * footer.num_row_groups

        found: tuple[np.ndarray, list[list[int]]] = self.cache.get((path, "blocks"), cut)
        return found

    def _check(self, path: str, number: int, footer: Any) -> None:
        name = self._store.name(path)
        present = footer.schema.to_arrow_schema().names
        if missing := [key for key in self._features if key not in present]:
            raise DataError(f"'{name}' lacks the columns {', '.join(missing)} of info.json", path=name)
        wanted = int(self._all_lengths[slice(*self._first_episode[number : number + 2])].sum())
        if footer.num_rows < wanted:
            raise DataError(
                f"'{name}' holds {footer.num_rows} of the {wanted} frames of its episodes",
                path=name,
                hint="the dataset is incomplete; fetch it again",
            )

    def _block(self, number: int, which: int) -> Block:
        starts, groups = self._layout(number)
        path = self._paths[number]

        def read() -> tuple[Block, int]:
            table = self._store.row_groups(path, groups[which], list(self._features))
            where = self._store.name(path)
            found = {key: columns.to_numpy(table[key], key, f, where) for key, f in self._features.items()}
            self._require_possible(number, int(starts[which]), found, where)
            return Block(int(starts[which]), found), sum(_held(table[key], found[key]) for key in found)

        block: Block = self.cache.get((path, which, "columns"), read)
        return block

    def _require_possible(self, number: int, first: int, found: dict[str, np.ndarray], where: str) -> None:
        """Whether the rows of a table from `first` on can be those that should be there."""
        begin, stop = self._first_episode[number : number + 2]
        lengths = self._all_lengths[begin:stop]
        ends = np.cumsum(lengths)
        rows = np.arange(first, min(first + len(next(iter(found.values()))), ends[-1]))
        local = np.searchsorted(ends, rows, side="right")
        episode, frame = begin + local, rows - (ends - lengths)[local]
        index = int(self._all_lengths[:begin].sum()) + rows
        info, mine = self._reader.info, {key: values[: len(rows)] for key, values in found.items()}
        other = np.flatnonzero(mine["episode_index"] != episode)
        if len(other):
            raise DataError(
                f"'{where}' holds a frame of episode {found['episode_index'][other[0]]} in row {rows[other[0]]}, "
                f"which is of episode {episode[other[0]]}",
                path=where,
                episode=int(episode[other[0]]),
                hint="lr dataset check shows what else does not fit",
            )
        wrong = checks.impossible(mine, frame, index, info.total_tasks, info.fps, self._tolerance_s)
        if wrong is not None:
            raise unusable(wrong, where, int(episode[wrong.row]), int(frame[wrong.row]), self._reader)


def _held(stored: Any, values: np.ndarray) -> int:
    """Bytes of a column in memory."""
    return int(values.nbytes + stored.nbytes + 400 * len(values)) if values.dtype == object else int(values.nbytes)
