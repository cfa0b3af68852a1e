"""Training runs: equal to a recorded one from the seed on, and after being stopped or killed equal to unbroken ones."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import lerobot_datasets.plugin
import lerobot_policies.plugin
from lerobot_core.errors import CheckpointError, ConfigError, DataError, FeatureError
from lerobot_policies import checkpoint
from lerobot_policies.act.model import Act
from lerobot_policies.commands.train import train
from lerobot_policies.trainer import Trainer

TINY = [
    "--policy.type=act",
    "--policy.device=cpu",
    "--policy.dim_model=32",
    "--policy.n_heads=4",
    "--policy.dim_feedforward=48",
    "--policy.n_encoder_layers=2",
    "--policy.n_vae_encoder_layers=2",
    "--policy.latent_dim=8",
    "--policy.dropout=0.0",
    "--policy.chunk_size=8",
    "--policy.n_action_steps=8",
    "--policy.pretrained_backbone_weights=null",
    "--policy.push_to_hub=false",
    "--batch_size=4",
    "--log_freq=1",
    "--seed=1234",
]


@pytest.fixture(autouse=True)
def _plugins(host):
    host.add(lerobot_policies.plugin, "policies", "lerobot-policies")
    host.add(lerobot_datasets.plugin, "datasets", "lerobot-datasets")


@pytest.fixture
def state_env(fixtures):
    return ["--dataset.repo_id=fix/state_env", f"--dataset.root={fixtures / 'datasets/state_env'}"]


def over(*options: str) -> list[str]:
    """The tiny policy's options with those given instead of its own."""
    given = {option.partition("=")[0] for option in options}
    return [*(option for option in TINY if option.partition("=")[0] not in given), *options]


@pytest.fixture
def run(state_env):
    """Train in this process with the options of the recorded run and those given."""

    def go(*options: str) -> Trainer:
        trainer = Trainer(train.load(over(*state_env, *options)).value)
        trainer.train()
        return trainer

    return go


def resume(folder: Path, *options: str) -> Trainer:
    trainer = Trainer(train.load(["--resume=true", f"--output_dir={folder}", *options]).value)
    trainer.train()
    return trainer


