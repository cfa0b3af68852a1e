"""What the configs of all policies share: the flat keys every `config.json` begins with, and features by kind. *Pure.*

Knows nothing of torch, so that `--help` can read a policy's options without importing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import attrs

from lerobot_core import config as core
from lerobot_core.features import ENV_STATE, STATE, PolicyFeature
from lerobot_policies.presets import OptimizerConfig, SchedulerConfig

NormMode = Literal["MEAN_STD", "MIN_MAX", "QUANTILES", "QUANTILE10", "IDENTITY"]


@attrs.frozen(kw_only=True)
class PolicyConfig:
    """Keys of every policy.

    Attributes:
        n_obs_steps: observations per inference, the present one included
        input_features: features the policy takes, by name; filled from the dataset when empty
        output_features: features the policy gives, by name; filled from the dataset when empty
        device: where to compute (cpu, cuda, cuda:1, mps); the best one found when none is given
        use_amp: mixed precision during evaluation
        use_peft: the weights are an adapter on top of another checkpoint
        push_to_hub: upload the trained policy
        repo_id: name on the Hub
        private: whether the Hub repository is private
        tags: tags on the Hub
        license: licence on the Hub
        pretrained_path: checkpoint the training started from
        pretrained_revision: revision of that checkpoint
    """

    type: ClassVar[str]

    n_obs_steps: int = 1
    input_features: dict[str, PolicyFeature] = attrs.Factory(dict)
    output_features: dict[str, PolicyFeature] = attrs.Factory(dict)
    device: str | None = None
    use_amp: bool = False
    use_peft: bool = False
    push_to_hub: bool = True
    repo_id: str | None = None
    private: bool | None = None
    tags: list[str] | None = None
    license: str | None = None
    pretrained_path: str | None = None
    pretrained_revision: str | None = None

    @property
    def image_features(self) -> dict[str, PolicyFeature]:
        """Cameras, in the order that fixes which is which for the model."""
        return {key: feature for key, feature in self.input_features.items() if feature.type == "VISUAL"}

    @property
    def robot_state_feature(self) -> PolicyFeature | None:
        return self.input_features.get(STATE)

    @property
    def env_state_feature(self) -> PolicyFeature | None:
        return next((feature for feature in self.input_features.values() if feature.type == "ENV"), None)

    @property
    def env_state_key(self) -> str:
        return next((key for key, feature in self.input_features.items() if feature.type == "ENV"), ENV_STATE)

    @property
    def action_feature(self) -> PolicyFeature | None:
        return next((feature for feature in self.output_features.values() if feature.type == "ACTION"), None)

    @property
    def observation_delta_indices(self) -> list[int] | None:
        """Frames relative to the present one that an observation is made of; None for just the present, no time axis."""
        return None

    @property
    def action_delta_indices(self) -> list[int] | None:
        return None

    @property
    def reward_delta_indices(self) -> list[int] | None:
        return None

    @property
    def drop_last_frames(self) -> int:
        """Frames at the end of each episode that training leaves out."""
        return 0

    # Options that most policies have as fields of their own; these hold for one that has not.

    @property
    def normalization_mapping(self) -> Mapping[str, NormMode]:
        return {"VISUAL": "MEAN_STD", "STATE": "MEAN_STD", "ACTION": "MEAN_STD"}

    @property
    def n_action_steps(self) -> int:
        return len(self.action_delta_indices or [0])

    def optimizer_preset(self) -> OptimizerConfig:
        return OptimizerConfig(type="adamw", lr=1e-3)

    def scheduler_preset(self) -> SchedulerConfig | None:
        return None


def to_json(config: PolicyConfig) -> dict[str, Any]:
    """The object a `config.json` holds: `type`, the shared keys in their order, then the policy's own."""
    data = core.to_data(config)
    shared = [field.name for field in attrs.fields(PolicyConfig)]
    return {"type": config.type, **{key: data.pop(key) for key in shared}, **data}


def training_presets(config: PolicyConfig) -> tuple[OptimizerConfig, SchedulerConfig | None]:
    """Optimiser and schedule the policy's authors train with."""
    return config.optimizer_preset(), config.scheduler_preset()
