"""Options of the policy, as they stand in its `config.json`. Naming a policy imports no torch."""

from __future__ import annotations

from typing import ClassVar

import attrs
from lerobot_policies.config import PolicyConfig
from lerobot_policies.presets import OptimizerConfig


@attrs.frozen(kw_only=True)
class {{ cookiecutter.class_name }}PolicyConfig(PolicyConfig):
    """Size of the network and of its chunks. The lines below are the help of each option.

    Attributes:
        chunk_size: actions predicted at once.
        hidden_size: width of the network.
        optimizer_lr: learning rate.
    """

    type: ClassVar[str] = "{{ cookiecutter.name }}"

    chunk_size: int = 16
    hidden_size: int = 256
    optimizer_lr: float = 1e-3

    def __attrs_post_init__(self) -> None:
        if self.n_obs_steps != 1:
            raise ValueError(f"n_obs_steps is {self.n_obs_steps}, this policy sees one observation")
        for name in ("chunk_size", "hidden_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, got {getattr(self, name)}")
        if self.input_features and not self.vector_features:
            raise ValueError("input_features hold neither a state nor an environment state")

    @property
    def vector_features(self) -> list[str]:
        """Names of the inputs that the network sees: everything but pictures."""
        return [key for key, feature in self.input_features.items() if feature.type in ("STATE", "ENV")]

    @property
    def action_delta_indices(self) -> list[int]:
        return list(range(self.chunk_size))

    def optimizer_preset(self) -> OptimizerConfig:
        return OptimizerConfig(type="adamw", lr=self.optimizer_lr)
