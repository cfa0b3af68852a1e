"""Make, with our packages, what the published lerobot package then has to open: `python produce.py FOLDER`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import shapes
import torch
from safetensors.torch import save_file

from lerobot_policies.act.model import Act

DATASETS = Path(__file__).parents[1] / "data" / "datasets"
TINY = (
    "--policy.type=act", "--policy.dim_model=32", "--policy.n_heads=4", "--policy.dim_feedforward=48",
    "--policy.n_encoder_layers=2", "--policy.n_vae_encoder_layers=2", "--policy.latent_dim=8", "--policy.chunk_size=8",
    "--policy.n_action_steps=8", "--policy.pretrained_backbone_weights=null", "--policy.device=cpu",
    "--num_workers=0", "--batch_size=4", "--steps=4",
)  # fmt: skip


def checkpoint(name: str, folder: Path) -> None:
    """Train a few steps on a dataset of the ecosystem; keep the checkpoint, an input and the actions for it."""
    lr = Path(sys.executable).with_name("lr")
    data = (f"--dataset.repo_id=me/{name}", f"--dataset.root={DATASETS / name}", f"--output_dir={folder / name}")
    subprocess.run([lr, "train", *data, *TINY], check=True)
    policy = Act.from_pretrained(folder / name / "checkpoints" / "last" / "pretrained_model")
    generator = torch.Generator().manual_seed(0)
    batch = {
        key: torch.rand((2, *feature.shape), generator=generator) for key, feature in policy.input_features.items()
    }
    chunk = policy.predict_action_chunk(policy.preprocessor(dict(batch)))
    actions = policy.postprocessor({"action": chunk})["action"]
    save_file({**batch, "action": actions.contiguous()}, folder / f"{name}.safetensors")


if __name__ == "__main__":
    where = Path(sys.argv[1]).resolve()
    shutil.rmtree(where, ignore_errors=True)  # of the last time
    for known in ("state_env", "video2"):
        checkpoint(known, where)
    for refused in shapes.produce(where / "sets"):
        print(f"not recorded: {refused}")
    (where / "python").write_text(sys.executable)  # with which the tests call our side
