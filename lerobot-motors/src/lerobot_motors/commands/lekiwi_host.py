"""`lr lekiwi-host`: run on the computer of a LeKiwi; another one drives it as `lekiwi_client`."""

from __future__ import annotations

from contextlib import closing

import attrs
import click

from lerobot_core.cli import config_command
from lerobot_core.guard import Guard, GuardConfig
from lerobot_core.loop import connected, run_loop
from lerobot_core.registry import Choice
from lerobot_core.roles import Robot
from lerobot_motors.commands import console
from lerobot_motors.commands.dashboard import Dashboard
from lerobot_motors.robots.lekiwi_host import Host, HostConfig


@attrs.frozen(kw_only=True)
class LekiwiHostConfig:
    """Options of `lr lekiwi-host`.

    Attributes:
        robot: the robot that is driven.
        host: where a client reaches it.
        guard: what the robot may be asked to do.
    """

    robot: Choice[Robot]
    host: HostConfig = attrs.field(factory=HostConfig)
    guard: GuardConfig = attrs.field(factory=GuardConfig)


@config_command(LekiwiHostConfig)
def lekiwi_host(config: LekiwiHostConfig) -> None:
    """Let another computer drive a LeKiwi: its arm, its base and its cameras. Ctrl-C ends."""
    robot, host = config.robot.build(), config.host
    config.guard.check(robot)
    interrupt, guard = console.Interrupt(), Guard(host.max_loop_freq_hz, config.guard)
    dashboard = Dashboard(host.max_loop_freq_hz, guard=guard, robot=robot)
    with closing(Host(host, robot.action_features)) as far, connected(robot), interrupt.caught(), dashboard:
        click.echo(
            f"'{robot.name}' waits for a client at {host.address}, ports {host.port_zmq_cmd} and "
            f"{host.port_zmq_observations}"
        )
        dashboard.begin("driven by a client", host.connection_time_s)
        health = run_loop(
            robot,
            far,
            fps=host.max_loop_freq_hz,
            sinks=[far, dashboard],
            guard=guard,
            duration=host.connection_time_s,
            stop=interrupt,
        )
    console.end_run(health, console.health_of(robot=robot), None)
