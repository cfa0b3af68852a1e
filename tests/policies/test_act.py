"""ACT against recorded runs: chunks, episodes, losses, gradients and optimiser steps."""

from __future__ import annotations

import json
import shutil

import attrs
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lerobot_core.errors import CheckpointError, FeatureError
from lerobot_core.features import PolicyFeature
from lerobot_policies.act.config import ActConfig
from lerobot_policies.act.ensemble import TemporalEnsemble
from lerobot_policies.act.model import Act, ActModel
from lerobot_policies.nn.resnet import ResNet
from lerobot_policies.optim import build_optimizer, clip_gradients
from lerobot_policies.presets import OptimizerConfig

NAMES = ["act_vae_env", "act_novae_env_ensemble", "act_vae_images", "act_prenorm_dilated_images"]
every = pytest.mark.parametrize("name", NAMES)


def close(found: torch.Tensor, wanted: torch.Tensor, tolerance: float = 1e-5) -> None:
    scale = wanted.abs().max().clamp(min=1e-12)
    assert ((found - wanted).abs().max() / scale).item() < tolerance


@every
def test_chunk(name, recording):
    run = recording(name)
    policy = Act.from_pretrained(run.folder)
    batch = policy.preprocessor(run.group("chunk/raw/"))
    for key, value in run.group("chunk/pre/").items():
        close(batch[key], value, 1e-6)
    chunk = policy.predict_action_chunk(batch)
    close(chunk, run.arrays["chunk/out"])
    close(policy.postprocessor({"action": chunk})["action"], run.arrays["chunk/post_whole"])
    close(torch.stack([policy.postprocessor({"action": row})["action"] for row in chunk.unbind(1)], 1),
          run.arrays["chunk/post"])  # fmt: skip


@every
def test_episode(name, recording):
    run = recording(name)
    policy = Act.from_pretrained(run.folder)
    policy.reset()
    for step in range(sum(key.endswith("/out") for key in run.group("seq/"))):
        action = policy.select_action(policy.preprocessor(run.group(f"seq/{step}/raw/")))
        close(action, run.arrays[f"seq/{step}/out"])
        close(policy.postprocessor({"action": action})["action"], run.arrays[f"seq/{step}/post"])


@every
def test_training_steps(name, recording, inject):
    run = recording(name)
    policy = Act.from_pretrained(run.folder).train()
    batch = policy.preprocessor(run.group("train/raw/"))
    for key, value in run.group("train/pre/").items():
        close(batch[key], value, 1e-6)
    preset = OptimizerConfig(**run.notes["optimizer"])
    assert policy.config.optimizer_preset().to_json() == run.notes["optimizer"]
    optimizer = build_optimizer(preset, policy.optimizer_groups())
    for i, wanted in enumerate(run.notes["train"]):
        inject(run.draws(f"train{i}"))
        loss, parts = policy(batch)
        loss.backward()
        assert loss.item() == pytest.approx(wanted["loss"], rel=1e-5)
        assert parts == pytest.approx(wanted["info"], rel=1e-5)
        for key, norm in (wanted["param_grad_norms"] or {}).items():
            found = policy.get_parameter(key).grad.norm().item()
            assert found == pytest.approx(norm, rel=2e-5, abs=1e-6 * wanted["grad_norm"]), key
        norm = clip_gradients(policy, preset.to_json()["grad_clip_norm"])
        assert norm.item() == pytest.approx(wanted["grad_norm"], rel=1e-5)
        optimizer.step()
        optimizer.zero_grad()


@every
def test_written_checkpoint_is_the_one_read(name, recording, tmp_path):
    run = recording(name)
    policy = Act.from_pretrained(run.folder)
    policy.save_pretrained(tmp_path)
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {p.name for p in run.folder.iterdir()} - {
        "io.json",
        "io.safetensors",
        "weights.json",
        "extra.safetensors",
    }
    for file in files:
        if file.endswith(".json"):
            assert (tmp_path / file).read_text() == (run.folder / file).read_text(), file
        else:
            assert (tmp_path / file).read_bytes() == (run.folder / file).read_bytes(), file


def test_inference_in_robot_units(recording):
    run = recording("act_vae_env")
    policy = Act.from_pretrained(run.folder)
    raw = run.group("chunk/raw/")
    observations = [{key: value[i].numpy() for key, value in raw.items()} for i in range(2)]
    chunks = policy.infer([policy.session(i) for i in range(2)], observations, [3, 8])
    assert [chunk.step for chunk in chunks] == [3, 8]
    for i, chunk in enumerate(chunks):
        assert chunk.actions.dtype == np.float32
        close(torch.from_numpy(chunk.actions), run.arrays["chunk/post_whole"][i])


def test_two_sessions_are_two_runs(recording):
    run = recording("act_novae_env_ensemble")
    policy = Act.from_pretrained(run.folder)
    steps = range(sum(key.endswith("/out") for key in run.group("seq/")))
    one, other = policy.session(), policy.session(1)
    for step in steps:
        seen = {key: value.numpy() for key, value in run.group(f"seq/{step}/raw/").items()}
        moved = {key: value + 1 for key, value in seen.items()}
        chunk, _ = policy.infer([one, other], [seen, moved], [step, step])
        close(torch.from_numpy(chunk.actions[:1]), run.arrays[f"seq/{step}/post"])


