"""`lr teleoperate`: drive a robot with a teleoperator; nothing is recorded."""

from __future__ import annotations

from pathlib import Path

import attrs

from lerobot_core.cli import config_command
from lerobot_core.guard import Guard, GuardConfig
from lerobot_core.loop import TeleoperatorSource, connected, run_loop
from lerobot_core.registry import Choice
from lerobot_core.roles import ProcessorStep, Robot, Teleoperator
from lerobot_core.steps import Steps
from lerobot_motors.commands import console
from lerobot_motors.commands.desk import Desk
from lerobot_motors.viewer import PORT


@attrs.frozen(kw_only=True)
class TeleoperateConfig:
    """Options of `lr teleoperate`.

    Attributes:
        robot: the robot that moves.
        teleop: what a person holds.
        observation_steps: processor steps on each observation, in order, as [{type: NAME, option: value}].
        action_steps: processor steps on each action before it is sent, in order.
        fps: rate of the loop [Hz].
        teleop_time_s: when to stop [s]; empty goes on until Ctrl-C.
        guard: what the robot may be asked to do.
        play_sounds: say aloud what happens.
        display_data: show what is observed and sent in the rerun viewer; needs the extra [rerun].
        display_ip: where the viewer runs (`rerun` there); empty starts one on this machine.
        display_port: of the viewer.
        output_file: JSON file for the figures of the run.
    """

    robot: Choice[Robot]
    teleop: Choice[Teleoperator]
    observation_steps: list[Choice[ProcessorStep]] = attrs.field(factory=list)
    action_steps: list[Choice[ProcessorStep]] = attrs.field(factory=list)
    fps: float = 60.0
    teleop_time_s: float | None = None
    guard: GuardConfig = attrs.field(factory=GuardConfig)
    play_sounds: bool = False
    display_data: bool = False
    display_ip: str = ""
    display_port: int = PORT
    output_file: Path | None = None

    def __attrs_post_init__(self) -> None:
        if self.fps <= 0:
            raise ValueError(f"fps is above 0, got {self.fps:g}")


@config_command(TeleoperateConfig)
def teleoperate(config: TeleoperateConfig) -> None:
    """Drive a robot with a teleoperator. The robot first moves to where the teleoperator is at --guard.ramp_speed.

    Ctrl-C ends: the robot goes to its park pose, if it has one, then does what its `on_stop` says. A second one leaves out the rest of
    the way to the park pose.
    """
    robot, teleop = config.robot.build(), config.teleop.build()
    steps = Steps(config.observation_steps, config.action_steps)
    steps.check_actions(teleop.action_features, robot, f"teleoperator '{config.teleop.type}'", console.SAME_JOINTS)
    config.guard.check(robot)
    interrupt, guard = console.Interrupt(), Guard(config.fps, config.guard)
    desk = Desk("teleoperate", config.fps, config, guard=guard, robot=robot, teleop=teleop)
    with connected(robot, teleop), interrupt.caught(), desk:
        desk.begin("teleoperating", config.teleop_time_s, aloud="teleoperating")
        health = run_loop(
            robot,
            TeleoperatorSource(teleop),
            fps=config.fps,
            sinks=desk.sinks,
            observation_steps=steps.observation,
            action_steps=steps.action,
            guard=guard,
            duration=config.teleop_time_s,
            stop=interrupt,
        )
    console.end_run(health, console.health_of(robot=robot, teleop=teleop), config.output_file)
