"""The pre- and post-processor that a policy has unless it says otherwise.

pre:  rename → to batch → device → normalise (inputs and outputs)        post: unnormalise (outputs) → cpu
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lerobot_core import artifacts
from lerobot_policies.config import PolicyConfig
from lerobot_policies.processors.normalize import Normalize, Stats, Unnormalize
from lerobot_policies.processors.pipeline import Pipeline
from lerobot_policies.processors.steps import Device, Rename, ToBatch

PRE, POST = "policy_preprocessor", "policy_postprocessor"


def make_pre_post_processors(
    config: PolicyConfig,
    pretrained_path: str | Path | None = None,
    *,
    dataset_stats: Stats | None = None,
    preprocessor_overrides: Mapping[str, Mapping[str, Any]] | None = None,
    postprocessor_overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Pipeline, Pipeline]:
    """Pre- and post-processor of a policy.

    Args:
        config: the policy's config, with its features.
        pretrained_path: a checkpoint whose processors to load; built anew when None.
        dataset_stats: statistics to scale by, when built anew.
        preprocessor_overrides: step → options, for loaded ones.
        postprocessor_overrides: step → options, for loaded ones.

    Raises:
        CheckpointError: the files cannot be read, or an override is of no step.
    """
    if pretrained_path is not None:
        folder = artifacts.resolve(pretrained_path, patterns=["*.json", "*.safetensors"])
        return (
            Pipeline.load(folder, PRE, preprocessor_overrides),
            Pipeline.load(folder, POST, postprocessor_overrides),
        )
    device = config.device or "cpu"
    modes = dict(config.normalization_mapping)
    features = {**config.input_features, **config.output_features}
    pre = [Rename(), ToBatch(), Device(device), Normalize(features, modes, stats=dataset_stats)]
    post = [Unnormalize(config.output_features, modes, stats=dataset_stats), Device("cpu")]
    return Pipeline(PRE, pre), Pipeline(POST, post)
