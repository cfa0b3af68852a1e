"""`lr replay`: send the actions of a recorded episode to a robot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from lerobot_core import features
from lerobot_core.cli import config_command
from lerobot_core.config import rest
from lerobot_core.errors import DataError
from lerobot_core.guard import Guard, GuardConfig, move_to
from lerobot_core.loop import connected, run_loop
from lerobot_core.registry import Choice
from lerobot_core.roles import Action, DatasetBackend, DatasetReader, Observation, ProcessorStep, Robot
from lerobot_core.steps import Steps, through
from lerobot_motors.commands import console
from lerobot_motors.commands.desk import Desk
from lerobot_motors.viewer import PORT


@attrs.frozen(kw_only=True)
class ReplayDataset:
    """The episode to replay.

    Attributes:
        episode: index of the episode.
        backend: the dataset's format.
    """

    episode: int = 0
    backend: Choice[DatasetBackend] = rest()


@attrs.frozen(kw_only=True)
class ReplayConfig:
    """Options of `lr replay`.

    Attributes:
        robot: the robot that moves.
        dataset: where the actions come from.
        observation_steps: processor steps on each observation, in order, as [{type: NAME, option: value}].
        action_steps: processor steps on each action before it is sent, in order.
        fps: rate of the loop [Hz]; empty takes the dataset's.
        guard: what the robot may be asked to do.
        play_sounds: say aloud what happens.
        display_data: show what is observed and sent in the rerun viewer; needs the extra [rerun].
        display_ip: where the viewer runs (`rerun` there); empty starts one on this machine.
        display_port: of the viewer.
        output_file: JSON file for the figures of the run.
    """

    robot: Choice[Robot]
    dataset: ReplayDataset
    observation_steps: list[Choice[ProcessorStep]] = attrs.field(factory=list)
    action_steps: list[Choice[ProcessorStep]] = attrs.field(factory=list)
    fps: float | None = None
    guard: GuardConfig = attrs.field(factory=lambda: GuardConfig(ramp_speed=60.0))
    play_sounds: bool = False
    display_data: bool = False
    display_ip: str = ""
    display_port: int = PORT
    output_file: Path | None = None

    def __attrs_post_init__(self) -> None:
        if self.fps is not None and self.fps <= 0:
            raise ValueError(f"fps is above 0, got {self.fps:g}")


class RecordedActions:
    """Recorded actions as the loop's source, one per tick.

    Args:
        actions: (T, A) in robot units.
        names: robot names of the A columns.
    """

    def __init__(self, actions: np.ndarray, names: Sequence[str]) -> None:
        self._actions = [features.scatter(row, names) for row in actions]
        self._next = 0

    @property
    def first(self) -> dict[str, float]:
        return self._actions[0]

    @property
    def length(self) -> int:
        """How many there are."""
        return len(self._actions)

    @property
    def done(self) -> bool:
        return self._next == len(self._actions)

    def act(self, observation: Observation) -> tuple[Action | None, Mapping[str, Any]]:
        action = self._actions[self._next]
        self._next += 1
        return action, {}


@config_command(ReplayConfig, defaults={"dataset": {"type": "lerobot"}})
def replay(config: ReplayConfig) -> None:
    """Send the actions of a recorded episode to a robot, which first moves to the first of them at --guard.ramp_speed."""
    robot, dataset = config.robot.build(), config.dataset.backend.build().open()
    steps = Steps(config.observation_steps, config.action_steps)
    source = read_actions(dataset, config.dataset.episode, robot, steps)
    fps, interrupt = config.fps or dataset.fps, console.Interrupt()
    config.guard.check(robot)
    guard = Guard(fps, config.guard)
    desk = Desk("replay", fps, config, guard=guard, robot=robot)
    with connected(robot), interrupt.caught(), desk:
        desk.begin("going to where the episode begins")
        move_to(robot, through(steps.action, source.first), fps=fps, guard=guard, stop=interrupt)
        desk.begin(f"replaying episode {config.dataset.episode}", source.length / fps, aloud="replaying")
        health = run_loop(
            robot,
            source,
            fps=fps,
            sinks=desk.sinks,
            observation_steps=steps.observation,
            action_steps=steps.action,
            guard=guard,
            stop=lambda: source.done or interrupt.requested,
        )
    console.end_run(health, console.health_of(robot=robot), config.output_file, episode=config.dataset.episode)


def read_actions(dataset: DatasetReader, episode: int, robot: Robot, steps: Steps) -> RecordedActions:
    """The actions of an episode, checked against the robot. What no step and no robot takes is left out.

    Raises:
        DataError: no such episode, or the dataset does not name its actions.
        FeatureError: the robot or a step needs an action that was not recorded.
    """
    if not 0 <= episode < dataset.num_episodes:
        raise DataError(f"episode {episode}: the dataset has episodes 0 to {dataset.num_episodes - 1}", episode=episode)
    feature = dataset.features.get(features.ACTION)
    if feature is None or not isinstance(feature.names, (tuple, list)):
        raise DataError(
            "the dataset does not name the elements of its 'action'",
            hint="only a recording of named joints can be replayed",
        )
    hint = "it was recorded with another robot: pick that one as --robot.type, or another dataset"
    steps.check_actions(dict.fromkeys(feature.names, float), robot, f"episode {episode}", hint)
    names = [name for name in feature.names if steps.action or name in robot.action_features]
    columns = [feature.names.index(name) for name in names]
    return RecordedActions(dataset.columns(episode)[features.ACTION][:, columns], names)
