"""When the values of each frame were measured, beside the grid of frames: tables that other readers pass by.

`stamps/chunk-…/file-….parquet` has a row per frame of the data file of the same number: `episode_index`, `frame_index`,
`timestamp` (when the frame was taken) and a column per camera and per other value that was stamped, all monotonic times
[ns]. A camera without a time dropped its picture there; the one before stands in. Knows no pictures.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lerobot_core.features import ACTION, IMAGES, Feature
from lerobot_datasets.v3 import layout, metadata
from lerobot_datasets.v3.layout import Place
from lerobot_datasets.v3.metadata import Info

#: Of one frame: what → when, or None for a picture that was dropped.
Stamps = Mapping[str, int | None]

#: When the frame was taken.
FRAME = "timestamp"

_KEYS = ("episode_index", "frame_index")


def names(features: Mapping[str, Feature]) -> dict[str, str]:
    """What a robot calls the parts of what is observed → the feature that they are in."""
    out: dict[str, str] = {}
    for key, feature in features.items():
        if not key.startswith(ACTION):
            parts = [] if feature.is_picture else feature.elements or []
            out |= dict.fromkeys([key, key.removeprefix(IMAGES), *map(str, parts)], key)
    return out


def of_frame(
    given: Mapping[str, int] | None, now: int, kept: Mapping[str, bool], known: Mapping[str, str]
) -> dict[str, int | None]:
    """The stamps of a frame; what was not stamped of it is as old as the frame, and a feature as old as its oldest part.

    Args:
        given: what → when, by whoever recorded it.
        now: when it came here.
        kept: camera → whether its picture was kept.
        known: of `names`.
    """
    found = {FRAME: now}
    for name, stamp in (given or {}).items():
        key = known.get(name, name)
        found[key] = int(stamp) if key == FRAME else min(int(stamp), found.get(key, int(stamp)))
    return found | {key: found.get(key, found[FRAME]) if there else None for key, there in kept.items()}


def table(rows: Sequence[Stamps], episode: int, cameras: Sequence[str]) -> pa.Table:
    """The stamps of an episode's frames."""
    keys = dict.fromkeys([FRAME, *cameras, *(key for row in rows for key in row)])
    columns = {key: pa.array([row.get(key) for row in rows], pa.int64()) for key in keys if key not in _KEYS}
    index = {"episode_index": np.full(len(rows), episode, np.int64), "frame_index": np.arange(len(rows))}
    return pa.table(index | columns)


def read(root: Path, info: Info, row: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
    """What → when it was measured in each frame of an episode (length,) [monotonic ns], NaN for a dropped picture.

    Args:
        root: folder of the dataset.
        info: what its info.json says.
        row: of the table of episodes.

    Raises:
        DataError: the table cannot be read.
    """
    found = _of_episode(of_file(root, Place(row["data/chunk_index"], row["data/file_index"])), row["episode_index"])
    return {key: found[key].to_numpy() for key in found.column_names if key not in _KEYS} if found.num_rows else None


def of_file(root: Path, place: Place) -> pa.Table:
    """The stamps of the frames of a data file; of no rows where there are none.

    Raises:
        DataError: the table cannot be read.
    """
    path = root / place.path(layout.STAMPS_PATH)
    return metadata.read_table(path) if path.exists() else table([], 0, [])


def part(stored: pa.Table, before: int, frames: slice, episode: int, without: Collection[str]) -> pa.Table:
    """The stamps of some frames of an episode, as those of another one.

    Args:
        stored: those of a file, the episode's among them.
        before: number of the episode.
        frames: which.
        episode: the number they get.
        without: features that it no longer has.
    """
    found = _of_episode(stored, before)
    if not found.num_rows:
        return table([], episode, [])
    kept = [key for key in found.column_names if key not in without and key not in _KEYS]
    count = frames.stop - frames.start
    index = {"episode_index": np.full(count, episode, np.int64), "frame_index": np.arange(count)}
    return pa.table(index | {key: found[key][frames] for key in kept})


def write(tables: Sequence[pa.Table], root: Path, place: Place) -> None:
    """The stamps that belong to the frames of a data file; no file where there are none."""
    found = pa.concat_tables(tables, promote_options="default")
    if found.num_rows:
        path = root / place.path(layout.STAMPS_PATH)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(found, path)


def _of_episode(stored: pa.Table, episode: int) -> pa.Table:
    return stored.filter(pc.equal(stored["episode_index"], episode))


def summary(stamps: Mapping[str, np.ndarray], cameras: Sequence[str], fps: int) -> dict[str, dict[str, float]]:
    """Camera → how its pictures came in an episode.

    `dropped` found no place in the queue; `repeated` are no newer than the picture before; `late` were older than a frame
    period when the frame was taken; `jitter_ms` and `jitter_p99_ms` are |time between new pictures − period| [ms].
    """
    period, out = 1e9 / fps, {}
    frame = np.asarray(stamps[FRAME], np.float64)
    for key in cameras:
        times = np.asarray(stamps[key], np.float64)
        there = ~np.isnan(times)
        steps = np.diff(times[there])
        jitter = np.abs(steps[steps > 0] - period) / 1e6
        out[key] = {
            "dropped": int((~there).sum()),
            "repeated": int((steps <= 0).sum()),
            "late": int((frame[there] - times[there] > period).sum()),
            "jitter_ms": float(jitter.mean()) if len(jitter) else 0.0,
            "jitter_p99_ms": float(np.percentile(jitter, 99)) if len(jitter) else 0.0,
        }
    return out
