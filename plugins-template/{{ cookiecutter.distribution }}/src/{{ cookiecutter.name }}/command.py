"""The command `lr {{ cookiecutter.distribution }}`. It is imported when a user calls it; its help line is in `plugin.py`."""

from __future__ import annotations

import attrs
import click
from lerobot_core.cli.commands import config_command
from lerobot_core.loop import connected
from lerobot_core.registry import Choice
from lerobot_core.roles import Robot


@attrs.frozen(kw_only=True)
class {{ cookiecutter.class_name }}Options:
    """Which robot, and how often. The lines below are the help of each option.

    Attributes:
        robot: the robot to look at.
        samples: how often it is asked.
    """

    robot: Choice[Robot]
    samples: int = 10

    def __attrs_post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"samples is at least 1, got {self.samples}")


@config_command({{ cookiecutter.class_name }}Options)
def command(options: {{ cookiecutter.class_name }}Options) -> None:
    """Show how far each number of a robot's observation wanders: lr {{ cookiecutter.distribution }} --robot.type=…"""
    robot = options.robot.build()
    with connected(robot):
        observations = [robot.get_observation() for _ in range(options.samples)]
    for key, feature in robot.observation_features.items():
        if feature is float:
            values = [observation[key] for observation in observations]
            click.echo(f"{key}: {min(values):.3f} to {max(values):.3f}")
