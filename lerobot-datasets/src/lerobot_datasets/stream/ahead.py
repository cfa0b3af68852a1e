"""What the next items need, fetched while others are used: a remote place answers late, but many questions at once.

Knows rows and windows, no torch. What was fetched lies in the cache; a failure is told when the item itself is made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import attrs
import numpy as np

from lerobot_datasets import windows
from lerobot_datasets.stream.tables import BLOCK_ROWS, Group, Tables
from lerobot_datasets.stream.videos import Videos

#: Requests at a time.
CONNECTIONS = 8

#: Frames whose tables, and whose videos, are fetched ahead; of tables at most what fills a quarter of the cache.
_TABLES, _VIDEOS = 8192, 256

#: Frames to make at once, and how many of them were given before.
Chunk = tuple[np.ndarray, int]


@attrs.frozen(eq=False)
class Asked:
    """Rows (B,) or (B, T), the episodes they are of (B,) or (B * T,), and where they lie."""

    rows: np.ndarray
    episode: np.ndarray
    groups: list[Group]
    tables: Tables

    def column(self, key: str) -> np.ndarray:
        """The values (B, …) or (B, T, …) of a column."""
        found = self.tables.column(key, self.groups, self.rows.size)
        return found.reshape(*self.rows.shape, *found.shape[1:])


@attrs.frozen(eq=False)
class Windows:
    """What is wanted around a frame: key → offsets in frames (T,); nothing for a key whose own frame is wanted."""

    tables: Tables
    deltas: Mapping[str, np.ndarray]

    def now(self, rows: np.ndarray) -> Asked:
        """The rows (B,) themselves; their columns are read.

        Raises:
            DataError: a table is missing, broken or does not fit the metadata, or the place cannot be reached.
        """
        return self._asked(rows, self.tables.episode_of(rows))

    def around(self, now: Asked) -> dict[str, tuple[Asked, np.ndarray]]:
        """For each key with offsets the rows (B, T) around those of `now`, and which had to be clamped (B, T)."""
        first, stop = self.tables.first[now.episode], self.tables.ends[now.episode]
        alike: dict[bytes, tuple[Asked, np.ndarray]] = {}
        for deltas in self.deltas.values():
            if deltas.tobytes() not in alike:
                rows, pad = windows.window(now.rows, first, stop, deltas)
                alike[deltas.tobytes()] = self._asked(rows, np.repeat(now.episode, len(deltas))), pad
        return {key: alike[deltas.tobytes()] for key, deltas in self.deltas.items()}

    def _asked(self, rows: np.ndarray, episode: np.ndarray) -> Asked:
        return Asked(rows, episode, self.tables.groups(rows.reshape(-1), episode), self.tables)


def fetched(
    chunks: Iterator[Chunk],
    rows_of: Callable[[np.ndarray], np.ndarray],
    wanted: Windows,
    videos: Videos,
    pool: ThreadPoolExecutor,
) -> Iterator[Chunk]:
    """The same chunks; tables and videos of those to come are fetched by the pool."""
    tables = wanted.tables
    before: set[tuple[int, int]] = set()

    def tables_of(numbers: np.ndarray) -> None:
        nonlocal before
        rows = rows_of(numbers)
        episode = tables.episode_of(rows)
        near = (tables.row[episode] + rows - tables.first[episode]) // BLOCK_ROWS
        cells, at = np.unique(np.stack([tables.file[episode], near]), axis=1, return_index=True)
        here = set(map(tuple, cells.T.tolist()))
        for i, cell in zip(at.tolist(), cells.T.tolist(), strict=True):
            if tuple(cell) not in before:
                pool.submit(tables.groups, rows[i : i + 1], episode[i : i + 1])
        before = here

    def pictures_of(key: str, rows: np.ndarray) -> None:
        now = wanted.now(rows)
        asked = wanted.around(now)[key][0] if key in wanted.deltas else now
        videos.fetch(key, asked.episode, asked.column("timestamp").reshape(-1))

    def videos_of(numbers: np.ndarray) -> None:
        for key in videos.keys:
            pool.submit(pictures_of, key, rows_of(numbers))

    ahead = max(1, min(_TABLES, tables.cache.limit // 4 // max(tables.row_bytes, 1)))
    chunks = _looking_ahead(chunks, ahead, tables_of)
    return _looking_ahead(chunks, _VIDEOS, videos_of) if videos.keys else chunks


def _looking_ahead(chunks: Iterator[Chunk], rows: int, seen: Callable[[np.ndarray], None]) -> Iterator[Chunk]:
    """The same chunks; each is seen about so many rows before it is given."""
    waiting: deque[Chunk] = deque()
    held = 0
    for chunk in chunks:
        seen(chunk[0])
        waiting.append(chunk)
        held += len(chunk[0])
        while held > rows and len(waiting) > 1:
            held -= len(waiting[0][0])
            yield waiting.popleft()
    yield from waiting
