"""The parts of a training run from its options: the dataset opened, the policy that fits it, what each asks of the other.

Here the dataset's features meet the policy's, and a difference ends the run before it begins.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

from lerobot_core.config import to_data
from lerobot_core.errors import ConfigError, DataError
from lerobot_core.features import ACTION, Feature, match, policy_features, rename
from lerobot_core.roles import DatasetReader
from lerobot_policies.checkpoint import MODEL
from lerobot_policies.config import PolicyConfig
from lerobot_policies.policy import Policy
from lerobot_policies.processors.normalize import Stats
from lerobot_policies.train_config import TrainConfig

#: mean and standard deviation of ImageNet's colours, as torchvision's weights expect them
IMAGENET = {"mean": [[[0.485]], [[0.456]], [[0.406]]], "std": [[[0.229]], [[0.224]], [[0.225]]]}

REWARD = "next.reward"


def named(config: TrainConfig) -> TrainConfig:
    """The options with a job name and an output folder."""
    job = config.job_name or config.policy.type
    now = datetime.now()
    folder = config.output_dir or Path(f"outputs/train/{now:%Y-%m-%d}/{now:%H-%M-%S}_{job}")
    return attrs.evolve(config, job_name=job, output_dir=folder)


# --- dataset ------------------------------------------------------------------------------------------------------


def open_dataset(config: TrainConfig) -> DatasetReader:
    """The dataset's episodes to train on.

    Raises:
        DataError: it cannot be read, or no episode is left.
    """
    options = config.dataset
    # pictures are turned into floating point on the device, which is a quarter of the bytes to move
    choice = attrs.evolve(
        options.backend, config=_with(options.backend.config, return_uint8=True, tolerance_s=config.tolerance_s)
    )
    backend = choice.build()
    reader = backend.open(options.episodes)
    if options.episodes and reader.num_episodes < len(set(options.episodes)):
        last = backend.open().num_episodes - 1
        unknown = [episode for episode in options.episodes if not 0 <= episode <= last]
        raise DataError(f"dataset.episodes names {unknown}, which do not exist", hint=f"its episodes are 0 to {last}")
    if options.exclude_episodes:
        chosen = options.episodes or range(reader.num_episodes)
        left = [episode for episode in chosen if episode not in options.exclude_episodes]
        if not left:
            raise DataError("no episode is left to train on", hint="see --dataset.exclude_episodes")
        reader = backend.open(left)
    return reader


def _with(config: Any, **values: Any) -> Any:
    """The config with those of the values that it has an option for and that are not None."""
    known = {field.name for field in attrs.fields(type(config))}
    return attrs.evolve(config, **{k: v for k, v in values.items() if k in known and v is not None})


def torch_arguments(
    config: TrainConfig, policy: PolicyConfig, reader: DatasetReader
) -> tuple[dict[str, list[float]], Mapping[str, Any] | None]:
    """Windows around each frame [s], by the dataset's names, and the random changes of pictures, or None."""
    wanted = {
        **dict.fromkeys(policy.input_features, policy.observation_delta_indices),
        **dict.fromkeys(policy.output_features, policy.action_delta_indices),
        REWARD: policy.reward_delta_indices,
    }
    windows = {key: wanted.get(config.rename_map.get(key, key)) for key in reader.features}
    deltas = {key: [i / reader.fps for i in frames] for key, frames in windows.items() if frames is not None}
    transforms = to_data(config.dataset.image_transforms)
    return deltas, transforms | {"seed": config.seed} if transforms.pop("enable") else None


def worker_count(config: TrainConfig, policy: PolicyConfig) -> int:
    """Reading processes: none where they cost more than they give, that is without cameras or beside CPU training."""
    if config.num_workers is not None:
        return config.num_workers
    if not policy.image_features or policy.device == "cpu":
        return 0
    return min(4, (os.cpu_count() or 1) // 2)


# --- policy -------------------------------------------------------------------------------------------------------


def build_policy(config: TrainConfig, reader: DatasetReader) -> Policy:
    """The policy for a dataset: new, fine-tuned from `--policy.path`, or the one of the checkpoint to resume.

    Raises:
        FeatureError: the dataset does not have what the policy needs.
        ConfigError: the policy cannot be made for these features.
        DataError: the dataset lacks statistics the policy scales by.
    """
    choice = config.policy
    options = _with_features(config, choice.config, reader)
    context: dict[str, Any] = {}
    if config.resume:
        choice = attrs.evolve(choice, path=Path(config.checkpoint_path) / MODEL)
    else:
        context["dataset_stats"] = _stats(config, options, reader)
        if choice.path is not None:
            options = attrs.evolve(options, pretrained_path=str(choice.path))
    policy: Policy = attrs.evolve(choice, config=options).build(**context)
    step = policy.preprocessor.find("rename_observations_processor")
    if not config.resume and step is not None:
        step.rename_map = dict(config.rename_map)
    policy.action_names = element_names(reader.features.get(ACTION)) or policy.action_names
    return policy


def _with_features(config: TrainConfig, options: PolicyConfig, reader: DatasetReader) -> PolicyConfig:
    have = policy_features(reader.features)
    if options.input_features:
        need = {**options.input_features, **options.output_features}
        match(have, need, config.rename_map, what=f"dataset for policy '{options.type}'")
        return options
    named = rename(have, config.rename_map)
    try:
        return attrs.evolve(
            options,
            input_features={key: feature for key, feature in named.items() if feature.type != "ACTION"},
            output_features={key: feature for key, feature in named.items() if feature.type == "ACTION"},
        )
    except ValueError as failure:
        raise ConfigError(
            f"policy '{options.type}' cannot be trained on this dataset: {failure}",
            hint=f"the dataset has {', '.join(f'{key} {feature}' for key, feature in named.items())}",
        ) from failure


def _stats(config: TrainConfig, options: PolicyConfig, reader: DatasetReader) -> Stats:
    """Statistics under the policy's names; colour cameras have ImageNet's mean and deviation where that is wished."""
    stats = {key: dict(values) for key, values in rename(reader.stats or {}, config.rename_map).items()}
    features = {**options.input_features, **options.output_features}
    depth = {config.rename_map.get(key, key) for key, feature in reader.features.items() if feature.is_depth}
    for key, feature in features.items():
        if config.dataset.use_imagenet_stats and feature.type == "VISUAL" and key not in depth:
            stats.setdefault(key, {}).update(IMAGENET)
        if options.normalization_mapping.get(feature.type, "IDENTITY") != "IDENTITY" and key not in stats:
            raise DataError(
                f"the dataset has no statistics of '{key}', which policy '{options.type}' scales by",
                hint="compute its statistics, or set --policy.normalization_mapping",
            )
    return stats


def element_names(feature: Feature | None) -> list[str] | None:
    """Names of a vector's elements, where the dataset says them."""
    names = feature.names if feature else None
    if isinstance(names, Mapping) and len(names) == 1:  # the form {"motors": [...]}
        names = next(iter(names.values()))
    return list(names) if isinstance(names, (list, tuple)) and len(names) == feature.shape[0] else None
