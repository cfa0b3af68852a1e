"""Options of a training run, and the `train_config.json` that is kept with every checkpoint. Knows nothing of torch.

The file has the ecosystem's layout, with sections for what is not done here (sharding, adapters, remote jobs …). They are
read and written back; a value that would change the training is refused rather than left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from lerobot_core.config import rest, to_data
from lerobot_core.registry import Choice
from lerobot_core.roles import DatasetBackend, Policy
from lerobot_policies.config import to_json as policy_json
from lerobot_policies.presets import OptimizerConfig, SchedulerConfig


def _jitter(kind: str, **kwargs: list[float]) -> dict[str, Any]:
    return {"weight": 1.0, "type": kind, "kwargs": kwargs}


def _transforms() -> dict[str, Any]:
    return {
        "brightness": _jitter("ColorJitter", brightness=[0.8, 1.2]),
        "contrast": _jitter("ColorJitter", contrast=[0.8, 1.2]),
        "saturation": _jitter("ColorJitter", saturation=[0.5, 1.5]),
        "hue": _jitter("ColorJitter", hue=[-0.05, 0.05]),
        "sharpness": _jitter("SharpnessJitter", sharpness=[0.5, 1.5]),
        "affine": _jitter("RandomAffine", degrees=[-5.0, 5.0], translate=[0.05, 0.05]),
    }


@attrs.frozen(kw_only=True)
class ImageTransforms:
    """Random changes of the pictures while training.

    Attributes:
        enable: change pictures at all
        max_num_transforms: changes per picture, drawn by weight
        random_order: apply them in random order instead of that of `tfs`
        tfs: the changes by name: weight, type and its arguments
    """

    enable: bool = False
    max_num_transforms: int = 3
    random_order: bool = False
    tfs: dict[str, Any] = attrs.Factory(_transforms)


@attrs.frozen(kw_only=True)
class TrainDataset:
    """The dataset to train on.

    Attributes:
        episodes: episodes to train on; all when null
        exclude_episodes: episodes to leave out
        use_imagenet_stats: scale colour cameras by the statistics of ImageNet instead of the dataset's
        image_transforms: random changes of the pictures
        repo_type: kind of the Hub repository
        eval_split: part of the episodes kept for evaluation; not supported
        backend: format of the dataset
    """

    episodes: list[int] | None = None
    exclude_episodes: list[int] | None = None
    use_imagenet_stats: bool = True
    image_transforms: ImageTransforms = attrs.Factory(ImageTransforms)
    repo_type: str = "dataset"
    eval_split: float = 0.0
    backend: Choice[DatasetBackend] = rest()


#: Sections and keys of the file that have no counterpart here, with the values that mean "off".
FOREIGN: dict[str, Any] = {
    "checkpoint_format": "safetensors",
    "parallelism": {
        "dp_replicate": 1,
        "dp_shard": 1,
        "context_parallel": {"ring_degree": 1, "ulysses_degree": 1},
        "cfg_parallel": 1,
    },
    "accelerator": {
        "mixed_precision": "no",
        "gradient_accumulation": {"steps": 1},
        "fsdp": {
            "reshard_after_forward": True,
            "wrap_modules": None,
            "min_num_params": None,
            "cpu_offload": False,
            "ignored_modules": None,
        },
        "ddp": {"find_unused_parameters": True, "gradient_as_bucket_view": False, "static_graph": False},
        "compile": {"enabled": False, "backend": "inductor", "mode": None, "regional": True},
        "activation_checkpointing": {"mode": "none"},
    },
    "eval": {
        "n_episodes": 50,
        "batch_size": 1,
        "use_async_envs": True,
        "recording": False,
        "recording_repo_id": None,
        "recording_private": False,
    },
    "ema": {
        "enable": False,
        "decay": None,
        "update_after_step": 0,
        "inv_gamma": 1.0,
        "power": 0.75,
        "min_decay": 0.0,
        "max_decay": 0.9999,
        "use_for_eval": True,
    },
    "wandb": {
        "enable": False,
        "disable_artifact": False,
        "project": "lerobot",
        "entity": None,
        "notes": None,
        "run_id": None,
        "mode": None,
        "add_tags": True,
    },
    "job": {
        "target": None,
        "image": "huggingface/lerobot-gpu:latest",
        "timeout": "2d",
        "detach": False,
        "tags": [],
    },
}

#: Values that would make the run another one; every other difference in a foreign section is kept and has no effect.
_OFF: dict[str, Any] = {
    "checkpoint_format": "safetensors",
    "parallelism.dp_replicate": 1,
    "parallelism.dp_shard": 1,
    "parallelism.context_parallel.ring_degree": 1,
    "parallelism.context_parallel.ulysses_degree": 1,
    "parallelism.cfg_parallel": 1,
    "accelerator.mixed_precision": "no",
    "accelerator.gradient_accumulation.steps": 1,
    "ema.enable": False,
    "wandb.enable": False,
    "job.target": None,
    "peft": None,
    "reward_model": None,
    "sample_weighting": None,
    "eval_steps": 0,
    "save_checkpoint_to_hub": False,
    "dataset.eval_split": 0.0,
}


def _foreign(name: str) -> Any:
    return attrs.field(factory=dict, converter=lambda given: {**FOREIGN[name], **given})


@attrs.frozen(kw_only=True)
class TrainConfig:
    """A training run.

    Attributes:
        dataset: what to train on
        policy: what to train
        output_dir: folder of the run; outputs/train/<date>/<time>_<job_name> when null
        job_name: name of the run; the policy's type when null
        resume: go on with the run in output_dir, or with that of --config_path, from its last checkpoint
        seed: seed of everything random
        cudnn_deterministic: slower, reproducible kernels on CUDA
        num_workers: processes that read the dataset; chosen by machine and dataset when null, 0 reads in this process
        batch_size: frames per step
        prefetch_factor: batches each process reads ahead
        persistent_workers: keep the processes from one epoch to the next
        dataloader_multiprocessing_context: how the processes are started; only spawn is safe beside video decoders
        steps: training steps
        log_freq: steps from one line of numbers to the next
        save_freq: steps from one checkpoint to the next; 0 for one at the end
        save_checkpoint: write checkpoints
        use_policy_training_preset: train with the policy's own optimizer and schedule
        optimizer: optimizer in place of the preset
        scheduler: learning-rate schedule in place of the preset
        rename_map: name in the dataset to name in the policy
        tolerance_s: how far a frame may be from the time asked for [s]; the dataset's own setting when null
        checkpoint_path: checkpoint a resumed run goes on from
        env: environment of the evaluation; kept, without effect
        env_eval_freq: steps from one evaluation to the next; kept, without effect
        eval_steps: steps from one validation to the next; not supported
        max_eval_samples: frames of a validation; kept, without effect
        reward_model: reward model to train; not supported
        checkpoint_format: format of the weights; only safetensors
        parallelism: sharding over processes; not supported
        accelerator: precision, accumulation and compilation; not supported
        eval: options of the evaluation; kept, without effect
        ema: average of the weights; not supported
        wandb: Weights & Biases; not supported
        peft: adapters; not supported
        job: remote jobs; not supported
        save_checkpoint_to_hub: upload every checkpoint; not supported
        sample_weighting: weights of the samples; not supported
    """

    dataset: TrainDataset
    policy: Choice[Policy]
    output_dir: Path | None = None
    job_name: str | None = None
    resume: bool = False
    seed: int = 1000
    cudnn_deterministic: bool = False
    num_workers: int | None = None
    batch_size: int = 8
    prefetch_factor: int = 4
    persistent_workers: bool = True
    dataloader_multiprocessing_context: Literal["spawn", "forkserver"] = "spawn"
    steps: int = 100_000
    log_freq: int = 200
    save_freq: int = 20_000
    save_checkpoint: bool = True
    use_policy_training_preset: bool = True
    optimizer: OptimizerConfig | None = None
    scheduler: SchedulerConfig | None = None
    rename_map: dict[str, str] = attrs.Factory(dict)
    tolerance_s: float | None = None
    checkpoint_path: Path | None = None
    env: dict[str, Any] | None = None
    env_eval_freq: int = 20_000
    eval_steps: int = 0
    max_eval_samples: int = 0
    reward_model: dict[str, Any] | None = None
    checkpoint_format: str = "safetensors"
    parallelism: dict[str, Any] = _foreign("parallelism")  # noqa: RUF009
    accelerator: dict[str, Any] = _foreign("accelerator")  # noqa: RUF009
    eval: dict[str, Any] = _foreign("eval")  # noqa: RUF009
    ema: dict[str, Any] = _foreign("ema")  # noqa: RUF009
    wandb: dict[str, Any] = _foreign("wandb")  # noqa: RUF009
    peft: dict[str, Any] | None = None
    job: dict[str, Any] = _foreign("job")  # noqa: RUF009
    save_checkpoint_to_hub: bool = False
    sample_weighting: dict[str, Any] | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("batch_size", "steps", "log_freq", "prefetch_factor"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, got {getattr(self, name)}")
        if not self.use_policy_training_preset and self.optimizer is None:
            raise ValueError("use_policy_training_preset=false needs an optimizer, e.g. --optimizer.type=adamw")
        if told := list(self._unsupported()):
            raise ValueError(f"not supported: {', '.join(told)}")

    def _unsupported(self) -> Iterator[str]:
        for path, off in _OFF.items():
            value: Any = self
            for key in path.split("."):
                value = value.get(key, off) if isinstance(value, Mapping) else getattr(value, key)
            if value != off:
                yield f"{path}={value}"


#: Keys of the file, in its order.
_KEYS = [
    "dataset",
    "env",
    "policy",
    "reward_model",
    "output_dir",
    "job_name",
    "resume",
    "seed",
    "cudnn_deterministic",
    "num_workers",
    "batch_size",
    "prefetch_factor",
    "persistent_workers",
    "dataloader_multiprocessing_context",
    "steps",
    "env_eval_freq",
    "log_freq",
    "eval_steps",
    "max_eval_samples",
    "tolerance_s",
    "save_checkpoint",
    "save_freq",
    "checkpoint_format",
    "use_policy_training_preset",
    "optimizer",
    "scheduler",
    "parallelism",
    "accelerator",
    "eval",
    "ema",
    "wandb",
    "peft",
    "job",
    "save_checkpoint_to_hub",
    "sample_weighting",
    "rename_map",
    "checkpoint_path",
]

#: The file's keys of a dataset in the ecosystem's own format; those of other formats are written as they are.
_DATASET_KEYS = [
    "repo_id",
    "repo_type",
    "root",
    "episodes",
    "exclude_episodes",
    "image_transforms",
    "revision",
    "use_imagenet_stats",
    "video_backend",
    "return_uint8",
    "depth_output_unit",
    "streaming",
    "eval_split",
]

#: Those that the order of the samples depends on besides, where they are streamed.
_STREAMING_KEYS = ["buffer_size", "max_num_shards"]


def to_json(config: TrainConfig) -> dict[str, Any]:
    """The object of a `train_config.json`."""
    data = to_data(config)
    data["policy"] = policy_json(config.policy.config)
    data["tolerance_s"] = config.tolerance_s or data["dataset"].get("tolerance_s", 1e-4)
    if config.dataset.backend.type == "lerobot":
        order = _STREAMING_KEYS if data["dataset"].get("streaming") else ()
        data["dataset"] = {key: data["dataset"].get(key) for key in (*_DATASET_KEYS, *order)}
    for name in ("optimizer", "scheduler"):
        chosen = getattr(config, name)
        data[name] = None if chosen is None else chosen.to_json()
    return {key: data[key] for key in _KEYS}
