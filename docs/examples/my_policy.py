"""A policy in one file: joints and tiny pictures in, a chunk of actions out. `lr --plugin my_policy.py train --policy.type=my_policy …`"""

import attrs
import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d

from lerobot_core.components import Component, hookimpl
from lerobot_policies.config import PolicyConfig
from lerobot_policies.policy import Policy


@attrs.frozen(kw_only=True)
class MyPolicyConfig(PolicyConfig):
    """A small network.

    Attributes:
        chunk_size: actions predicted at once.
    """

    type = "my_policy"
    chunk_size: int = 16

    @property
    def action_delta_indices(self):
        return list(range(self.chunk_size))


class MyPolicy(Policy):
    config_class = MyPolicyConfig

    def build(self):
        inputs = self.config.robot_state_feature.shape[0] + 192 * len(self.config.image_features)
        outputs = self.config.action_feature.shape[0] * self.config.chunk_size
        self.net = nn.Sequential(nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, outputs))

    def forward(self, batch):
        return (self.chunk(batch) - batch["action"]).abs()[~batch["action_is_pad"]].mean(), {}

    def chunk(self, batch, generators=()):
        pictures = [adaptive_avg_pool2d(batch[key], 8).flatten(1) for key in self.config.image_features]
        seen = torch.cat([batch["observation.state"], *pictures], dim=1)  # (B, S + 192 N)
        return self.net(seen).unflatten(1, (self.config.chunk_size, -1))  # (B, T, A)


@hookimpl
def lr_policies():
    suite = "lerobot_policies.testing:TrainedPolicySuite"
    return [Component("my_policy", "my_policy:MyPolicyConfig", "my_policy:MyPolicy", "A small network", suite=suite)]
