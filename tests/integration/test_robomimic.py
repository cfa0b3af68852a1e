"""A file of robomimic's demonstrations is trained on through the option that names any other dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lerobot_core.config import load
from lerobot_datasets import plugin as datasets
from lerobot_policies import plugin as policies

h5py = pytest.importorskip("h5py", reason="needs lerobot-datasets[robomimic]")

TINY = (
    "--policy.type=act", "--policy.dim_model=16", "--policy.n_heads=2", "--policy.dim_feedforward=16",
    "--policy.n_encoder_layers=1", "--policy.n_vae_encoder_layers=1", "--policy.latent_dim=4", "--policy.chunk_size=4",
    "--policy.n_action_steps=4", "--policy.device=cpu", "--batch_size=4", "--steps=2", "--log_freq=1",
)  # fmt: skip


@pytest.mark.needs_torch
def test_a_policy_is_trained_on_demonstrations(host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lerobot_policies.train_config import TrainConfig
    from lerobot_policies.trainer import Trainer

    host.add(datasets, "datasets", "lerobot-datasets")
    host.add(policies, "policies", "lerobot-policies")
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path / "home"))
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "lift.hdf5", "w") as file:
        for name in ("demo_0", "demo_1"):
            for place, width in (("actions", 7), ("obs/robot0_eef_pos", 3), ("obs/object", 5)):
                file[f"data/{name}/{place}"] = rng.normal(size=(10, width))
        file["mask/train"] = [b"demo_1"]
    options = [f"--dataset.file={tmp_path / 'lift.hdf5'}", "--dataset.type=robomimic", "--dataset.filter_key=train"]
    trainer = Trainer(load(TrainConfig, [*options, *TINY, f"--output_dir={tmp_path / 'run'}"], {}).value)
    assert len(trainer.sampler) == 10, "the demonstrations of the list"
    assert trainer.train()
    stored = json.loads((trainer.run / "checkpoints/last/pretrained_model/config.json").read_text())
    assert stored["input_features"]["observation.environment_state"] == {"type": "ENV", "shape": [5]}
