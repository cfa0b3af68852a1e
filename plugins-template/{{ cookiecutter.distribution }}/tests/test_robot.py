"""The robot passes the suite that every robot has to pass, and users get it by its name."""

from __future__ import annotations

from typing import Any

import pytest
from lerobot_core.config import choose
from lerobot_core.errors import ConfigError
from lerobot_core.roles import Robot

from {{ cookiecutter.name }} import plugin
from {{ cookiecutter.name }}.robot_conformance import {{ cookiecutter.class_name }}RobotSuite


class Test{{ cookiecutter.class_name }}Robot({{ cookiecutter.class_name }}RobotSuite):
    component = plugin.lr_robots()[0]


class TestHolding({{ cookiecutter.class_name }}RobotSuite):
    component = Test{{ cookiecutter.class_name }}Robot.component._replace(example={"on_stop": "hold"})


def test_users_get_it_by_its_name() -> None:
    robot = choose(Robot, "{{ cookiecutter.name }}", joints=["base", "tip"]).build()
    assert list(robot.action_features) == ["base.pos", "tip.pos"]


@pytest.mark.parametrize("options", [{"joints": []}, {"joints": ["a", "a"]}, {"low": 1.0, "high": 0.0}, {"lag": 0.0}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        choose(Robot, "{{ cookiecutter.name }}", **options)


def test_a_power_failure_still_closes_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    robot = choose(Robot, "{{ cookiecutter.name }}").build()
    robot.connect()

    def fail(on: bool) -> None:
        raise OSError("unplugged")

    monkeypatch.setattr(robot.motors, "power", fail)
    with pytest.raises(OSError, match="unplugged"):
        robot.disconnect()
    assert not robot.is_connected
