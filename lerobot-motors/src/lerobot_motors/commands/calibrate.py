"""`lr calibrate`: run the calibration of one device; the device knows how."""

from __future__ import annotations

import attrs
import click

from lerobot_core.cli import config_command
from lerobot_core.errors import ConfigError
from lerobot_core.loop import connected
from lerobot_core.registry import Choice
from lerobot_core.roles import Calibrated, Robot, Teleoperator


@attrs.frozen(kw_only=True)
class CalibrateConfig:
    """Options of `lr calibrate`.

    Attributes:
        robot: the robot to calibrate.
        teleop: the teleoperator to calibrate.
    """

    robot: Choice[Robot] | None = None
    teleop: Choice[Teleoperator] | None = None

    def __attrs_post_init__(self) -> None:
        if (self.robot is None) == (self.teleop is None):
            given = "both" if self.robot else "neither"
            raise ValueError(f"give exactly one of --robot.type=… and --teleop.type=…, got {given}")


@config_command(CalibrateConfig)
def calibrate(config: CalibrateConfig) -> None:
    """Calibrate a robot or a teleoperator: give exactly one of the two."""
    choice = config.robot or config.teleop
    device = choice.build()
    if not isinstance(device, Calibrated):
        raise ConfigError(f"'{choice.type}' needs no calibration", hint="use it as it is")
    with connected(device, calibrate=False):
        device.calibrate()
    click.echo(f"'{device.name}' ({choice.type}) is calibrated")
