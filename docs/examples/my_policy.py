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
        features = self.config.input_features.values()
        inputs = sum(192 if feature.type == "VISUAL" else feature.shape[0] for feature in features)
        outputs = self.config.action_feature.shape[0] * self.config.chunk_size
        self.net = nn.Sequential(nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, outputs))

    def forward(self, batch):
        return (self.chunk(batch) - batch["action"]).abs()[~batch["action_is_pad"]].mean(), {}

    def chunk(self, batch, generators=()):
        pictures, inputs = self.config.image_features, self.config.input_features
        seen = [adaptive_avg_pool2d(batch[key], 8).flatten(1) if key in pictures else batch[key] for key in inputs]
        return self.net(torch.cat(seen, dim=1)).unflatten(1, (self.config.chunk_size, -1))  # (B, T, A)


@hookimpl
def lr_policies():
    suite = "lerobot_policies.testing:TrainedPolicySuite"
    return [Component("my_policy", "my_policy:MyPolicyConfig", "my_policy:MyPolicy", "A small network", suite=suite)]
