"""Statistics against recorded ones of the ecosystem, bit for bit where they are made of the same numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from lerobot_datasets import stats
from lerobot_datasets.v3 import metadata
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.video import png

#: The ecosystem sums pixels in float32; ours are exact.
ROUGH = 2e-3


@pytest.fixture(scope="module")
def recorded(fixtures: Path) -> dict[str, np.ndarray]:
    return load_file(fixtures / "misc" / "stats.safetensors")


@pytest.fixture(scope="module")
def described(fixtures: Path) -> dict:
    return json.loads((fixtures / "misc" / "stats.json").read_text())


def test_columns(recorded: dict[str, np.ndarray], described: dict) -> None:
    for case in described["get_feature_stats"]:
        found = stats.column_stats(recorded[f"gfs/{case['name']}/in"])
        for name in stats.NAMES:
            want = recorded[f"{case['prefix']}/{name}"].reshape(-1)
            np.testing.assert_array_equal(found[name].astype(np.float64), want, err_msg=f"{case['prefix']}/{name}")


def test_running(recorded: dict[str, np.ndarray]) -> None:
    running = stats.RunningStats()
    for i in range(5):
        running.update(recorded[f"running/in/{i}"])
        for name, value in running.result().items():
            np.testing.assert_array_equal(value, recorded[f"running/after/{i}/{name}"], err_msg=f"{i}/{name}")


def test_pictures(recorded: dict[str, np.ndarray]) -> None:
    pictures = recorded["gfs/img/in"].transpose(0, 2, 3, 1)  # (N, H, W, C)
    counts = [stats.level_counts(picture) for picture in pictures]
    for name, value in stats.picture_stats(counts).items():
        want = recorded[f"gfs/img/axis023_keep1/{name}"].reshape(value.shape)
        np.testing.assert_allclose(value * (1 if name == "count" else 255), want, rtol=ROUGH, err_msg=name)


@pytest.mark.parametrize("size", ["small", "large"])
def test_pictures_of_an_episode(fixtures: Path, recorded: dict[str, np.ndarray], size: str) -> None:
    paths = sorted((fixtures / "misc" / f"png_{size}").glob("*.png"))
    pictures = [png.decode(path.read_bytes()) for path in paths]
    found = stats.picture_stats(stats.sampled_levels(pictures, len(pictures)))
    for name, value in found.items():
        want = recorded[f"episode_stats/{size}/observation.images.c/{name}"]
        np.testing.assert_allclose(value, want, rtol=ROUGH, atol=1e-9, err_msg=name)


def test_which_frames_are_looked_at(described: dict) -> None:
    for length, want in described["sample_indices"].items():
        found = stats.sample_indices(int(length))
        assert len(found) == want["num"]
        assert found[: len(want["indices"])].tolist() == want["indices"]
        assert [found[0], found[-1]] == want["first_last"]


def test_aggregation(recorded: dict[str, np.ndarray]) -> None:
    parts: dict[str, stats.Stats] = {}
    for key, value in recorded.items():
        if key.startswith("agg/in/"):
            _, _, part, feature, name = key.split("/")
            parts.setdefault(part, {}).setdefault(feature, {})[name] = value
    for feature, values in stats.aggregate(parts[part] for part in sorted(parts)).items():
        for name, value in values.items():
            want = recorded[f"agg/out/{feature}/{name}"]
            np.testing.assert_allclose(value, want, rtol=1e-7, err_msg=f"{feature}/{name}")


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