def losses(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def logged(file: Path) -> list[dict[str, float]]:
    names = "step|loss|grdn|lr|l1_loss|kld_loss"
    lines = [line for line in file.read_text().splitlines() if "smpl:" in line]
    return [{k: float(v) for k, v in re.findall(rf"\b({names}):([\d.e-]+)", line)} for line in lines]


def largest_difference(one: Path, other: Path) -> float:
    a, b = load_file(one), load_file(other)
    assert a.keys() == b.keys()
    assert all(a[key].dtype == b[key].dtype and a[key].shape == b[key].shape for key in a)
    return max((a[key].double() - b[key].double()).abs().max().item() for key in a)


def check_numbers(found: list[dict], wanted: list[dict]) -> None:
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine["step"] == theirs["step"]
        assert mine["loss"] == pytest.approx(theirs["loss"], abs=6e-4)
        assert mine["grad_norm"] == pytest.approx(theirs["grdn"], abs=6e-4)
        assert mine["lr"] == theirs["lr"]
        assert mine["l1_loss"] == pytest.approx(theirs["l1_loss"], abs=6e-4)
        assert mine["kld_loss"] == pytest.approx(theirs["kld_loss"], abs=6e-4)


# A weight whose gradient is rounding noise moves by up to the learning rate (1e-5) a step in a direction of its own.
NOISE = 2.5e-5


def test_a_seed_gives_the_recorded_run(run, fixtures, tmp_path):
    recorded = fixtures / "train_checkpoint"
    run(f"--output_dir={tmp_path}", "--steps=4", "--save_freq=2")
    check_numbers(losses(tmp_path), logged(recorded / "train_log.txt"))
    for step in ("000002", "000004"):
        mine, theirs = tmp_path / "checkpoints" / step, recorded / f"step_{step}"
        weights, state = "pretrained_model/model.safetensors", "training_state"
        assert largest_difference(mine / weights, theirs / weights) < NOISE
        optimizer = f"{state}/optimizer_state.safetensors"
        assert largest_difference(mine / optimizer, theirs / optimizer) < 1e-6
        assert (
            largest_difference(mine / f"{state}/rng_state.safetensors", theirs / f"{state}/rng_state.safetensors") == 0
        )


def test_checkpoint_has_the_recorded_layout(run, fixtures, tmp_path):
    theirs = fixtures / "train_checkpoint/step_000002"
    options = ["--num_workers=0", "--prefetch_factor=2", "--persistent_workers=false", "--env_eval_freq=0"]
    run(f"--output_dir={tmp_path}", "--steps=2", "--job_name=fix", "--dataset.video_backend=torchcodec", *options)
    mine = (tmp_path / "checkpoints/last").resolve()
    assert os.readlink(tmp_path / "checkpoints/last") == mine.name == "000002"
    names = sorted(str(file.relative_to(theirs)) for file in theirs.rglob("*") if file.is_file())
    found = {str(file.relative_to(mine)) for file in mine.rglob("*") if file.is_file()}
    assert sorted(found - {"pretrained_model/action_names.json"}) == names
    joints = ["shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper"]
    assert Act.from_pretrained(mine / "pretrained_model").action_names == [f"{joint}.pos" for joint in joints]
    for name in names:
        if name.endswith(".json"):
            text, wanted = (mine / name).read_text(), (theirs / name).read_text()
            if name.endswith("train_config.json"):
                for key in ("root", "output_dir"):
                    text, wanted = (re.sub(rf'"{key}": "[^"]*"', "", t) for t in (text, wanted))
                text, wanted = text.replace('"steps": 2', ""), wanted.replace('"steps": 4', "")
                text, wanted = text.replace('"save_freq": 20000', ""), wanted.replace('"save_freq": 2', "")
            assert text == wanted, name
        elif "processor" in name:
            assert largest_difference(mine / name, theirs / name) == 0


@pytest.fixture
def recorded_run(fixtures, tmp_path):
    shutil.copytree(fixtures / "train_checkpoint/step_000002", tmp_path / "checkpoints/000002")
    (tmp_path / "checkpoints/last").symlink_to("000002")
    return tmp_path


def test_going_on_from_a_recorded_checkpoint(recorded_run, state_env, fixtures):
    recorded = fixtures / "train_checkpoint"
    trainer = resume(recorded_run, state_env[1])
    assert trainer.config.checkpoint_path == recorded_run / "checkpoints/000002"
    check_numbers(losses(recorded_run), logged(recorded / "train_log.txt")[2:])
    weights = "pretrained_model/model.safetensors"
    mine = recorded_run / "checkpoints/000004"
    assert largest_difference(mine / weights, recorded / "step_000004" / weights) < NOISE


def test_going_on_as_the_recorded_resumed_run_did(recorded_run, state_env, fixtures, monkeypatch):
    def restore(state):
        original(state)
        torch.empty((), dtype=torch.int64).random_()  # what the recorded run drew when it made its loader anew

    original = checkpoint.restore_random_state
    monkeypatch.setattr(checkpoint, "restore_random_state", restore)
    recorded = fixtures / "train_checkpoint"
    resume(recorded_run, state_env[1])
    check_numbers(losses(recorded_run), logged(recorded / "resume_log.txt"))
    weights, random = "pretrained_model/model.safetensors", "training_state/rng_state.safetensors"
    mine, theirs = recorded_run / "checkpoints/000004", recorded / "resumed_000004"
    assert largest_difference(mine / weights, theirs / weights) < NOISE
    assert largest_difference(mine / random, theirs / random) == 0


KILL_AT_13 = """
import os, signal, sys
from lerobot_policies.trainer import Trainer
update = Trainer._update
def killed(self, *args):
    if self.step == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return update(self, *args)
Trainer._update = killed
from lerobot_core.cli import main
main(sys.argv[1:])
"""


def test_killed_and_resumed_equals_unbroken(run, state_env, tmp_path):
    options = ["--steps=22", "--save_freq=5", "--policy.dropout=0.1", "--optimizer.lr=1e-3"]
    options += ["--use_policy_training_preset=false", "--optimizer.type=adamw"]
    options += ["--scheduler.type=diffuser", "--scheduler.num_warmup_steps=3"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(*options, f"--output_dir={whole}")
    command = [sys.executable, "-c", KILL_AT_13, "train", *over(*state_env, *options, f"--output_dir={broken}")]
    ended = subprocess.run(command, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert os.readlink(broken / "checkpoints/last") == "000010"
    resume(broken)
    for name in ("pretrained_model/model", "training_state/optimizer_state", "training_state/rng_state"):
        one, other = (folder / f"checkpoints/last/{name}.safetensors" for folder in (whole, broken))
        assert one.read_bytes() == other.read_bytes()
    assert [n["loss"] for n in losses(whole)] == [n["loss"] for n in losses(broken)]


def test_resumed_at_the_end_of_an_epoch_equals_unbroken(run, tmp_path):
    options = ["--batch_size=19", "--save_freq=4"]  # 76 frames: four batches an epoch
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(*options, f"--output_dir={whole}", "--steps=9")
    run(*options, f"--output_dir={broken}", "--steps=4")
    resume(broken, "--steps=9")
    one, other = (folder / "checkpoints/last/pretrained_model/model.safetensors" for folder in (whole, broken))
    assert one.read_bytes() == other.read_bytes()


def test_resumed_with_another_batch_size_goes_on_at_the_same_frame(run, tmp_path):
    run("--batch_size=8", f"--output_dir={tmp_path}", "--steps=4")
    config = train.load(["--resume=true", f"--output_dir={tmp_path}", "--batch_size=16", "--steps=6"]).value
    assert Trainer(config).sampler.state_dict() == {"epoch": 0, "start_index": 32}
    counts = tmp_path / "checkpoints/last/training_state/training_step.json"
    counts.write_text('{"step": 4, "num_processes": 2}')  # as older runs have it
    assert Trainer(config).sampler.state_dict() == {"epoch": 1, "start_index": 32}


def test_ctrl_c_saves_where_it_stopped(state_env, tmp_path, monkeypatch):
    config = train.load([*TINY, *state_env, "--steps=50", f"--output_dir={tmp_path}"]).value
    trainer = Trainer(config)
    update = Trainer._update

    def interrupted(self, *args):
        if self.step == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return update(self, *args)

    monkeypatch.setattr(Trainer, "_update", interrupted)
    assert not trainer.train()
    assert os.readlink(tmp_path / "checkpoints/last") == "000007"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.setattr(Trainer, "_update", update)
    assert resume(tmp_path, "--steps=8").step == 8


def test_a_run_is_not_written_over(run, tmp_path):
    run(f"--output_dir={tmp_path}", "--steps=1")
    with pytest.raises(ConfigError, match="holds the checkpoints"):
        run(f"--output_dir={tmp_path}", "--steps=1")


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_and_resumed_equals_unbroken(run, tmp_path, workers):
    """76 frames are 19 batches: both runs go through the end of an epoch, one is resumed within the second."""
    options = ["--dataset.streaming=true", "--dataset.buffer_size=20", f"--num_workers={workers}", "--save_freq=21"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    trainer = run(f"--output_dir={whole}", "--steps=24", *options)
    assert len(trainer.sampler) == 76
    run(f"--output_dir={broken}", "--steps=21", *options)
    resume(broken, "--steps=24")
    weights = "checkpoints/last/pretrained_model/model.safetensors"
    assert largest_difference(whole / weights, broken / weights) == 0
    assert [line["loss"] for line in losses(whole)][-3:] == [line["loss"] for line in losses(broken)][-3:]
    assert len({line["loss"] for line in losses(whole)}) == 24


def test_nothing_to_resume_is_said(tmp_path):
    with pytest.raises(ConfigError, match="does not say what"):
        train.load(["--resume"])
    with pytest.raises(ConfigError, match="holds no checkpoint"):
        train.load(["--resume=true", f"--output_dir={tmp_path}"])


@pytest.mark.parametrize(
    "option", ["ema={enable: true}", "accelerator={mixed_precision: bf16}", "dataset.eval_split=0.5"]
)
def test_what_is_not_done_is_refused(option, state_env):
    with pytest.raises(ConfigError, match="not supported"):
        train.load(over(*state_env, f"--{option}"))


def test_fine_tuning_scales_by_the_new_data_and_renames(run, state_env, recording, tmp_path):
    base = run(f"--output_dir={tmp_path / 'base'}", "--steps=1")
    for file in (tmp_path / "base/checkpoints/last/pretrained_model").glob("*.json"):
        file.write_text(file.read_text().replace("observation.environment_state", "observation.environment"))
    path = tmp_path / "base/checkpoints/last/pretrained_model"
    options = [f"--policy.path={path}", *state_env, "--batch_size=4", "--steps=1", f"--output_dir={tmp_path / 'tuned'}"]
    with pytest.raises(FeatureError, match="'observation\\.environment'"):
        Trainer(train.load(options).value)
    names = "--rename_map={observation.environment_state: observation.environment}"
    trainer = Trainer(train.load([*options, names]).value)
    started = trainer.policy.state_dict()
    assert all(torch.equal(started[key], value) for key, value in base.policy.state_dict().items())
    trainer.train()
    tuned = Act.from_pretrained(tmp_path / "tuned/checkpoints/last/pretrained_model")
    assert tuned.config.pretrained_path == str(path)
    assert tuned.preprocessor.steps[0].rename_map == {"observation.environment_state": "observation.environment"}
    assert "observation.environment" in tuned.preprocessor.find("normalizer_processor").stats


def test_cameras_are_scaled_by_imagenet_and_read_by_workers_alike(fixtures, tmp_path):
    data = ["--dataset.repo_id=fix/video2", f"--dataset.root={fixtures / 'datasets/video2'}"]
    options = over(*data, "--steps=2", "--batch_size=2", "--save_checkpoint=false")
    here = Trainer(train.load([*options, f"--output_dir={tmp_path / 'a'}"]).value)
    assert here.config.num_workers == 0
    stats = here.policy.preprocessor.find("normalizer_processor").stats
    for camera in here.policy.config.image_features:
        assert stats[camera]["mean"].flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
        assert stats[camera]["std"].shape == (3, 1, 1)
    here.train()
    there = Trainer(train.load([*options, f"--output_dir={tmp_path / 'b'}", "--num_workers=1"]).value)
    there.train()
    assert [n["loss"] for n in losses(tmp_path / "a")] == [n["loss"] for n in losses(tmp_path / "b")]


def test_changed_pictures_are_the_same_in_workers_and_after_resuming(fixtures, tmp_path):
    data = ["--dataset.repo_id=fix/video2", f"--dataset.root={fixtures / 'datasets/video2'}"]
    options = over(*data, "--batch_size=2", "--save_freq=2", "--dataset.image_transforms.enable=true")
    for name, *more in [("whole", "--steps=3"), ("broken", "--steps=2", "--num_workers=1")]:
        Trainer(train.load([*options, f"--output_dir={tmp_path / name}", *more]).value).train()
    resume(tmp_path / "broken", "--steps=3", "--num_workers=1")
    one, other = (tmp_path / f"{n}/checkpoints/last/pretrained_model/model.safetensors" for n in ("whole", "broken"))
    assert one.read_bytes() == other.read_bytes()


def test_changes_of_pictures_are_options(fixtures, tmp_path):
    data = ["--dataset.repo_id=fix/video2", f"--dataset.root={fixtures / 'datasets/video2'}"]
    options = over(*data, f"--output_dir={tmp_path}", "--dataset.image_transforms.enable=true")
    tfs = "--dataset.image_transforms.tfs={dark: {type: ColorJitter, kwargs: {brightness: [0.1, 0.2]}}}"
    trainer = Trainer(train.load([*options, tfs, "--dataset.image_transforms.max_num_transforms=1"]).value)
    assert trainer.dataset.image_transforms.seed == 1234
    assert trainer.dataset[0]["observation.images.front"].max() <= 0.2 * 255
    with pytest.raises(ConfigError, match="'ColourJitter', which is not known; did you mean 'ColorJitter'"):
        Trainer(train.load([*options, tfs.replace("ColorJ", "ColourJ")]).value)


def test_a_dataset_without_statistics_is_refused(state_env, fixtures, tmp_path):
    copy = tmp_path / "data"
    shutil.copytree(fixtures / "datasets/state_env", copy)
    (copy / "meta/stats.json").unlink()
    with pytest.raises(DataError, match="no statistics of 'observation\\.state'"):
        Trainer(train.load([*TINY, state_env[0], f"--dataset.root={copy}", f"--output_dir={tmp_path / 'run'}"]).value)


def test_a_broken_training_state_is_named(run, tmp_path):
    run(f"--output_dir={tmp_path}", "--steps=1")
    (tmp_path / "checkpoints/last/training_state/optimizer_state.safetensors").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match="optimizer_state"):
        resume(tmp_path, "--steps=2")


def test_help_needs_no_torch():
    code = (
        "import sys\nfrom lerobot_core.cli import main\n"
        "try:\n    main(['train', '--policy.type=act', '--help'])\n"
        "finally:\n    assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--policy.chunk_size" in done.stdout
    assert "actions predicted at once" in " ".join(done.stdout.split())
