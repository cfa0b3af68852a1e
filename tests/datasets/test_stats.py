"""Statistics against recorded ones of the ecosystem, bit for bit where they are made of the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lerobot_datasets import stats
from lerobot_datasets.v3 import metadata
from lerobot_datasets.v3.reader import Reader


@pytest.mark.parametrize("name", ["state_only", "state_env", "video2"])
def test_episodes_and_datasets(fixtures: Path, name: str) -> None:
    root = fixtures / "datasets" / name
    reader = Reader(root)
    rows = pq.read_table(root / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    total: stats.Stats = {}
    for row in rows:
        columns = reader.columns(row["episode_index"])
        columns["timestamp"] = np.arange(row["length"]) / reader.fps
        episode = stats.episode_stats(columns, reader.features, {})
        for feature, values in episode.items():
            for stat, value in values.items():
                np.testing.assert_array_equal(value.astype(np.float64), row[f"stats/{feature}/{stat}"])
        total = stats.aggregate([total, episode]) if total else episode
    want = metadata.read_stats(root)
    assert set(total) == set(want) - set(reader.info.camera_keys)
    for feature, values in total.items():
        for stat, value in values.items():
            np.testing.assert_array_equal(value.astype(np.float64), want[feature][stat], err_msg=f"{feature}/{stat}")
