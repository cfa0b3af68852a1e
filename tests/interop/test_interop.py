"""What we write opens in the published lerobot package and means the same there. Nightly: `nox -s interop`.

Runs in that package's own environment, on what `produce.py` made in ours; `LR_PRODUCED` names the folder.
"""

from __future__ import annotations

import os
from pathlib import Path

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


def test_a_dataset_reads_the_same() -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset
    from safetensors.torch import load_file

    theirs = LeRobotDataset("me/ours", root=PRODUCED / "ours")
    assert len(theirs) == 40
    for name, expected in load_file(PRODUCED / "ours.safetensors").items():
        index, _, key = name.partition("/")
        np.testing.assert_allclose(theirs[int(index)][key].numpy(), expected.numpy(), atol=1e-6, err_msg=name)
