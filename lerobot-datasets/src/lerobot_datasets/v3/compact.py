"""Joins the small files of recorded episodes up to the dataset's size limits, without encoding anything again.

Each joined file takes its place in one change (`journal`) together with the table of episodes that names it; between any
two changes the dataset is whole, and what is left is joined another time. Of a folder that readers take whole, as `data/`
and `meta/episodes/`, a new version changes places with the old one in one step. A video is under its old name the
beginning of the joined one, so that either table of episodes is right with it.

Between the steps for `data/` and for `meta/episodes/` a reader that takes whole folders sees the same frames and episodes
as before and after; one that goes by the places in the table of episodes finds the fitting table in `data/.new`.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

import attrs
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import Progress

from lerobot_core.errors import DataError
from lerobot_datasets.v3 import layout, metadata
from lerobot_datasets.v3.journal import NEW, Commit, keep
from lerobot_datasets.v3.layout import MIB, Place
from lerobot_datasets.v3.metadata import Info
from lerobot_datasets.video import encode

logger = logging.getLogger(__name__)

DATA, EPISODES = "", "episodes"


@attrs.frozen(kw_only=True)
class Join:
    """Files that become one.

    Attributes:
        key: data (`""`), `episodes`, or the camera.
        sources: the files, in order.
        rows: of the table of episodes, those in each file.
        target: the file they become.
    """

    key: str
    sources: Sequence[Place]
    rows: Sequence[range]
    target: Place


def compact(root: Path, info: Info, advance: Callable[[int, int], None] = lambda done, of: None) -> int:
    """Join the small files at the end of a dataset; returns how many files there are fewer.

    Args:
        root: folder of the dataset, claimed by the caller.
        info: what its info.json says.
        advance: told how many bytes are joined, and of how many.

    Raises:
        DataError: a video is damaged.
        OSError: the disk is full; the dataset is whole.
    """
    if not info.total_episodes:
        return 0
    table = _Table(root, info)
    joins = [join for key in (DATA, *info.video_keys) for join in plan(root, info, key, table.places(key))]
    sizes = [sum(_path(root, info, join.key, place).stat().st_size for place in join.sources) for join in joins]
    for number, join in enumerate(joins):
        advance(sum(sizes[:number]), sum(sizes))
        commit = Commit(root)
        (_stage_video if join.key else _stage_data)(commit, root, info, join, table)
        commit.publish()
    if not joins and table.scattered:  # rows alone
        commit = Commit(root)
        table.stage(commit)
        commit.remove(layout.EPISODES / NEW)
        commit.publish()
    advance(sum(sizes), sum(sizes))
    return sum(len(join.sources) - 1 for join in joins)


def shown(root: Path, info: Info) -> int:
    """`compact` with a bar on a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("joining files", total=None)
        return compact(root, info, lambda done, of: progress.update(task, completed=done, total=max(of, 1)))


def tidy(root: Path, info: Info) -> int:
    """`shown`, where a dataset that stays in small files is no failure: it is whole, and another time may do."""
    try:
        return shown(root, info)
    except (OSError, DataError) as problem:
        logger.warning("the files of '%s' stay as small as they were recorded: %s", root, problem)
        return 0


def plan(root: Path, info: Info, key: str, places: Sequence[Place]) -> list[Join]:
    """What to join: the files at the end that hold one episode each, as many as fit under the limit.

    Args:
        root: folder of the dataset.
        info: what its info.json says.
        key: data (`""`) or a camera.
        places: the file of each episode.
    """
    files = [(place, range(rows[0], rows[-1] + 1)) for place, rows in _runs(places)]
    small = len(files)
    while small and len(files[small - 1][1]) == 1:
        small -= 1
    limit = (info.video_files_size_in_mb if key else info.data_files_size_in_mb) * MIB
    groups: list[list[tuple[Place, range]]] = []
    size, kind = 0, None
    for place, rows in files[small:]:
        path = _path(root, info, key, place)
        more, other = path.stat().st_size, encode.kind(path) if key else None
        if not groups or size + more >= limit or other != kind:
            groups, size, kind = [*groups, []], 0, other
        groups[-1].append((place, rows))
        size += more
    out = []
    target = groups[0][0][0] if groups else Place()
    for group in groups:
        sources = [place for place, _ in group]
        if sources != [target] or (key and encode.reordered(_path(root, info, key, target))):
            out.append(Join(key=key, sources=sources, rows=[rows for _, rows in group], target=target))
        target = target.next(info.chunks_size)
    return out


def _runs(places: Sequence[Place]) -> Iterator[tuple[Place, list[int]]]:
    for place, rows in groupby(range(len(places)), key=places.__getitem__):
        yield place, list(rows)


def _path(root: Path, info: Info, key: str, place: Place) -> Path:
    return root / (info.video_file(place, key) if key else info.data_file(place))


