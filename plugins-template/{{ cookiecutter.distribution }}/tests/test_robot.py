"""The robot passes the suite that every robot has to pass, and users get it by its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from lerobot_core.config import choose
from lerobot_core.errors import ConfigError
from lerobot_core.roles import Robot
from lerobot_core.testing import RobotSuite

from {{ cookiecutter.name }} import plugin
from {{ cookiecutter.name }}.config import {{ cookiecutter.class_name }}Config
from {{ cookiecutter.name }}.robot import {{ cookiecutter.class_name }}


class Test{{ cookiecutter.class_name }}(RobotSuite):
    limits: ClassVar[dict[str, tuple[float, float]]] = {"shoulder.pos": (-90.0, 90.0), "gripper.pos": (-90.0, 90.0)}

    @pytest.fixture(params=["release", "hold"])
    def robot(self, request: pytest.FixtureRequest) -> Iterator[{{ cookiecutter.class_name }}]:
        robot = {{ cookiecutter.class_name }}({{ cookiecutter.class_name }}Config(on_stop=request.param))
        yield robot
        robot.disconnect()

    def torque(self, robot: {{ cookiecutter.class_name }}) -> bool:
        return robot.motors.is_powered


@pytest.fixture
def installed(host: Any) -> None:
    """This package's plugin, and no other."""
    host.add(plugin, "{{ cookiecutter.name }}", "{{ cookiecutter.distribution }}")


@pytest.mark.usefixtures("installed")
def test_users_get_it_by_its_name() -> None:
    robot = choose(Robot, "{{ cookiecutter.name }}", joints=["base", "tip"]).build()
    assert list(robot.action_features) == ["base.pos", "tip.pos"]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("options", [{"joints": []}, {"joints": ["a", "a"]}, {"low": 1.0, "high": 0.0}, {"lag": 0.0}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        choose(Robot, "{{ cookiecutter.name }}", **options)


def test_a_power_failure_still_closes_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    robot = {{ cookiecutter.class_name }}({{ cookiecutter.class_name }}Config())
    robot.connect()

    def fail(on: bool) -> None:
        raise OSError("unplugged")

    monkeypatch.setattr(robot.motors, "power", fail)
    with pytest.raises(OSError, match="unplugged"):
        robot.disconnect()
    assert not robot.is_connected
