"""The files under `meta/` of a v2.0 or v2.1 folder, in the terms of v3.0, so that one reader serves all.

An episode has a table and videos of its own; its place is its number. v2.0 has statistics of the whole dataset, v2.1 of
each episode. Knows nothing of frames and videos.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from lerobot_core.errors import DataError, first_sentence
from lerobot_datasets import stats
from lerobot_datasets.v3 import metadata
from lerobot_datasets.v3.metadata import Description, Episodes, Info

VERSION = "v2.1"
TASKS = Path("meta/tasks.jsonl")
EPISODES = Path("meta/episodes.jsonl")
EPISODES_STATS = Path("meta/episodes_stats.jsonl")

#: Keys of info.json that v3.0 dropped.
DROPPED = ("total_chunks", "total_videos")


def read(root: Path) -> Description:
    """Everything under `meta/`.

    Raises:
        DataError: no such dataset, another version, or a file is missing or broken.
    """
    info = read_info(root)
    return Description(info=info, stats=_stats(root), tasks=_tasks(root), episodes=Episodes(_table(root, info)))


def read_info(root: Path) -> Info:
    """Read and check info.json.

    Raises:
        DataError: broken JSON, a missing or impossible value, or another version.
    """
    return metadata.read_info(root, VERSION, DROPPED)


def episode_table(root: Path, info: Info) -> pa.Table:
    """A row per episode with its statistics, as far as the dataset has them: v2.0 has none.

    Raises:
        DataError: a file is missing or broken.
    """
    table, found = _table(root, info), _episode_stats(root)
    for key, values in found[0].items() if found else ():
        for name in values:
            cells = [episode[key][name].tolist() if key in episode else None for episode in found]
            table = table.append_column(f"stats/{key}/{name}", pa.array(cells))
    return table


def _episode_stats(root: Path) -> list[stats.Stats]:
    """Statistics of each episode, in order; none when the dataset has no such file."""
    if not (root / EPISODES_STATS).exists():
        return []
    return [metadata.arrays(row["stats"]) for row in _rows(root / EPISODES_STATS, "episode_index", ("stats",))]


def _stats(root: Path) -> stats.Stats | None:
    episodes = _episode_stats(root)
    return stats.aggregate(episodes) if episodes else metadata.read_stats(root)


def _tasks(root: Path) -> list[str]:
    return [row["task"] for row in _rows(root / TASKS, "task_index", ("task",))]


def _table(root: Path, info: Info) -> pa.Table:
    """A row per episode in the columns of v3.0, and what else came with it."""
    path, out, start = root / EPISODES, [], 0
    rows = _rows(path, "episode_index", ("tasks", "length"))
    if len(rows) != info.total_episodes:
        raise DataError(
            f"'{path}' holds {len(rows)} of the {info.total_episodes} episodes that info.json counts",
            path=path,
            hint=metadata.RESTORE,
        )
    for number, row in enumerate(rows):
        if not isinstance(row["length"], int) or row["length"] < 1:
            raise DataError(f"'{path}': 'length' is a number of frames, found {row['length']!r}", path=path)
        place = {"chunk_index": number // info.chunks_size, "file_index": number}
        seconds = {"from_timestamp": 0.0, "to_timestamp": row["length"] / info.fps}
        out.append(
            {f"data/{name}": value for name, value in place.items()}
            | {"dataset_from_index": start, "dataset_to_index": start + row["length"]}
            | {f"videos/{key}/{name}": v for key in info.video_keys for name, v in (place | seconds).items()}
            | row
        )
        start += row["length"]
    try:
        return pa.Table.from_pylist(out)
    except pa.ArrowException as error:
        raise DataError(f"'{path}' fits no table: {first_sentence(error)}", path=path) from error


def _rows(path: Path, number: str, needed: tuple[str, ...]) -> list[dict[str, Any]]:
    """The objects of a file, a line each, by ascending `number`, which counts from 0.

    Raises:
        DataError: the file is missing, a line is no such object, or a number is missing or there twice.
    """
    rows = sorted(_lines(path, (number, *needed)), key=lambda row: row[number])
    for i, row in enumerate(rows):
        if row[number] != i:
            problem = f"no line has '{number}' {i}" if row[number] > i else f"'{number}' {row[number]} is there twice"
            raise DataError(f"'{path}': {problem}", path=path, hint=metadata.RESTORE)
    return rows


def _lines(path: Path, needed: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: a text may hold other separators
    except FileNotFoundError:
        raise DataError(f"'{path}' not found", path=path, hint=metadata.RESTORE) from None
    for i, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"'{path}', line {i} is not valid JSON: {error}", path=path) from error
        if not isinstance(row, dict):
            raise DataError(f"'{path}', line {i} is no object", path=path)
        if missing := [name for name in needed if name not in row]:
            raise DataError(f"'{path}', line {i} lacks {', '.join(missing)}", path=path)
        yield row
