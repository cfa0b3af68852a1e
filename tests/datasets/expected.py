"""What reading a recorded dataset must give, compared value by value with what was recorded beside it.

Each function gives the names of the values it compared, so that a test can tell that none is left out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from lerobot_datasets import LeRobotDataset, LeRobotDatasetMetadata
from lerobot_datasets.v3.layout import Place

CASE = {"case", "kwargs", "video_backend", "len", "num_episodes", "items"}
ITEM = {"index", "key_order", "strings", "tensors", "scalars"}
COUNTS = ("total_episodes", "total_frames", "fps", "tasks", "video_keys", "image_keys", "camera_keys", "depth_keys")


def check_cases(root: Path, expected: Path | None = None, **options: Any) -> set[str]:
    """Every item of every case. `expected` is the folder of the recorded values, `root` when not given."""
    expected = expected or root
    cases = json.loads((expected / "expected.json").read_text())["cases"]
    values, compared = load_file(expected / "expected.safetensors"), set()
    assert cases
    for case in cases:
        assert set(case) == CASE, "a key that nothing compares"
        dataset = LeRobotDataset("test/set", root=root, **(case["kwargs"] | options))
        assert (len(dataset), dataset.num_episodes) == (case["len"], case["num_episodes"])
        for item in case["items"]:
            where = (case["case"], item["index"])
            assert set(item) == ITEM, "a key that nothing compares"
            found = dataset[item["index"]]
            assert list(found) == item["key_order"], where
            assert {key: found[key] for key in item["strings"]} == item["strings"], where
            assert {key: found[key] for key in item["scalars"]} == item["scalars"], where
            omitted = {*found} - {*item["tensors"], *item["strings"], *item["scalars"]}
            assert omitted <= {*dataset.meta.camera_keys}, "some cases leave pictures out, and nothing else"
            for key in item["tensors"]:
                name = f"{case['case']}/{item['index']}/{key}"
                check_tensor(found[key], values[name], name)
                compared.add(name)
    return compared


def check_tensor(found: torch.Tensor, want: torch.Tensor, where: str) -> None:
    """Whole numbers, pictures included, equal; floats within 1e-6."""
    assert found.dtype == want.dtype, where
    near = 1e-6 if want.dtype.is_floating_point else 0
    torch.testing.assert_close(found, want, rtol=0, atol=near, msg=lambda message: f"{where}: {message}")


def check_metadata(root: Path, expected: Path | None = None) -> set[str]:
    """Counts, tasks, features and statistics; and where everything lies, when the values are of this very folder."""
    meta = LeRobotDatasetMetadata("test/set", root=root)
    where = expected or root
    want = json.loads((where / "expected.json").read_text())["meta"]
    assert set(want) == {*COUNTS, "features", "episodes", "data_paths", "video_paths"}, "a key that nothing compares"
    assert {key: getattr(meta, key) for key in COUNTS} == {key: want[key] for key in COUNTS}
    features = {key: {k: v for k, v in f.items() if k != "fps"} for key, f in want["features"].items()}
    assert {key: f | {"shape": list(f["shape"])} for key, f in meta.features.items()} == features
    if expected is None:
        _check_places(meta, want)
    compared = set()
    for key, value in load_file(where / "expected.safetensors").items():
        if key.startswith("stats/"):
            _, feature, stat = key.split("/")
            np.testing.assert_allclose(meta.stats[feature][stat], value.numpy(), rtol=1e-12, atol=0, err_msg=key)
            compared.add(key)
    assert {f"stats/{feature}/{stat}" for feature, stats in meta.stats.items() for stat in stats} == compared
    return compared


def _check_places(meta: LeRobotDatasetMetadata, want: dict[str, Any]) -> None:
    rows = list(meta.episodes)
    assert [{key: row[key] for key in episode} for row, episode in zip(rows, want["episodes"], strict=True)] == want[
        "episodes"
    ]
    data = [str(meta.info.data_file(Place(row["data/chunk_index"], row["data/file_index"]))) for row in rows]
    assert data == want["data_paths"]
    videos = [
        [
            str(meta.info.video_file(Place(row[f"videos/{key}/chunk_index"], row[f"videos/{key}/file_index"]), key))
            for key in meta.video_keys
        ]
        for row in rows
    ]
    assert videos == want["video_paths"]
