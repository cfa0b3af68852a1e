"""What can be wrong with a dataset, told by its arrays and tables. Opens no files. *Pure.*"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from lerobot_core.features import DEFAULT_COLUMNS, Feature
from lerobot_datasets.stats import Stats, aggregate

#: Every check and what it finds.
CHECKS = {
    "unreadable": "a file that is missing or cannot be read",
    "orphan": "a file in data, videos or meta/episodes that no episode is in",
    "dtype": "a column stored with another type, or a video of another size, than info.json says",
    "index": "rows that are not counted on: index, frame_index, episode_index, or a task that does not exist",
    "episodes": "a table of episodes that does not fit itself, the rows or the tasks",
    "timestamp": "a timestamp off frame_index / fps by more than the tolerance",
    "nan": "an action or state that is not a number",
    "video": "more or fewer pictures in a video than rows",
    "drift": "a picture off its row's time by more than the tolerance",
    "dead": "an action or state that never changes",
    "frozen": "a camera that shows the same picture for a whole episode, or for two seconds while the robot moves",
    "outlier": "an episode much shorter or longer than the others",
    "stats": "statistics that the data do not have",
}

_FEW = 5  # episodes that say nothing about what is usual
_USUAL = 6.0  # deviations from the median up to which a length is usual
_STATS = ("min", "max", "mean", "std")
_NUMBERS = ("index", "frame_index", "task_index")
_STILL_S = 2.0  # a shorter standstill of a picture says nothing [s]
_MOVED = 0.2  # part of an episode's widest movement that is a movement
_BLOCK = 8  # pixels of a side over which pictures are compared
_SAME = 1.0  # levels by which blocks of the same picture differ once coded
_CODED = 0.04  # by how much coding changes the mean and deviation of pictures


@attrs.frozen(kw_only=True)
class Finding:
    """Something wrong, and where: file, column, episode and row within it, as far as that can be said."""

    check: str
    message: str
    file: str | None = None
    column: str | None = None
    episode: int | None = None
    row: int | None = None


def in_file(name: Path, finding: Finding) -> Finding:
    """A finding with the file it is in."""
    return attrs.evolve(finding, file=str(name))


def rows(columns: Mapping[str, np.ndarray], first: int, episode: int, tasks: int) -> Iterator[Finding]:
    """Whether the rows of an episode, whose first is row `first` of the dataset, are numbered as they should be."""
    length = len(columns["index"])
    wanted = {
        "index": first + np.arange(length),
        "frame_index": np.arange(length),
        "episode_index": np.full(length, episode),
        "task_index": np.clip(columns["task_index"], 0, max(tasks - 1, 0)),
    }
    for key, values in wanted.items():
        if len(wrong := np.flatnonzero(columns[key] != values)):
            row = int(wrong[0])
            says = f"{key} is {columns[key][row]}, expected {values[row]}"
            if key == "task_index":
                says = f"task_index is {columns[key][row]}, the dataset has {tasks} tasks"
            yield Finding(check="index", message=_counted(says, wrong), column=key, episode=episode, row=row)


def timestamps(columns: Mapping[str, np.ndarray], fps: float, tolerance_s: float, episode: int) -> Iterator[Finding]:
    """Whether each row's timestamp is its number by the rate."""
    times = columns["timestamp"].astype(np.float64)
    wanted = np.arange(len(times)) / fps
    if len(wrong := np.flatnonzero(~(np.abs(times - wanted) <= tolerance_s))):
        row = int(wrong[0])
        says = _counted(f"timestamp is {times[row]:.6f} s, expected {wanted[row]:.6f} s", wrong)
        yield Finding(check="timestamp", message=says, column="timestamp", episode=episode, row=row)


def numbers(columns: Mapping[str, np.ndarray], episode: int) -> Iterator[Finding]:
    """Whether actions and states are finite."""
    for key, values in columns.items():
        if _learned(key) and np.issubdtype(values.dtype, np.floating):
            wrong = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
            if len(wrong):
                says = _counted("holds NaN or infinity", wrong)
                yield Finding(check="nan", message=says, column=key, episode=episode, row=int(wrong[0]))


def _learned(key: str) -> bool:
    return key.startswith(("action", "observation."))


