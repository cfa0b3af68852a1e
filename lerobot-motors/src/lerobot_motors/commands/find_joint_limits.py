"""`lr find-joint-limits`: how far the joints of a robot go, while a person moves it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import click

from lerobot_core.cli import config_command
from lerobot_core.errors import ConfigError
from lerobot_core.guard import Guard, GuardConfig
from lerobot_core.loop import TeleoperatorSource, Tick, connected, run_loop
from lerobot_core.registry import Choice
from lerobot_core.roles import Action, Observation, ProcessorStep, Robot, Source, Teleoperator
from lerobot_core.steps import Steps
from lerobot_motors.commands import console


@attrs.frozen(kw_only=True)
class FindJointLimitsConfig:
    """Options of `lr find-joint-limits`.

    Attributes:
        robot: the robot whose joints are watched.
        teleop: what drives it; without one it lets go and is moved by hand.
        observation_steps: processor steps on each observation, in order, as [{type: NAME, option: value}]; the bounds of what
            they add, as the place of the hand, are shown too.
        action_steps: processor steps on each action before it is sent, in order.
        fps: rate of the loop [Hz].
        teleop_time_s: when to stop [s].
        guard: what the robot may be asked to do.
        output_file: JSON file for the limits.
    """

    robot: Choice[Robot]
    teleop: Choice[Teleoperator] | None = None
    observation_steps: list[Choice[ProcessorStep]] = attrs.field(factory=list)
    action_steps: list[Choice[ProcessorStep]] = attrs.field(factory=list)
    fps: float = 30.0
    teleop_time_s: float = 30.0
    guard: GuardConfig = attrs.field(factory=GuardConfig)
    output_file: Path | None = None

    def __attrs_post_init__(self) -> None:
        if self.fps <= 0 or self.teleop_time_s <= 0:
            raise ValueError("fps and teleop_time_s are above 0")


class Bounds:
    """A sink: the lowest and highest of every number observed.

    Attributes:
        ends: key → (lowest, highest).
    """

    def __init__(self) -> None:
        self.ends: dict[str, tuple[float, float]] = {}

    def add(self, tick: Tick) -> None:
        for key, value in tick.observation.items():
            if getattr(value, "ndim", 0) == 0:
                low, high = self.ends.get(key, (math.inf, -math.inf))
                self.ends[key] = min(low, float(value)), max(high, float(value))

    def add_sample(self, key: str, value: Any, stamp: int) -> None:
        """Samples between ticks are of no joint."""

    def lines(self) -> list[str]:
        """One line per key."""
        head = [f"{'':<20}{'min':>10}{'max':>10}"]
        return head + [f"{key:<20}{low:>10.2f}{high:>10.2f}" for key, (low, high) in self.ends.items()]


class Hand:
    """A source with nothing to send: a person moves the robot itself."""

    def act(self, observation: Observation) -> tuple[Action | None, Mapping[str, Any]]:
        return None, {}


@config_command(FindJointLimitsConfig)
def find_joint_limits(config: FindJointLimitsConfig) -> None:
    """Show how far each joint of a robot goes while you move it: by hand, or with --teleop.type. Ctrl-C ends."""
    robot = config.robot.build()
    teleop = None if config.teleop is None else config.teleop.build()
    steps, bounds, interrupt = Steps(config.observation_steps, config.action_steps), Bounds(), console.Interrupt()
    if teleop is None and not hasattr(robot, "bus"):
        raise ConfigError(f"'{config.robot.type}' cannot let go to be moved by hand", hint="give --teleop.type")
    if teleop is not None:
        what = f"teleoperator '{config.teleop.type}'"
        steps.check_actions(teleop.action_features, robot, what, console.SAME_JOINTS)
    config.guard.check(robot)
    source: Source = Hand() if teleop is None else TeleoperatorSource(teleop)
    with connected(*(device for device in (robot, teleop) if device is not None)), interrupt.caught():
        if teleop is None:
            robot.bus.disable_torque()
        click.echo(f"move every joint to both ends of its range: {config.teleop_time_s:g} s (Ctrl-C ends)", err=True)
        run_loop(
            robot,
            source,
            fps=config.fps,
            sinks=[bounds],
            observation_steps=steps.observation,
            action_steps=steps.action,
            guard=Guard(config.fps, config.guard),
            duration=config.teleop_time_s,
            stop=interrupt,
        )
    for line in bounds.lines():
        click.echo(line)
    console.write_report(
        config.output_file, {key: {"min": low, "max": high} for key, (low, high) in bounds.ends.items()}
    )
