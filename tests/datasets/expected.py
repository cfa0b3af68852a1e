"""What reading a recorded dataset must give, compared value by value with what was recorded beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from lerobot_datasets import LeRobotDataset, LeRobotDatasetMetadata


def check_cases(root: Path, expected: Path | None = None, **options: Any) -> None:
    """Every item of every case. `expected` is the folder of the recorded values, `root` when not given."""
    expected = expected or root
    cases = json.loads((expected / "expected.json").read_text())["cases"]
    values = load_file(expected / "expected.safetensors")
    assert cases
    for case in cases:
        dataset = LeRobotDataset("test/set", root=root, **(case["kwargs"] | options))
        assert (len(dataset), dataset.num_episodes) == (case["len"], case["num_episodes"])
        for item in case["items"]:
            where = (case["case"], item["index"])
            found = dataset[item["index"]]
            assert list(found) == item["key_order"], where
            assert {key: found[key] for key in item["strings"]} == item["strings"], where
            for key in item["tensors"]:
                want = values[f"{case['case']}/{item['index']}/{key}"]
                assert found[key].dtype == want.dtype, (*where, key)
                torch.testing.assert_close(
                    found[key], want, rtol=0, atol=1e-6, msg=lambda m, w=(*where, key): f"{w}: {m}"
                )


def check_metadata(root: Path, expected: Path | None = None) -> LeRobotDatasetMetadata:
    """Counts, tasks, features and statistics."""
    expected = expected or root
    meta = LeRobotDatasetMetadata("test/set", root=root)
    want = json.loads((expected / "expected.json").read_text())["meta"]
    assert (meta.total_episodes, meta.total_frames, meta.fps) == (
        want["total_episodes"],
        want["total_frames"],
        want["fps"],
    )
    assert meta.tasks == want["tasks"]
    assert (meta.camera_keys, meta.depth_keys) == (want["camera_keys"], want["depth_keys"])
    features = {key: {k: v for k, v in f.items() if k != "fps"} for key, f in want["features"].items()}
    assert {key: f | {"shape": list(f["shape"])} for key, f in meta.features.items()} == features
    for key, value in load_file(expected / "expected.safetensors").items():
        if key.startswith("stats/"):
            _, feature, stat = key.split("/")
            np.testing.assert_allclose(meta.stats[feature][stat], value.numpy(), rtol=1e-12, atol=0, err_msg=key)
    return meta
