"""The environment passes the suite that every environment has to pass, and its task can be done."""

from __future__ import annotations

from typing import Any

import pytest
from lerobot_core.config import choose
from lerobot_core.errors import ConfigError
from lerobot_core.roles import Env

from {{ cookiecutter.name }} import plugin
from {{ cookiecutter.name }}.env_conformance import {{ cookiecutter.class_name }}EnvSuite


class Test{{ cookiecutter.class_name }}Env({{ cookiecutter.class_name }}EnvSuite):
    component = plugin.lr_envs()[0]


def test_going_to_the_goal_is_the_task() -> None:
    env = choose(Env, "{{ cookiecutter.name }}", speed=50.0).build()
    observation, _ = env.reset(seed=1)
    terminated = False
    while not terminated:
        action = {key: observation[key.replace(".pos", ".goal")] for key in env.action_features}
        observation, reward, terminated, _, info = env.step(action)
    assert info["is_success"]
    assert reward == pytest.approx(0.0)


def test_an_episode_is_cut_off() -> None:
    env = choose(Env, "{{ cookiecutter.name }}", max_steps=2, tolerance=0.1).build()
    env.reset(seed=1)
    still = dict.fromkeys(env.action_features, 0.0)
    assert [env.step(still)[3] for _ in range(2)] == [False, True]


@pytest.mark.parametrize("options", [{"joints": []}, {"limit": 0.0}, {"tolerance": -1.0}, {"max_steps": 0}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        choose(Env, "{{ cookiecutter.name }}", **options)
