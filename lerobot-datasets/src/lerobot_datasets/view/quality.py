"""Which episodes deserve a second look: from the metadata of all at once, from rows and videos of those looked at.

What is wrong is told by `checks` and `inspection`; here it becomes a few flags of each episode. No torch.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from lerobot_core.features import ACTION, Feature
from lerobot_datasets import checks
from lerobot_datasets.inspection import Inspection
from lerobot_datasets.v3 import metadata, stamps
from lerobot_datasets.v3.reader import Reader


class Flag(NamedTuple):
    """A kind of thing to look at: its bit, its name, and what it says."""

    bit: int
    name: str
    means: str


FLAGS = (
    Flag(1, "length", "much shorter or longer than the others"),
    Flag(2, "still", "a joint that moves in most episodes does not move"),
    Flag(4, "nan", "an action or state that is not a number"),
    Flag(8, "dropped", "frames that were dropped or late while recording"),
    Flag(16, "frozen", "a camera that shows the same picture throughout"),
    Flag(32, "broken", "rows or videos that do not fit, see the findings"),
)
_BITS = {flag.name: flag.bit for flag in FLAGS}
_FLAG_OF = {"outlier": "length", "dead": "still", "nan": "nan", "frozen": "frozen"}  # the rest of the checks: broken


class Told(NamedTuple):
    """What is to be said of an episode: the flag's name and a sentence."""

    flag: str
    message: str


class Quality:
    """Flags of the episodes of a dataset.

    Args:
        reader: the dataset.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._inspection, self._lock = Inspection(reader), threading.Lock()
        self._told = _from_metadata(reader)
        self._looked: set[int] = set()
        self.bits = np.zeros(reader.info.total_episodes, dtype=np.uint32)
        for episode, told in self._told.items():
            self._mark(episode, told)
        self._all: threading.Thread | None = None

    def _mark(self, episode: int, told: list[Told]) -> None:
        for one in told:
            self.bits[episode] |= _BITS[one.flag]

    @property
    def looked(self) -> int:
        """How many episodes' rows and videos were looked at."""
        return len(self._looked)

    def told(self, episode: int) -> list[Told]:
        """Everything about one episode, its rows and videos looked at."""
        with self._lock:
            if episode not in self._looked:
                found = self._inspection.episode(episode)
                told = [Told(_FLAG_OF.get(f.check, "broken"), _said(f)) for f in found]
                told += _of_stamps(self._reader, episode)
                self._told.setdefault(episode, []).extend(told)
                self._mark(episode, told)
                self._looked.add(episode)
            return self._told.get(episode, [])

    def look_at_all(self) -> None:
        """Begin to look at every episode, beside what else goes on."""
        if self._all is None:
            self._all = threading.Thread(target=lambda: [self.told(i) for i in range(len(self.bits))], daemon=True)
            self._all.start()


def _said(finding: checks.Finding) -> str:
    where = finding.column or finding.file or ""
    at = f", frame {finding.row}" if finding.row is not None else ""
    return f"{where}{at}: {finding.message}"


def _from_metadata(reader: Reader) -> dict[int, list[Told]]:
    """What lengths, counts and statistics of the episodes say."""
    out: dict[int, list[Told]] = {}
    episodes = reader.all_episodes
    for finding in checks.lengths(np.asarray(episodes["length"])):
        out.setdefault(int(finding.episode or 0), []).append(Told("length", finding.message))
    learned = {k: f for k, f in reader.features.items() if _is_vector(f) and k.startswith((ACTION, "observation."))}
    bounds = _bounds(reader, list(learned))
    for key, (low, high) in bounds.items():
        for episode, one in _of_bounds(key, learned[key], low, high):
            out.setdefault(episode, []).append(one)
    return out


def _of_stamps(reader: Reader, episode: int) -> Iterator[Told]:
    """What the times say at which an episode was recorded, where they were kept."""
    found = stamps.read(reader.root, reader.info, reader.all_episodes[episode]) or {}
    cameras = [key for key in reader.info.camera_keys if key in found]
    for key, figures in stamps.summary(found, cameras, reader.fps).items() if cameras else ():
        if figures["dropped"] or figures["late"]:
            yield Told("dropped", f"{key}: {figures['dropped']:.0f} dropped, {figures['late']:.0f} late")


def _is_vector(feature: Feature) -> bool:
    return feature.dtype.startswith(("float", "int", "uint"))


def _of_bounds(key: str, feature: Feature, low: np.ndarray, high: np.ndarray) -> Iterator[tuple[int, Told]]:
    """What least and greatest values (E, D) say."""
    for episode in np.flatnonzero(~np.isfinite(low + high).all(axis=1)):
        yield int(episode), Told("nan", f"{key} holds values that are not numbers")
    still = low == high  # (E, D)
    usual = still.mean(axis=0) < 0.5
    for episode, element in np.argwhere(still & usual):
        names = feature.elements
        name = names[element] if names and len(names) == low.shape[1] else f"element {element}"
        yield int(episode), Told("still", f"{key}: {name} is {low[episode, element]:g} throughout")


def _bounds(reader: Reader, keys: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Least and greatest values (E, D) of features in each episode, where all episodes have them."""
    names = [f"stats/{key}/{name}" for key in keys for name in ("min", "max")]
    if reader.info.codebase_version.startswith("v2."):
        table = reader.episode_table()
    else:
        paths = sorted((reader.root / "meta" / "episodes").glob("*/*.parquet"))
        present = [[name for name in names if name in metadata.read_schema(path).names] for path in paths]
        tables = [metadata.read_table(path, few) for path, few in zip(paths, present, strict=True)]
        table = pa.concat_tables(tables, promote_options="default") if tables else pa.table({})
    out = {}
    for key in keys:
        low, high = (_matrix(table, f"stats/{key}/{name}", reader.info.total_episodes) for name in ("min", "max"))
        if low is not None and high is not None and low.shape == high.shape:
            out[key] = low, high
    return out


def _matrix(table: pa.Table, name: str, episodes: int) -> np.ndarray | None:
    """A column of lists as (episodes, D) float64; None where an episode has none or one of another size."""
    if name not in table.column_names or not episodes:
        return None
    column: Any = table[name].slice(0, episodes).combine_chunks()
    flat = column.flatten() if pa.types.is_nested(column.type) else column
    if pa.types.is_nested(flat.type) or column.null_count or len(flat) % episodes or len(column) != episodes:
        return None
    return flat.to_numpy(zero_copy_only=False).astype(np.float64).reshape(episodes, -1)