def _counted(says: str, wrong: np.ndarray) -> str:
    return says if len(wrong) == 1 else f"{says} (and {len(wrong) - 1} more rows)"


def pictures(times: np.ndarray, start: float, rows: np.ndarray, tolerance_s: float) -> Iterator[tuple[str, str, int]]:
    """Check, message and row of what is wrong with a video's pictures of an episode.

    Args:
        times: when the video's pictures are shown, rising (P,) [s].
        start: where the episode begins in the video [s].
        rows: timestamps of the episode's rows (N,) [s].
        tolerance_s: how far a picture may be from its row [s].
    """
    wanted = start + rows.astype(np.float64)
    half = np.median(np.diff(wanted)) / 2 if len(wanted) > 1 else tolerance_s
    here = times[(times > wanted[0] - half) & (times < wanted[-1] + half)]
    if len(here) != len(rows):
        lacking = np.flatnonzero(np.abs(_nearest(times, wanted) - wanted) >= half)
        row = int(lacking[0]) if len(lacking) else 0
        yield "video", f"{len(here)} pictures for {len(rows)} rows", row
        return
    off = np.abs(here - wanted)
    if (worst := int(off.argmax())) is not None and off[worst] > tolerance_s:
        first = int(np.flatnonzero(off > tolerance_s)[0])
        yield "drift", f"a picture is {off[first]:.6f} s off its row, up to {off[worst]:.6f} s in row {worst}", first


