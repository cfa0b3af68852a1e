"""What we write opens in the published lerobot package and means the same there. Nightly: `nox -s interop`.

Runs in that package's own environment, on what `produce.py` made in ours; `LR_PRODUCED` names the folder.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("lerobot", reason="needs the published package: nox -s interop")
PRODUCED = Path(os.environ.get("LR_PRODUCED", ""))


@pytest.mark.parametrize("name", ["state_env", "video2"])
def test_a_checkpoint_gives_the_same_actions(name: str) -> None:
    from lerobot.policies.act.modeling_act import ACTPolicy
    from lerobot.policies.factory import make_pre_post_processors
    from safetensors.torch import load_file

    folder = PRODUCED / name / "checkpoints" / "last" / "pretrained_model"
    policy = ACTPolicy.from_pretrained(folder)
    before, after = make_pre_post_processors(policy.config, pretrained_path=str(folder))
    batch = load_file(PRODUCED / f"{name}.safetensors")
    expected = batch.pop("action")
    policy.eval()
    got = after(policy.predict_action_chunk(before(batch)))
    scale = float(expected.abs().max())  # degrees: two builds of torch differ by a few units in the last place
    np.testing.assert_allclose(got.numpy() / scale, expected.numpy() / scale, atol=1e-5)


SETS = sorted(path.stem for path in PRODUCED.glob("sets/*.json"))


def test_sets_were_produced() -> None:
    assert len(SETS) >= 12


@pytest.fixture(params=SETS)
def produced(request: pytest.FixtureRequest) -> tuple[Path, dict[str, Any]]:
    """Folder of a dataset, and what our reader gave of it."""
    folder = PRODUCED / "sets" / request.param
    return folder, json.loads(folder.with_suffix(".json").read_text())


def test_every_item_reads_the_same(produced: tuple[Path, dict[str, Any]]) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset
    from safetensors.torch import load_file

    folder, told = produced
    compared, values = set(), load_file(folder.with_suffix(".safetensors"))
    for case, deltas, step in (("plain", None, 1), ("windows", told["windows"], 5)):
        theirs = LeRobotDataset(f"me/{folder.name}", root=folder, delta_timestamps=deltas)
        assert len(theirs) == told["length"]
        for i in range(0, len(theirs), step):
            found, where = theirs[i], f"{case}/{i}"
            for key, text in told["texts"][where].items():
                assert found.pop(key) == text, f"{where}/{key}"
            for key, value in found.items():
                expected = values[f"{where}/{key}"]
                if expected.dtype != value.dtype:  # pictures, which ours kept as they are stored
                    assert str(expected.dtype) == "torch.uint8", f"{where}/{key}"
                    expected = expected.to(value.dtype) / 255
                np.testing.assert_allclose(value.numpy(), expected.numpy(), atol=1e-6, rtol=0, err_msg=f"{where}/{key}")
                compared.add(f"{where}/{key}")
    assert compared == set(values)


def test_metadata_reads_the_same(produced: tuple[Path, dict[str, Any]]) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDatasetMetadata

    folder, told = produced
    meta = LeRobotDatasetMetadata(f"me/{folder.name}", root=folder)
    assert meta.total_frames == told["length"]
    assert list(meta.tasks.index) == told["tasks"]
    assert set(meta.stats) == set(told["stats"])
    for key, values in told["stats"].items():
        for name, value in values.items():
            np.testing.assert_allclose(meta.stats[key][name], value, err_msg=f"{key}/{name}")
