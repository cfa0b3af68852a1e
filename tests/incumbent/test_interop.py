"""What we write opens in the published lerobot package and means the same there. Nightly: `nox -s incumbent`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

DATASETS = Path(__file__).parents[1] / "data" / "datasets"
TINY = (
    "--policy.type=act", "--policy.dim_model=32", "--policy.n_heads=4", "--policy.dim_feedforward=48",
    "--policy.n_encoder_layers=2", "--policy.n_vae_encoder_layers=2", "--policy.latent_dim=8", "--policy.chunk_size=8",
    "--policy.n_action_steps=8", "--policy.pretrained_backbone_weights=null", "--policy.device=cpu",
    "--num_workers=0", "--batch_size=4", "--steps=4",
)  # fmt: skip


def lr(*args: str) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lr")), *args], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("name", ["state_env", "video2"])
def test_a_checkpoint_of_ours_gives_the_same_actions_there(name: str, tmp_path: Path) -> None:
    from lerobot.policies.act.modeling_act import ACTPolicy
    from lerobot.policies.factory import make_pre_post_processors

    from lerobot_core.artifacts import resolve
    from lerobot_policies.act.model import Act

    lr(
        "train",
        f"--dataset.repo_id=me/{name}",
        f"--dataset.root={DATASETS / name}",
        f"--output_dir={tmp_path}/run",
        *TINY,
    )
    folder = resolve(tmp_path / "run" / "checkpoints" / "last" / "pretrained_model")
    ours, theirs = Act.from_pretrained(folder), ACTPolicy.from_pretrained(folder)
    pre, post = make_pre_post_processors(theirs.config, pretrained_path=str(folder))
    generator = torch.Generator().manual_seed(0)
    batch = {key: torch.rand((2, *feature.shape), generator=generator) for key, feature in ours.input_features.items()}
    theirs.eval()
    expected = post(theirs.predict_action_chunk(pre(dict(batch))))
    got = ours.postprocessor(ours.predict_action_chunk(ours.preprocessor(dict(batch))))
    np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-5, atol=1e-5)


def test_a_dataset_of_ours_opens_there(tmp_path: Path) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset as Theirs

    from lerobot_datasets import LeRobotDataset

    features = {
        "observation.state": {"dtype": "float32", "shape": (3,), "names": ["a", "b", "c"]},
        "action": {"dtype": "float32", "shape": (3,), "names": ["a", "b", "c"]},
        "observation.images.front": {"dtype": "video", "shape": (48, 64, 3), "names": ["height", "width", "channels"]},
    }
    ours = LeRobotDataset.create("me/ours", fps=30, features=features, root=tmp_path / "set", robot_type="toy")
    random = np.random.default_rng(0)
    for episode in range(2):
        for step in range(20):
            vector = random.random(3, dtype=np.float32)
            picture = np.full((48, 64, 3), 10 * step + 5, np.uint8)
            ours.add_frame(
                {
                    "observation.state": vector,
                    "action": -vector,
                    "observation.images.front": picture,
                    "task": f"t{episode}",
                }
            )
        ours.save_episode()
    ours.finalize()
    mine, theirs = LeRobotDataset("me/ours", root=tmp_path / "set"), Theirs("me/ours", root=tmp_path / "set")
    assert len(theirs) == 40
    for index in (0, 19, 20, 39):
        for key, value in theirs[index].items():
            if isinstance(value, torch.Tensor):
                np.testing.assert_allclose(mine[index][key].numpy(), value.numpy(), atol=1e-6, err_msg=key)
            else:
                assert mine[index][key] == value
