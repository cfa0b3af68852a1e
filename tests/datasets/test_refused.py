"""A dataset that cannot be right is refused where it is opened, with file, column and row."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lerobot_core.errors import DataError
from lerobot_datasets import LeRobotDataset

_TABLE = Path("data/chunk-000/file-000.parquet")
_ROW = 40  # of the file: row 17 of episode 1, or whatever the lengths say


@pytest.fixture
def root(fixtures: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fixtures / "datasets" / "state_only", tmp_path / "set"))


def changed(root: Path, column: str, change: Callable[[np.ndarray], None]) -> None:
    """Change the values of a column of a table."""
    path = root / _TABLE
    path.chmod(0o644)
    table = pq.read_table(path)
    kind = table.schema.field(column).type
    values = np.array(table[column].to_pylist())
    change(values)
    column_of = table.schema.get_field_index(column)
    new = pa.array(values.tolist(), kind)
    pq.write_table(table.set_column(column_of, table.schema.field(column), new), path)


def _skip(values: np.ndarray) -> None:
    values[_ROW:] += 1


def _off(values: np.ndarray) -> None:
    values[_ROW] += 0.01


def _not_a_number(values: np.ndarray) -> None:
    values[_ROW, 2] = np.nan


def _far(values: np.ndarray) -> None:
    values[_ROW] = 99


FAULTS = {
    "index": (_skip, "index is 41"),
    "frame_index": (_far, "frame_index is 99"),
    "timestamp": (_off, "timestamp is"),
    "action": (_not_a_number, "NaN"),
    "task_index": (_far, "task_index is 99"),
}


@pytest.mark.parametrize("column", FAULTS)
def test_a_table_that_cannot_be_right(root: Path, column: str) -> None:
    LeRobotDataset("me/set", root=root)
    change, says = FAULTS[column]
    changed(root, column, change)
    lengths = LeRobotDataset("me/set", root=root, episodes=[0]).meta.episodes["length"]
    episode = int(np.searchsorted(np.cumsum(lengths), _ROW, side="right"))
    row = _ROW - int(np.sum(lengths[:episode]))
    with pytest.raises(DataError, match=says) as caught:
        LeRobotDataset("me/set", root=root)
    assert str(_TABLE) in str(caught.value)
    assert f"'{column}', row {row} of episode {episode}" in str(caught.value)
    assert LeRobotDataset("me/set", root=root, episodes=[0])[0]["index"] == 0, "a sound episode can be had"


def test_a_wider_tolerance(root: Path) -> None:
    changed(root, "timestamp", _off)
    assert LeRobotDataset("me/set", root=root, tolerance_s=0.02)[_ROW]


def test_a_video_that_is_not_there(fixtures: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(fixtures / "datasets" / "video2", tmp_path / "set"))
    video = next(root.glob("videos/*/chunk-000/file-000.mp4"))
    video.parent.chmod(0o755)
    video.unlink()
    with pytest.raises(DataError, match=video.name):
        LeRobotDataset("me/set", root=root)
    assert LeRobotDataset("me/set", root=root, download_videos=False).num_frames