def _nearest(times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    if len(times) == 0:
        return np.full(len(wanted), np.inf)
    after = np.clip(np.searchsorted(times, wanted), 1, max(len(times) - 1, 1))
    before, after = times[after - 1], times[np.minimum(after, len(times) - 1)]
    return np.where(wanted - before <= after - wanted, before, after)


def outside(times: np.ndarray, spans: Sequence[tuple[float, float]]) -> int:
    """How many pictures of a video, shown at rising times (P,) [s], are in none of the spans of its episodes [s]."""
    inside = np.zeros(len(times), dtype=bool)
    for start, stop in spans:
        inside[slice(*np.searchsorted(times, (start, stop)))] = True
    return int(np.sum(~inside))


def table(
    rows: Sequence[Mapping[str, Any]], fps: float, cameras: Sequence[str], tasks: Sequence[str]
) -> Iterator[Finding]:
    """Whether the table of episodes fits itself: rows that join, spans of videos as long as their rows, known tasks."""
    first = 0
    for row in rows:
        episode, stop = row["episode_index"], first + row["length"]
        for key, wanted in (("dataset_from_index", first), ("dataset_to_index", stop)):
            if row.get(key, wanted) != wanted:
                says = f"{key} is {row[key]}, the lengths before it make {wanted}"
                yield Finding(check="episodes", message=says, column=key, episode=episode)
        for camera in cameras:
            key = f"videos/{camera}/to_timestamp"
            span = row.get(key, 0.0) - row[f"videos/{camera}/from_timestamp"]
            if row.get(key) is not None and abs(span - row["length"] / fps) > 0.5 / fps:
                says = f"its part of the video is {span:.6f} s long, its rows take {row['length'] / fps:.6f} s"
                yield Finding(check="episodes", message=says, column=key, episode=episode)
        if unknown := [task for task in row.get("tasks") or () if task not in tasks]:
            says = f"names the task '{unknown[0]}', which the table of tasks does not have"
            yield Finding(check="episodes", message=says, column="tasks", episode=episode)
        first = stop


def named(found: np.ndarray, row: Mapping[str, Any], tasks: Sequence[str]) -> Iterator[Finding]:
    """Whether the table of episodes names the tasks (N,) of an episode's rows, by index."""
    if row.get("tasks") is None:
        return
    used = {tasks[i] for i in np.unique(found) if 0 <= i < len(tasks)}
    if used != set(row["tasks"]):
        says = f"names {sorted(row['tasks'])}, its rows have {sorted(used)}"
        yield Finding(check="episodes", message=says, column="tasks", episode=row["episode_index"])


# --- pictures that were looked at ---------------------------------------------------------------------------------------


def blocks(picture: np.ndarray) -> np.ndarray:
    """Mean level of each block of a picture (H, W, C), which coding hardly changes and a movement does."""
    height, width = (max(size // _BLOCK, 1) * _BLOCK if size >= _BLOCK else size for size in picture.shape[:2])
    grey = picture[:height, :width].astype(np.float32).mean(axis=2)
    across = np.add.reduceat(grey, np.arange(0, width, _BLOCK), axis=1)
    return np.add.reduceat(across, np.arange(0, height, _BLOCK), axis=0) / _BLOCK**2


class Standstill:
    """Runs of pictures that are the same, of pictures that are given one after another."""

    def __init__(self) -> None:
        self._shown: np.ndarray | None = None
        self.runs: list[list[int]] = []

    def add(self, row: int, picture: np.ndarray) -> None:
        """The picture (H, W, C) of a row."""
        seen = blocks(picture)
        if self._shown is not None and np.abs(seen - self._shown).max() < _SAME:
            self.runs[-1][1] = row
        else:
            self.runs.append([row, row])
            self._shown = seen

    def frozen(self, columns: Mapping[str, np.ndarray], fps: float) -> Iterator[tuple[int, str]]:
        """Row and message of the runs that cannot be: of all rows, or long ones in which the robot moves."""
        length = len(columns["frame_index"])
        for first, last in self.runs:
            if length > 1 and (first, last) == (0, length - 1):
                yield first, "the same picture in the whole episode"
            elif (last - first) / fps >= _STILL_S and _moves(columns, first, last):
                yield first, f"the same picture up to row {last}, {(last - first) / fps:.1f} s, while the robot moves"


def _moves(columns: Mapping[str, np.ndarray], first: int, last: int) -> bool:
    for key in ("action", "observation.state"):
        if key in columns and np.isfinite(columns[key]).all():
            values = columns[key].reshape(len(columns[key]), -1)
            if np.ptp(values[first : last + 1], axis=0).max() > _MOVED * np.ptp(values, axis=0).max():
                return True
    return False


def camera(
    key: str, found: Mapping[str, np.ndarray], stored: Mapping[str, np.ndarray], scale: float
) -> Iterator[Finding]:
    """Whether statistics of a camera are those of its pictures as decoded, which coding has changed a little.

    Args:
        key: the camera.
        found: statistics of the pictures that statistics are made of, each (C, 1, 1).
        stored: those of the dataset.
        scale: greatest value of a picture.
    """
    for name in ("mean", "std"):
        if name not in stored or stored[name].shape != found[name].shape:
            yield Finding(check="stats", message=f"{name} is missing or of another shape", column=key)
        elif len(wrong := np.flatnonzero(~(np.abs(stored[name] - found[name]).reshape(-1) <= _CODED * scale))):
            i = int(wrong[0])
            has, seen = stored[name].reshape(-1)[i], found[name].reshape(-1)[i]
            says = f"{name} of channel {i} is {has:g}, that of the pictures is {seen:g}"
            yield Finding(check="stats", message=says, column=key)


# --- episodes, datasets -------------------------------------------------------------------------------------------------


def impossible(
    columns: Mapping[str, np.ndarray],
    number: np.ndarray,
    index: np.ndarray,
    tasks: int,
    fps: float,
    tolerance_s: float,
) -> Finding | None:
    """The first thing that makes a dataset unusable, of any of its rows at once; None for sound ones.

    Args:
        columns: the default columns and the actions (N, …).
        number: which frame of its episode each row should be (N,).
        index: which frame of the dataset (N,).
        tasks: number of tasks.
        fps: frames per second.
        tolerance_s: how far a timestamp may be off [s].

    Returns:
        what is wrong, its row counted from the first one given.
    """
    late = np.abs(columns["timestamp"] - number / fps) - np.spacing(columns["timestamp"])  # episodes may be long
    wrong = {
        "index": columns["index"] != index,
        "frame_index": columns["frame_index"] != number,
        "task_index": (columns["task_index"] < 0) | (columns["task_index"] >= max(tasks, 1)),
        "timestamp": ~(late <= tolerance_s),
    }
    for key, values in columns.items():
        if key.startswith("action") and np.issubdtype(values.dtype, np.floating):
            wrong[key] = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    hits = [(int(rows.argmax()), key) for key, rows in wrong.items() if rows.any()]
    if not hits:
        return None
    at, key = min(hits)
    says = {
        "index": f"index is {columns['index'][at]}: rows are missing, doubled or not in order",
        "frame_index": f"frame_index is {columns['frame_index'][at]}, expected {number[at]}",
        "task_index": f"task_index is {columns['task_index'][at]}, the dataset has {tasks} tasks",
        "timestamp": f"timestamp is {columns['timestamp'][at]:.6f} s, expected {number[at] / fps:.6f} s",
    }.get(key, "holds NaN or infinity")
    check = key if key == "timestamp" else "index" if key in _NUMBERS else "nan"
    return Finding(check=check, message=says, column=key, row=at)


def lengths(frames: np.ndarray) -> Iterator[Finding]:
    """Episodes whose length is far from the median, measured by the median deviation but at least a tenth of it."""
    if len(frames) < _FEW:
        return
    median = float(np.median(frames))
    deviation = max(1.4826 * float(np.median(np.abs(frames - median))), 0.1 * median)
    for episode in np.flatnonzero(np.abs(frames - median) > _USUAL * deviation):
        says = f"{frames[episode]} frames, the median is {median:g}"
        yield Finding(check="outlier", message=says, episode=int(episode))


def summary(columns: Mapping[str, np.ndarray]) -> Stats:
    """Least, greatest, mean, deviation and count of numeric columns, over all but the last axis, in double precision.

    Where a value is not finite, they are NaN.
    """
    out: Stats = {}
    for key, values in columns.items():
        flat = values.astype(np.float64).reshape(-1, values.shape[-1] if values.ndim > 1 else 1)
        flat[~np.isfinite(flat)] = np.nan
        found = {name: getattr(flat, name)(axis=0) for name in _STATS}
        out[key] = found | {"count": np.array([len(values)])}
    return out


def whole(parts: list[Stats], stored: Stats | None, features: Mapping[str, Feature]) -> Iterator[Finding]:
    """What the summaries of all episodes say: dead columns, and statistics that the data do not have."""
    found = aggregate(parts)
    for key, values in found.items():
        if _learned(key) and values["count"][0] > 1:
            for element in np.flatnonzero(values["min"] == values["max"]):
                says = f"{_element(features[key], int(element))} is {values['min'][element]:g} in every row"
                yield Finding(check="dead", message=says, column=key)
        if stored is not None and key in stored and key not in DEFAULT_COLUMNS:  # nothing scales by those
            yield from _statistics(key, values, stored[key])


def _element(feature: Feature, element: int) -> str:
    names: Any = feature.names
    if isinstance(names, Mapping) and len(names) == 1:
        names = next(iter(names.values()))
    if isinstance(names, (list, tuple)) and len(names) == feature.shape[-1]:
        return f"element {element} ({names[element]})"
    return f"element {element}"


def _statistics(key: str, found: Mapping[str, np.ndarray], stored: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    if (count := stored.get("count")) is not None and int(count.reshape(-1)[0]) != int(found["count"][0]):
        says = f"count is {int(count.reshape(-1)[0])}, the data have {int(found['count'][0])} rows"
        yield Finding(check="stats", message=says, column=key)
    # The statistics of float32 data are computed in float32 by some tools: a large offset takes digits from small spreads.
    size = np.maximum(np.abs(found["min"]), np.abs(found["max"]))
    allowed = 1e-3 * (found["max"] - found["min"]) + 1e-5 * size + 1e-6
    for name in _STATS:
        if name not in stored or stored[name].shape != found[name].shape:
            yield Finding(check="stats", message=f"{name} is missing or of another shape", column=key)
        elif len(wrong := np.flatnonzero(~(np.abs(stored[name] - found[name]) <= _slack(name, allowed, size)))):
            i = int(wrong[0])
            says = f"{name} of element {i} is {stored[name][i]:g}, that of the data is {found[name][i]:g}"
            yield Finding(check="stats", message=says, column=key)


def _slack(name: str, allowed: np.ndarray, size: np.ndarray) -> np.ndarray:
    """A deviation from squares in single precision is off by up to the size times the square root of its precision."""
    return allowed + 1e-3 * size if name == "std" else allowed
