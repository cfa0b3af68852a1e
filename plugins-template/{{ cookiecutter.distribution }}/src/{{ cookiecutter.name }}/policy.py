"""The policy: a small network from the state to a chunk of actions.

Scaling, sessions, checkpoints and inference in robot units are those of `lerobot_policies.policy.Policy`.
Axes: B batch, T steps in a chunk, A action size, S state size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lerobot_core.features import ACTION
from lerobot_policies.policy import Policy
from torch import Tensor, nn

from {{ cookiecutter.name }}.policy_config import {{ cookiecutter.class_name }}PolicyConfig


class {{ cookiecutter.class_name }}Policy(Policy):
    """Squared error on the steps that are not padding; the same chunk for the same state. Pictures are not looked at."""

    config: {{ cookiecutter.class_name }}PolicyConfig
    config_class = {{ cookiecutter.class_name }}PolicyConfig

    def build(self) -> None:
        """Make the network; the names of its parts are the names in `model.safetensors`."""
        config = self.config
        inputs = sum(math.prod(config.input_features[key].shape) for key in config.vector_features)
        (self._action_size,) = config.output_features[ACTION].shape
        self.network = nn.Sequential(
            nn.Linear(inputs, config.hidden_size),
            nn.ReLU(),
            nn.Linear(config.hidden_size, config.hidden_size),
            nn.ReLU(),
            nn.Linear(config.hidden_size, config.chunk_size * self._action_size),
        )

    def forward(self, batch: Mapping[str, Any]) -> tuple[Tensor, dict[str, float]]:
        predicted = self._predict(batch)
        valid = ~batch["action_is_pad"][..., None]  # (B, T, 1)
        error = (predicted - batch[ACTION]).square() * valid  # (B, T, A)
        loss = error.sum() / (valid.sum() * self._action_size).clamp(min=1)
        return loss, {"mse": loss.item()}

    def chunk(self, batch: Mapping[str, Any], generators: Sequence[torch.Generator]) -> Tensor:
        return self._predict(batch)

    def _predict(self, batch: Mapping[str, Any]) -> Tensor:
        seen = torch.cat([batch[key].flatten(1) for key in self.config.vector_features], dim=1)  # (B, S)
        predicted: Tensor = self.network(seen)  # (B, T A)
        return predicted.reshape(-1, self.config.chunk_size, self._action_size)  # (B, T, A)
