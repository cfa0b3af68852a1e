"""The conformance suite for policies that subclass `lerobot_policies.policy.Policy`: made without a dataset.

    from lerobot_policies.testing import TrainedPolicySuite

    class MyPolicySuite(TrainedPolicySuite):
        inputs = {"observation.state": PolicyFeature(type="STATE", shape=(6,))}

Name it as `suite` of the policy's Component, with a small network as its `example`. Needs the extra `lerobot-core[testing]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
import torch

from lerobot_core import config
from lerobot_core.features import ACTION, ENV_STATE, IMAGES, STATE, PolicyFeature
from lerobot_core.testing import PolicySuite
from lerobot_policies.policy import Policy

#: size of the batch
ROWS = 3


class TrainedPolicySuite(PolicySuite):
    """Builds the policy for some features, with statistics and weights of its own, and a batch for it.

    Attributes:
        inputs: features the policy is tried with.
        outputs: its action.
    """

    inputs: ClassVar[Mapping[str, PolicyFeature]] = {
        STATE: PolicyFeature(type="STATE", shape=(4,)),
        ENV_STATE: PolicyFeature(type="ENV", shape=(3,)),
        f"{IMAGES}front": PolicyFeature(type="VISUAL", shape=(3, 32, 40)),
    }
    outputs: ClassVar[Mapping[str, PolicyFeature]] = {ACTION: PolicyFeature(type="ACTION", shape=(5,))}

    def part(self) -> Policy:
        """A new policy on the CPU, the same one each time."""
        if self.component is None:
            raise TypeError(f"{type(self).__name__} has no component; set it to the policy's")
        torch.manual_seed(0)
        options = {"input_features": self.inputs, "output_features": self.outputs, "device": "cpu"}
        choice = config.choose(self.role, self.component.name, **options, **self.component.example)
        policy: Policy = choice.build(dataset_stats=self.statistics(), pretrained_parts=False)
        with torch.no_grad():  # as after some training: what begins at zero hides what depends on it
            for parameter in policy.parameters():
                parameter += 0.05 * torch.randn_like(parameter)
        return policy

    @pytest.fixture
    def batch(self, policy: Policy) -> Any:
        """A batch as the trainer makes it, in which the first row ends in padding."""
        generator = torch.Generator().manual_seed(1)
        windows = dict.fromkeys(self.inputs, policy.config.observation_delta_indices)
        windows[ACTION] = policy.config.action_delta_indices
        raw: dict[str, Any] = {}
        for key, feature in {**self.inputs, **self.outputs}.items():
            steps = () if windows[key] is None else (len(windows[key]),)
            raw[key] = torch.rand(ROWS, *steps, *feature.shape, generator=generator)
            if steps:
                raw[f"{key}_is_pad"] = torch.zeros(ROWS, *steps, dtype=torch.bool)
        if f"{ACTION}_is_pad" in raw:
            raw[f"{ACTION}_is_pad"][0, -2:] = True
        return policy.preprocessor(raw)

    def statistics(self) -> dict[str, dict[str, Any]]:
        """Statistics of a dataset with these features: pictures by channel."""
        generator = torch.Generator().manual_seed(0)
        found = {}
        for key, feature in {**self.inputs, **self.outputs}.items():
            shape = (feature.shape[0], 1, 1) if feature.type == "VISUAL" else feature.shape
            mean, std = torch.rand(2, *shape, generator=generator)
            named = {"mean": mean, "std": std + 0.5, "min": mean - 2, "max": mean + 2}
            quantiles = {"q01": mean - 1.5, "q10": mean - 1, "q90": mean + 1, "q99": mean + 1.5}
            found[key] = named | quantiles
        return found
