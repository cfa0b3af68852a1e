"""The policy passes the suite that every policy has to pass, and it learns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lerobot_core.config import choose
from lerobot_core.errors import ConfigError
from lerobot_core.roles import Policy

from {{ cookiecutter.name }} import plugin
from {{ cookiecutter.name }}.policy_conformance import {{ cookiecutter.class_name }}PolicySuite


class Test{{ cookiecutter.class_name }}Policy({{ cookiecutter.class_name }}PolicySuite):
    component = plugin.lr_policies()[0]

    def test_the_loss_falls_when_it_is_trained(self, policy: Any, batch: Any) -> None:
        first, _ = policy.forward(batch)
        optimizer = torch.optim.AdamW(policy.optimizer_groups(), lr=1e-2)
        for _ in range(50):
            optimizer.zero_grad()
            loss, _ = policy.forward(batch)
            loss.backward()
            optimizer.step()
        assert loss < first / 10


@pytest.mark.parametrize("options", [{"n_obs_steps": 2}, {"chunk_size": 0}, {"hidden_size": 0}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        choose(Policy, "{{ cookiecutter.name }}", **options)


def test_a_dataset_without_vectors_is_refused() -> None:
    picture = {"type": "VISUAL", "shape": [3, 8, 8]}
    with pytest.raises(ConfigError, match="neither a state nor an environment state"):
        choose(Policy, "{{ cookiecutter.name }}", input_features={"observation.images.front": picture})