class _Table:
    """The table of episodes: its last files, which hold one row each, are written as one when something moved."""

    def __init__(self, root: Path, info: Info) -> None:
        self._root, self._info = root, info
        self._whole = metadata.episode_table(root, info)
        self.columns: dict[str, list[Any]] = {}
        prefixes = ["data", "meta/episodes", *(f"videos/{key}" for key in info.video_keys)]
        for prefix in prefixes:
            for name in ("chunk_index", "file_index", *(_TIMES if prefix.startswith("videos/") else ())):
                self.columns[f"{prefix}/{name}"] = self._whole[f"{prefix}/{name}"].to_pylist()
        self.lengths = self._whole["length"].to_pylist()
        runs = list(_runs(self.places(EPISODES)))
        first = len(runs)
        while first and len(runs[first - 1][1]) == 1:
            first -= 1
        self._first = runs[first][1][0] if first < len(runs) else len(self.lengths)
        self.scattered = len(runs) - first > 1

    def places(self, key: str) -> list[Place]:
        """The file of each episode."""
        prefix = _prefix(key)
        pairs = zip(self.columns[f"{prefix}/chunk_index"], self.columns[f"{prefix}/file_index"], strict=True)
        return [Place(*pair) for pair in pairs]

    def moved(self, join: Join) -> None:
        """The episodes of a join are in its target now."""
        prefix = _prefix(join.key)
        rows = [row for part in join.rows for row in part]
        self._first = min(self._first, rows[0])
        end = 0.0
        for row in rows:
            self.columns[f"{prefix}/chunk_index"][row] = join.target.chunk
            self.columns[f"{prefix}/file_index"][row] = join.target.file
            if join.key:
                self.columns[f"{prefix}/from_timestamp"][row] = end
                end += self.lengths[row] / self._info.fps
                self.columns[f"{prefix}/to_timestamp"][row] = end

    def stage(self, commit: Commit) -> None:
        """Stage a new version of the folder of the table: its last rows in one file, the others as they are."""
        target = commit.stage_folder(layout.EPISODES)
        places = self.places(EPISODES)
        first = self._first
        while 0 < first < len(places) and places[first] == places[first - 1]:
            first -= 1
        for place in dict.fromkeys(places[:first]):
            name = place.path(layout.EPISODES_PATH)
            _link(self._root / name, target / name.relative_to(layout.EPISODES))
        for place, rows in self._packed(first, places):
            path = target / place.path(layout.EPISODES_PATH).relative_to(layout.EPISODES)
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(self._rows(rows), path)

    def _packed(self, first: int, places: Sequence[Place]) -> Iterator[tuple[Place, range]]:
        """Which rows from `first` on go to which file."""
        if first == len(places):
            return
        each = self._whole.slice(first).nbytes / (len(places) - first)
        most = max(1, int(self._info.data_files_size_in_mb * MIB / each))
        place = places[first]
        for start in range(first, len(places), most):
            rows = range(start, min(start + most, len(places)))
            for row in rows:
                self.columns["meta/episodes/chunk_index"][row] = place.chunk
                self.columns["meta/episodes/file_index"][row] = place.file
            yield place, rows
            place = place.next(self._info.chunks_size)

    def _rows(self, rows: range) -> pa.Table:
        part = self._whole.slice(rows.start, len(rows))
        for name, values in self.columns.items():
            column = pa.array(values[rows.start : rows.stop], part.schema.field(name).type)
            part = part.set_column(part.schema.get_field_index(name), part.schema.field(name), column)
        return part.combine_chunks()


_TIMES = ("from_timestamp", "to_timestamp")


def _prefix(key: str) -> str:
    return {DATA: "data", EPISODES: "meta/episodes"}.get(key, f"videos/{key}")


def _stage_video(commit: Commit, root: Path, info: Info, join: Join, table: _Table) -> None:
    """The clips one after the other; each begins where the frames before it end."""
    clips, frames = [], 0
    for place, rows in zip(join.sources, join.rows, strict=True):
        clips.append((_path(root, info, join.key, place), Fraction(frames, info.fps)))
        frames += sum(table.lengths[row] for row in rows)
    encode.join(clips, commit.stage(info.video_file(join.target, join.key)))
    table.moved(join)
    table.stage(commit)
    commit.remove(layout.EPISODES / NEW)
    for place in join.sources:
        if place != join.target:
            commit.remove(info.video_file(place, join.key))


def _stage_data(commit: Commit, root: Path, info: Info, join: Join, table: _Table) -> None:
    """The row groups one after the other, in a new version of the folder of data, and the stamps that go with them."""
    old = [info.data_file(place) for place in join.sources]
    times = [place.path(layout.STAMPS_PATH) for place in join.sources]
    there = [name for name in times if (root / name).exists()]
    if there:
        tables = [metadata.read_table(root / name) for name in there]
        joined = pa.concat_tables(tables, promote_options="default")
        pq.write_table(joined, commit.stage(join.target.path(layout.STAMPS_PATH)))
    folder = commit.stage_folder(layout.DATA, marked=False)
    for path in (root / layout.DATA).rglob("*"):
        if path.is_file() and path.relative_to(root) not in old:
            _link(path, folder / path.relative_to(root / layout.DATA))
    target = folder / info.data_file(join.target).relative_to(layout.DATA)
    target.parent.mkdir(parents=True, exist_ok=True)
    _write_groups(target, [root / name for name in old])
    table.moved(join)
    table.stage(commit)
    shutil.copytree(commit.staged(layout.EPISODES), folder / NEW, copy_function=_link, ignore=_marks)
    for name in (layout.EPISODES / NEW, layout.DATA / NEW):
        commit.remove(name)
    for name in there:
        if name != join.target.path(layout.STAMPS_PATH):
            commit.remove(name)


def _marks(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == NEW]


def _link(path: Path | str, target: Path | str) -> None:
    keep(Path(path), Path(target))


def _write_groups(target: Path, sources: Sequence[Path]) -> None:
    """Write the row groups of tables into one."""
    schema = pq.read_schema(sources[0])
    with pq.ParquetWriter(target, schema) as out:
        for path in sources:
            with pq.ParquetFile(path) as source:
                for group in range(source.num_row_groups):
                    out.write_table(source.read_row_group(group).cast(schema))
