"""Every value recorded of the ecosystem's reader, sampler and statistics is compared, and equal; none is left out.

Whole numbers and pictures are equal, floats within 1e-6. Where the ecosystem's single precision loses a value, ours is right.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from expected import check_cases, check_metadata
from safetensors.numpy import load_file

from lerobot_datasets import EpisodeAwareSampler, stats
from lerobot_datasets.sampler import compute_sampler_state
from lerobot_datasets.video import png

DATASETS = ("depth", "images", "multifile", "state_env", "state_only", "v21_converted", "video2", "video_stream")

#: Sums of the ecosystem over pixels are in float32: part by which its figures of pictures may be off.
SINGLE = 2e-3


def test_every_dataset_is_known(fixtures: Path) -> None:
    found = {path.parent.name for path in (fixtures / "datasets").glob("*/expected.json")}
    assert found <= {*DATASETS}
    assert len(found) >= 5


@pytest.fixture(params=DATASETS)
def root(request: pytest.FixtureRequest, fixtures: Path) -> Path:
    """A recorded dataset; some are in the larger set of recorded data only."""
    folder = fixtures / "datasets" / request.param
    if not folder.is_dir():
        pytest.skip(f"'{request.param}' is in the larger set of recorded data")
    return folder


def test_items_and_metadata(root: Path, decoder: str) -> None:
    if decoder == "torchcodec" and not (root / "videos").is_dir():
        pytest.skip("no videos")
    compared = check_cases(root, video_backend=decoder) | check_metadata(root)
    assert compared == set(load_file(root / "expected.safetensors"))


def test_orders_and_states_of_the_sampler(fixtures: Path) -> None:
    recorded = json.loads((fixtures / "misc" / "sampler.json").read_text())
    assert set(recorded) == {"sampler", "compute_sampler_state"}
    for case in recorded["sampler"]:
        sampler = EpisodeAwareSampler(case.pop("from"), case.pop("to"), **case.pop("kwargs"))
        assert len(sampler) == case.pop("len")
        assert [list(sampler) for _ in range(3)] == case.pop("epochs_0_1_2")
        assert sampler.state_dict() == case.pop("state_after_3_epochs")
        sampler.load_state_dict(case.pop("resume_state"))
        assert list(sampler) == case.pop("resumed_order")
        sampler.set_epoch(1000003)
        assert list(sampler) == case.pop("epoch_1000003")
        assert not case, "a key that nothing compares"
    for *arguments, want in recorded["compute_sampler_state"]:
        assert compute_sampler_state(*arguments) == want


# --- statistics -------------------------------------------------------------------------------------------------------

Values = dict[str, np.ndarray]


def test_statistics(fixtures: Path) -> None:
    """Every value of the file is an input of a comparison, or compared."""
    values = load_file(fixtures / "misc" / "stats.safetensors")
    described = json.loads((fixtures / "misc" / "stats.json").read_text())
    used = {
        *_columns(values, described.pop("get_feature_stats")),
        *_large_means(values),
        *_pictures(values),
        *_running(values),
        *_aggregation(values),
        *_episodes(fixtures / "misc", values),
    }
    assert used == set(values)
    for length, want in described.pop("sample_indices").items():
        found = stats.sample_indices(int(length)).tolist()
        assert {
            "num": len(found),
            "first_last": [found[0], found[-1]],
            "indices": found[: len(want["indices"])],
        } == want
    assert not any(described.values()), "a key that nothing compares"


def _columns(values: Values, cases: list[dict[str, Any]]) -> set[str]:
    used = set()
    for case in cases:
        assert case["axis"] == 0
        used.add(f"gfs/{case['name']}/in")
        found = stats.column_stats(values[f"gfs/{case['name']}/in"])
        for name in stats.NAMES:
            if (case["name"], name) != ("big_offset", "std"):
                key = f"{case['prefix']}/{name}"
                used.add(key)
                np.testing.assert_array_equal(found[name].astype(np.float64), values[key].reshape(-1), err_msg=key)
    return used


def _large_means(values: Values) -> set[str]:
    """Means of a million and deviations of one: the ecosystem's single precision gives 0, ours the deviation."""
    data = values["gfs/big_offset/in"]
    found = stats.column_stats(data)["std"]
    np.testing.assert_allclose(found, data.std(axis=0, dtype=np.float64), rtol=1e-6)
    assert found[0] == pytest.approx(0.956, abs=1e-3)
    lost = {f"gfs/big_offset/axis0_keep{keep}/std" for keep in (0, 1)}
    assert all(not values[key].any() for key in lost)
    return lost


def _pictures(values: Values) -> set[str]:
    pictures = values["gfs/img/in"].transpose(0, 2, 3, 1)  # (N, H, W, C)
    used = {"gfs/img/in"}
    for name, value in stats.picture_stats([stats.level_counts(picture) for picture in pictures]).items():
        key = f"gfs/img/axis023_keep1/{name}"
        used.add(key)
        found = value * (1 if name == "count" else 255)
        np.testing.assert_allclose(found, values[key].reshape(value.shape), rtol=SINGLE, err_msg=key)
    return used


def _running(values: Values) -> set[str]:
    running, used = stats.RunningStats(), set()
    for i in range(5):
        running.update(values[f"running/in/{i}"])
        used.add(f"running/in/{i}")
        for name, value in running.result().items():
            key = f"running/after/{i}/{name}"
            used.add(key)
            np.testing.assert_array_equal(value, values[key], err_msg=key)
    return used


def _aggregation(values: Values) -> set[str]:
    parts: dict[str, stats.Stats] = {}
    for key in (used := {key for key in values if key.startswith("agg/in/")}):
        _, _, part, feature, name = key.split("/")
        parts.setdefault(part, {}).setdefault(feature, {})[name] = values[key]
    for feature, found in stats.aggregate(parts[part] for part in sorted(parts)).items():
        for name, value in found.items():
            key = f"agg/out/{feature}/{name}"
            used.add(key)
            np.testing.assert_allclose(value, values[key], rtol=1e-7, err_msg=key)
    return used


def _episodes(folder: Path, values: Values) -> set[str]:
    """Of an episode's three pictures; and of its columns, which are their least, greatest and, by the mean, middle value."""
    used = set()
    for size in ("small", "large"):
        pictures = [png.decode(path.read_bytes()) for path in sorted((folder / f"png_{size}").glob("*.png"))]
        for name, value in stats.picture_stats(stats.sampled_levels(pictures, len(pictures))).items():
            key = f"episode_stats/{size}/observation.images.c/{name}"
            used.add(key)
            np.testing.assert_allclose(value, values[key], rtol=SINGLE, atol=1e-9, err_msg=key)
        for column in ("action", "s"):
            want = {name: values[f"episode_stats/{size}/{column}/{name}"] for name in stats.NAMES}
            middle = 3 * want["mean"] - want["min"] - want["max"]
            found = stats.column_stats(np.stack([want["min"], middle, want["max"]]).astype(np.float32))
            for name in stats.NAMES:
                used.add(f"episode_stats/{size}/{column}/{name}")
                np.testing.assert_allclose(found[name], want[name], rtol=1e-6, atol=2e-3 if name == "q50" else 5e-6)
    return used
