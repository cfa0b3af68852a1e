"""A dataset that an edit copies from: its rows, tables and videos, each looked up once. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lerobot_core.errors import DataError, first_sentence
from lerobot_datasets.edit.clips import Clip, Packets, scan
from lerobot_datasets.edit.plan import Piece
from lerobot_datasets.v3 import metadata, stamps
from lerobot_datasets.v3.layout import Place
from lerobot_datasets.v3.reader import Reader

#: Rows of the table of episodes turned into Python objects at a time.
_BLOCK = 64


class Table:
    """A frame table, opened once.

    Attributes:
        path: the file.
        size: bytes of its columns before compression.
        tasks: task of each row (rows,).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = pq.ParquetFile(path)
            numbers = self._file.read(["episode_index", "task_index"], use_threads=False)
        except FileNotFoundError:
            raise DataError(
                f"'{path}' not found", path=path, hint="the dataset is incomplete; fetch it again"
            ) from None
        except (pa.ArrowException, OSError, KeyError) as error:
            raise DataError(
                f"'{path}' cannot be read: {first_sentence(error)}", path=path, hint=metadata.RESTORE
            ) from error
        if missing := {"episode_index", "task_index"} - set(numbers.column_names):
            raise DataError(f"'{path}' lacks the columns {', '.join(sorted(missing))} of info.json", path=path)
        self.tasks = numbers["task_index"].to_numpy()
        episodes = numbers["episode_index"].to_numpy()
        cuts = np.flatnonzero(np.diff(episodes)) + 1
        starts = [0, *cuts.tolist()] if len(episodes) else []
        #: episode → its first row and the row after its last
        self._rows = {
            int(episodes[start]): (start, stop)
            for start, stop in zip(starts, [*starts[1:], len(episodes)], strict=True)
        }
        found = self._file.metadata
        groups = [found.row_group(i) for i in range(found.num_row_groups)]
        self._ends = np.cumsum([group.num_rows for group in groups])
        self._sizes = [group.total_byte_size for group in groups]
        self.size = sum(self._sizes)
        self._held: tuple[Any, pa.Table] | None = None

    @property
    def schema(self) -> pa.Schema:
        return self._file.schema_arrow

    def rows(self, episode: int, length: int) -> slice:
        """Where an episode is.

        Raises:
            DataError: rows are missing.
        """
        start, stop = self._rows.get(episode, (0, 0))
        if stop - start != length:
            raise DataError(
                f"'{self.path}' holds {stop - start} of the {length} frames of episode {episode}",
                path=self.path,
                episode=episode,
                hint=metadata.RESTORE,
            )
        return slice(start, stop)

    def read(self, rows: slice, names: Sequence[str]) -> pa.Table:
        """Some columns of some rows, as the file has them.

        Raises:
            DataError: a column is missing, or the file is broken.
        """
        first, last = (int(np.searchsorted(self._ends, row, side="right")) for row in (rows.start, rows.stop - 1))
        wanted = (first, last, tuple(names))
        if self._held is None or self._held[0] != wanted:  # a file that is one group is read once
            if missing := [name for name in names if name not in self.schema.names]:
                raise DataError(f"'{self.path}' lacks the columns {', '.join(missing)} of info.json", path=self.path)
            try:
                table = self._file.read_row_groups(range(first, last + 1), list(names), use_threads=False)
            except (pa.ArrowException, OSError) as error:
                raise DataError(
                    f"'{self.path}' cannot be read: {first_sentence(error)}", path=self.path, hint=metadata.RESTORE
                ) from error
            self._held = wanted, table
        start = rows.start - (int(self._ends[first - 1]) if first else 0)
        return self._held[1].slice(start, rows.stop - rows.start)

    def share(self, rows: int) -> float:
        """Bytes of so many rows before compression, on average."""
        return self.size * rows / max(len(self.tasks), 1)

    def close(self) -> None:
        self._file.close()


class Origin:
    """A dataset opened for copying."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._episodes = reader.episode_table()
        self._block: tuple[int, list[dict[str, Any]]] = (-1, [])
        self._table: Table | None = None
        self._stamps: tuple[Place, pa.Table] | None = None
        self._packets: dict[Path, Packets] = {}

    def row(self, episode: int) -> dict[str, Any]:
        """The episode's row, statistics included."""
        block, i = divmod(episode, _BLOCK)
        if self._block[0] != block:
            self._block = block, self._episodes.slice(block * _BLOCK, _BLOCK).to_pylist()
        return self._block[1][i]

    def table(self, row: Mapping[str, Any]) -> Table:
        """The frame table that holds an episode. One is open at a time."""
        place = Place(row["data/chunk_index"], row["data/file_index"])
        path = self.reader.root / self.reader.info.data_file(place)
        if self._table is None or self._table.path != path:
            self.close()
            self._table = Table(path)
        return self._table

    def stamps(self, row: Mapping[str, Any]) -> pa.Table:
        """The stamps of the frame table that holds an episode; of no rows where there are none. One is held at a time."""
        place = Place(row["data/chunk_index"], row["data/file_index"])
        if self._stamps is None or self._stamps[0] != place:
            self._stamps = place, stamps.of_file(self.reader.root, place)
        return self._stamps[1]

    def close(self) -> None:
        """Close the table that is open."""
        if self._table is not None:
            self._table.close()
            self._table = None

    def clip(self, key: str, piece: Piece) -> Clip:
        """The frames of a camera in a piece."""
        row, fps = self.row(piece.episode), self.reader.fps
        place = Place(row[f"videos/{key}/chunk_index"], row[f"videos/{key}/file_index"])
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
        out: dict[int, np.ndarray] = {}
        for episode in episodes:
            row = self.row(episode)
            table = self.table(row)
            numbers = table.tasks[table.rows(episode, row["length"])]
            if len(numbers) and (numbers.min() < 0 or numbers.max() >= len(self.reader.tasks)):
                raise DataError(
                    f"'{table.path}': episode {episode} has task {numbers.max()} of {len(self.reader.tasks)}",
                    path=table.path,
                    episode=episode,
                    hint=metadata.RESTORE,
                )
            out[episode] = numbers
        return out
