"""`lr calibrate`: run the calibration of one device, which knows how, or check the one it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import click

from lerobot_core.cli import config_command
from lerobot_core.errors import ConfigError, DeviceError
from lerobot_core.loop import connected
from lerobot_core.registry import Choice
from lerobot_core.roles import Calibrated, Robot, Teleoperator
from lerobot_motors import calibrating


@attrs.frozen(kw_only=True)
class CalibrateConfig:
    """Options of `lr calibrate`.

    Attributes:
        robot: the robot to calibrate.
        teleop: the teleoperator to calibrate.
        check: change nothing: compare the file with the servos, and with where the joints stand; exit status 1 if they differ.
    """

    robot: Choice[Robot] | None = None
    teleop: Choice[Teleoperator] | None = None
    check: bool = False

    def __attrs_post_init__(self) -> None:
        if (self.robot is None) == (self.teleop is None):
            given = "both" if self.robot else "neither"
            raise ValueError(f"give exactly one of --robot.type=… and --teleop.type=…, got {given}")


@config_command(CalibrateConfig)
def calibrate(config: CalibrateConfig) -> None:
    """Calibrate a robot or a teleoperator: give exactly one of the two.

    A person moves every joint to both ends of its travel; the middle of each becomes its zero. Ctrl-C changes nothing.
    """
    choice = config.robot or config.teleop
    device = choice.build()
    if not isinstance(device, Calibrated):
        raise ConfigError(f"'{choice.type}' needs no calibration", hint="use it as it is")
    with connected(device, calibrate=False):
        if config.check:
            _check(device, choice.type)
        else:
            device.calibrate()
    click.echo(f"'{device.name}' ({choice.type}) is calibrated")


def _check(device: Any, kind: str) -> None:
    """
    Raises:
        DeviceError: everything that is wrong with the calibration in use.
    """
    buses = list(_buses(device))
    if not buses:
        raise ConfigError(f"'{kind}' has no servos whose calibration could be compared", hint="leave out --check")
    wrong = [f"{side}{problem}" for side, bus in buses for problem in calibrating.check(bus)]
    if wrong:
        raise DeviceError(
            f"the calibration of '{device.name}' does not fit: " + "; ".join(wrong),
            hint="put the arm into a pose it can be in and check again; if it stays so, `lr calibrate` without --check",
        )


def _buses(device: Any, side: str = "") -> Iterator[tuple[str, Any]]:
    """The buses of a device, those of two arms after one another, each with the name of its side."""
    if hasattr(device, "bus"):
        yield side, device.bus
    for name in ("left", "right"):
        if hasattr(device, name):
            yield from _buses(getattr(device, name), f"{name} arm: ")