def test_pictures_are_channel_last_and_of_bytes(recording):
    policy = Act.from_pretrained(recording("act_vae_images").folder)
    rng = np.random.default_rng(0)
    seen = {
        key: rng.integers(0, 256, (*f.shape[1:], 3), dtype=np.uint8)
        if f.type == "VISUAL"
        else rng.standard_normal(f.shape).astype(np.float32)
        for key, f in policy.input_features.items()
    }
    (chunk,) = policy.infer([policy.session()], [seen], [0])
    batch = {k: torch.from_numpy(v) for k, v in seen.items()}
    batch = {k: v.permute(2, 0, 1)[None] / 255 if v.ndim == 3 else v[None] for k, v in batch.items()}
    wanted = policy.postprocessor({"action": policy.predict_action_chunk(policy.preprocessor(batch))})["action"][0]
    close(torch.from_numpy(chunk.actions), wanted)
    with pytest.raises(FeatureError, match="front"):
        policy.infer([policy.session()], [{k: v for k, v in seen.items() if "front" not in k}], [0])
    with pytest.raises(FeatureError, match="uint8"):
        policy.infer([policy.session()], [{k: v.astype(np.float32) for k, v in seen.items()}], [0])


def test_weights_of_another_network_are_refused(recording):
    run = recording("act_vae_env")
    config = attrs.evolve(Act.from_pretrained(run.folder).config, n_encoder_layers=3)
    with pytest.raises(CheckpointError, match="12 missing"):
        Act.from_pretrained(run.folder, config)


def test_a_checkpoint_that_lost_its_statistics_is_refused(recording, tmp_path):
    run = recording("act_vae_env")
    shutil.copytree(run.folder, tmp_path / "copy")
    file = tmp_path / "copy/policy_postprocessor.json"
    data = json.loads(file.read_text())
    del data["steps"][0]["state_file"]
    file.write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match="no statistics of action"):
        Act.from_pretrained(tmp_path / "copy")
    stats = run.stats()
    policy = Act.from_pretrained(tmp_path / "copy", dataset_stats=stats)
    close(policy.postprocessor({"action": run.arrays["chunk/out"]})["action"], run.arrays["chunk/post_whole"])


@pytest.mark.parametrize(("use_vae", "tensors", "parameters"), [(True, 234, 51_597_190), (False, 178, 34_223_942)])
def test_size_of_the_published_model(use_vae, tensors, parameters):
    camera = PolicyFeature(type="VISUAL", shape=(3, 480, 640))
    config = ActConfig(
        use_vae=use_vae,
        input_features={
            "observation.state": PolicyFeature(type="STATE", shape=(6,)),
            "observation.images.front": camera,
            "observation.images.wrist": camera,
        },
        output_features={"action": PolicyFeature(type="ACTION", shape=(6,))},
    )
    with torch.device("meta"):
        model = ActModel(config)
    assert len(model.state_dict()) == tensors
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def test_backbone_weights_from_a_file(tmp_path):
    features = {
        "input_features": {"observation.images.top": PolicyFeature(type="VISUAL", shape=(3, 64, 64))},
        "output_features": {"action": PolicyFeature(type="ACTION", shape=(2,))},
    }
    small = {"device": "cpu", "dim_model": 16, "n_heads": 2, "dim_feedforward": 16, "n_encoder_layers": 1}
    weights = {key: torch.full_like(value, 0.5) for key, value in ResNet("resnet18").state_dict().items()}
    published = {**weights, "fc.weight": torch.zeros(1), "bn1.num_batches_tracked": torch.tensor(7)}
    save_file(published, tmp_path / "resnet18.safetensors")
    file = str(tmp_path / "resnet18.safetensors")
    policy = Act(ActConfig(pretrained_backbone_weights=file, **small, **features))
    assert all(torch.equal(policy.model.backbone.state_dict()[key], value) for key, value in weights.items())
    with pytest.raises(CheckpointError, match="not hold the weights of resnet34"):
        Act(ActConfig(vision_backbone="resnet34", pretrained_backbone_weights=file, **small, **features))
    with pytest.raises(CheckpointError, match="did you mean 'ResNet18_Weights"):
        Act(ActConfig(pretrained_backbone_weights="ResNet18_Weights.IMAGENET1K", **small, **features))
    with pytest.raises(CheckpointError, match="not the weights of resnet34"):
        Act(ActConfig(vision_backbone="resnet34", **small, **features))


@pytest.mark.parametrize("coefficient", [0.01, 0.0, -0.3])
def test_ensemble_is_the_weighted_mean_of_all_predictions(coefficient):
    size, steps = 6, 15
    chunks = torch.randn(steps, size, 2, generator=torch.Generator().manual_seed(0))
    ensemble = TemporalEnsemble(coefficient, size)
    for now in range(steps):
        first = ensemble.update(chunks[now][None])[0, 0]
        predictions = torch.stack([chunks[made][now - made] for made in range(max(0, now - size + 1), now + 1)])
        weights = torch.exp(-coefficient * torch.arange(len(predictions)))[:, None]
        close(first, (predictions * weights).sum(0) / weights.sum())
