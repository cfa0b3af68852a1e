"""`lr record`: episodes of teleoperation as a dataset.

The phases and what ends them; the loop, the format and the devices are others' business.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import click

from lerobot_core import plugins
from lerobot_core.cli import config_command
from lerobot_core.config import rest
from lerobot_core.errors import ConfigError, DeviceError
from lerobot_core.guard import Guard, GuardConfig, come_to_rest
from lerobot_core.loop import DatasetSink, LoopHealth, TeleoperatorSource, Tick, connected, run_loop
from lerobot_core.registry import Choice
from lerobot_core.roles import (
    Camera,
    DatasetBackend,
    DatasetWriter,
    ProcessorStep,
    Robot,
    Sink,
    Teleoperator,
    UndoingWriter,
)
from lerobot_core.steps import Steps
from lerobot_motors.cameras import reconnecting
from lerobot_motors.commands import console
from lerobot_motors.commands.desk import Desk
from lerobot_motors.keyboard import Key, Keyboard
from lerobot_motors.viewer import PORT

#: Times in a row that the cameras may be lost before the recording ends.
MOST_LOSSES = 3
KEYS = "right ends, left again, esc stops, Ctrl-C discards"


@attrs.frozen(kw_only=True)
class RecordDataset:
    """The dataset to record.

    Attributes:
        single_task: what the robot does, in words; stored with every frame.
        fps: rate of the loop and of the dataset [Hz].
        episode_time_s: longest time of an episode [s].
        reset_time_s: time to set the scene again between two episodes [s].
        num_episodes: number of episodes to record; on resume, to add.
        video: store pictures as video; otherwise as single images.
        push_to_hub: upload when done; off by default, as a recording stays on this machine until you say so.
        no_stamp: keep repo_id as it is; otherwise a new dataset without a root of its own gets _YYYYMMDD_HHMMSS appended.
        backend: the dataset's format.
    """

    single_task: str
    fps: int = 30
    episode_time_s: float = 60.0
    reset_time_s: float = 60.0
    num_episodes: int = 50
    video: bool = True
    push_to_hub: bool = False
    no_stamp: bool = False
    backend: Choice[DatasetBackend] = rest()

    def __attrs_post_init__(self) -> None:
        for name in ("fps", "num_episodes", "episode_time_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is above 0, got {getattr(self, name):g}")
        if self.reset_time_s < 0:
            raise ValueError(f"reset_time_s is not below 0, got {self.reset_time_s:g}")
        if not self.single_task.strip():
            raise ValueError("single_task says what the robot does, got nothing")
        name = str(getattr(self.backend.config, "repo_id", "") or "").rpartition("/")[2]
        if name.startswith("eval_"):
            raise ValueError(
                f"'{name}': names that begin with eval_ are for recordings of a policy; pick another, or use `lr run`"
            )


@attrs.frozen(kw_only=True)
class RecordConfig:
    """Options of `lr record`.

    Attributes:
        robot: the robot that moves.
        teleop: what a person holds.
        observation_steps: processor steps on each observation, in order, as [{type: NAME, option: value}].
        action_steps: processor steps on each action before it is sent, in order.
        dataset: where the episodes go.
        resume: add to a dataset that exists.
        guard: what the robot may be asked to do.
        reconnect_time_s: how long a camera that was lost is waited for [s]; its episode is recorded again. 0 ends the recording.
        play_sounds: say aloud what happens.
        display_data: show what is observed and sent in the rerun viewer; needs the extra [rerun].
        display_ip: where the viewer runs (`rerun` there); empty starts one on this machine.
        display_port: of the viewer.
        output_file: JSON file for the figures of every episode.
    """

    robot: Choice[Robot]
    teleop: Choice[Teleoperator]
    dataset: RecordDataset
    observation_steps: list[Choice[ProcessorStep]] = attrs.field(factory=list)
    action_steps: list[Choice[ProcessorStep]] = attrs.field(factory=list)
    resume: bool = False
    guard: GuardConfig = attrs.field(factory=GuardConfig)
    reconnect_time_s: float = 30.0
    play_sounds: bool = False
    display_data: bool = False
    display_ip: str = ""
    display_port: int = PORT
    output_file: Path | None = None

    def __attrs_post_init__(self) -> None:
        if self.reconnect_time_s < 0:
            raise ValueError(f"reconnect_time_s is not below 0, got {self.reconnect_time_s:g}")


class Wishes:
    """What the person asks for in the present phase, by key or by the teleoperator's events. Sink and stop of the loop."""

    def __init__(self, keyboard: Keyboard, interrupt: console.Interrupt) -> None:
        self._keyboard = keyboard
        self._interrupt = interrupt
        self._held: dict[str, bool] = {}
        self.stop = self.end = self.rerecord = False

    @property
    def interrupted(self) -> bool:
        return self._interrupt.requested

    def begin(self) -> None:
        """A new phase: what ended the last one is done with."""
        self.end = self.rerecord = False

    def add(self, tick: Tick) -> None:
        """An event counts when it begins: a button still held from the last phase is no new wish."""
        for name in ("terminate_episode", "rerecord_episode"):
            now = bool(tick.info.get(name, False))
            if now and not self._held.get(name, False):
                self.end = True
                self.rerecord |= name == "rerecord_episode"
            self._held[name] = now

    def add_sample(self, key: str, value: Any, stamp: int) -> None:
        """Samples between ticks are no wishes."""

    def __call__(self) -> bool:
        """Whether the phase is over."""
        for key in self._keyboard.poll():
            self.stop |= key is Key.ESCAPE
            self.end |= key is Key.RIGHT
            self.rerecord |= key is Key.LEFT
        self.stop |= self.interrupted
        return self.stop or self.end or self.rerecord


class Recording:
    """The phases of one run of `lr record`, from connected devices into a writer."""

    def __init__(self, config: RecordConfig, robot: Robot, teleop: Teleoperator, steps: Steps) -> None:
        self._config = config
        self._steps = steps
        self._robot = robot
        self._source = TeleoperatorSource(teleop)
        self._guard = Guard(config.dataset.fps, config.guard)
        self._writer: DatasetWriter  # known to `run`
        self._losses = 0
        self.desk = Desk("record", config.dataset.fps, config, guard=self._guard, robot=robot, teleop=teleop)
        self.episodes: list[dict[str, Any]] = []
        self.discarded = 0

    def run(self, writer: DatasetWriter, wishes: Wishes) -> None:
        """Record until all episodes are there or the person stops.

        An episode is committed when it ends, and the left arrow takes it back during the time to reset. A writer that
        cannot take back commits after that time, whatever ends it, an error too. Ctrl-C discards the episode that is
        running, escape keeps it. One in which a camera was lost is discarded.
        """
        self._writer = self.desk.dashboard.writer = writer
        options = self._config.dataset
        while len(self.episodes) < options.num_episodes and not wishes.stop:
            title = f"episode {len(self.episodes) + 1}/{options.num_episodes}"
            sink = DatasetSink(writer, writer.features, options.single_task)
            health = self._phase(title, "recording", options.episode_time_s, wishes, sink)
            saved = None
            if health is None or wishes.rerecord or wishes.interrupted or health.ticks == health.idle:
                self._discard(title)
                health = None
            elif isinstance(writer, UndoingWriter):
                saved = self._save(title, health)
            try:
                if health is None or len(self.episodes) + 1 < options.num_episodes:
                    self._reset(wishes)
            finally:
                if health is not None and wishes.rerecord:
                    self._discard(title, committed=saved is not None)
                elif health is not None:
                    self._keep(saved or self._save(title, health))

    def _reset(self, wishes: Wishes) -> None:
        """The person sets the scene; anew where a camera was lost meanwhile."""
        while not wishes.stop:
            if self._phase("reset the scene", "reset after", self._config.dataset.reset_time_s, wishes) is not None:
                return

    def _phase(self, title: str, doing: str, seconds: float, wishes: Wishes, *sinks: Sink) -> LoopHealth | None:
        """Run the loop for one phase; None where a camera was lost in it. The arm is where the last one left it, so that the
        first actions are ramped again.

        Raises:
            DeviceError: a device failed, or a camera does not come back.
        """
        fps = self._config.dataset.fps
        click.echo(f"{title}: {seconds:g} s at most", err=True)
        self._tell(doing, seconds)
        wishes.begin()
        self._guard.reset()
        try:
            return run_loop(
                self._robot,
                self._source,
                fps=fps,
                sinks=[*sinks, wishes, *self.desk.sinks],
                observation_steps=self._steps.observation,
                action_steps=self._steps.action,
                guard=self._guard,
                duration=seconds,
                stop=wishes,
            )
        except DeviceError as error:
            cameras = reconnecting.lost(self._robot, error)
            self._losses += 1
            if not cameras or not self._config.reconnect_time_s or self._losses > MOST_LOSSES:
                raise
            self._reconnect(cameras, error, wishes)
            return None

    def _reconnect(self, cameras: dict[str, Camera], error: DeviceError, wishes: Wishes) -> None:
        """Wait for lost cameras while the robot holds.

        Raises:
            DeviceError: the error that told of them: they do not come back.
        """
        names, seconds = " and ".join(f"'{name}'" for name in cameras), self._config.reconnect_time_s
        click.echo(f"{error}\nthe robot holds; waiting {seconds:g} s for {names} to come back", err=True)
        self.desk.begin(f"waiting for {names}", seconds, aloud=f"lost camera {names}")
        come_to_rest(self._robot, hurry=lambda: True)  # where it is: a base stands still
        if reconnecting.reconnect(cameras, seconds, stop=lambda: wishes() and wishes.stop):
            click.echo(f"back again: {names}", err=True)
        elif not wishes.stop:
            raise error

    def _tell(self, doing: str, seconds: float | None = None) -> None:
        """Which episode this is, on the dashboard and aloud."""
        doing = f"{doing} episode {len(self.episodes) + 1}"
        self.desk.begin(f"{doing} of {self._config.dataset.num_episodes}", seconds, aloud=doing)

    def _discard(self, title: str, *, committed: bool = False) -> None:
        if committed and isinstance(self._writer, UndoingWriter):
            self._writer.undo()
        else:
            self._writer.discard()
        self.discarded += 1
        click.echo(f"{title}: discarded", err=True)

    def _save(self, title: str, health: LoopHealth) -> dict[str, Any]:
        """Commit the running episode; returns its figures."""
        self._tell("saving")
        dropped = -console.dropped_frames(self._writer)
        index = self._writer.save_episode()
        dropped += console.dropped_frames(self._writer)
        click.echo(f"{title}: saved as {index}, {dropped} frames dropped; {health.line()}", err=True)
        return {"episode": index, **health.to_data(), "dropped": dropped}

    def _keep(self, episode: dict[str, Any]) -> None:
        """A committed episode stays: count it and tell those who want to know."""
        self.episodes.append(episode)
        self._losses = 0
        place = {"repo_id": repo_id_of(self._config.dataset.backend), "root": place_of(self._writer)}
        plugins.host().notify("lr_episode_saved", episode=episode["episode"], dataset=place)


def repo_id_of(backend: Choice[DatasetBackend]) -> str:
    """The dataset's name, for backends whose options have one."""
    return str(getattr(backend.config, "repo_id", None) or "")


def place_of(writer: DatasetWriter) -> str:
    """The dataset's folder, for writers that have one."""
    return str(getattr(writer, "root", ""))


def stamped(backend: Choice[DatasetBackend], now: datetime) -> Choice[DatasetBackend]:
    """The same choice with the time appended to its repo_id; as it is where it has none or a root of its own is given."""
    name = repo_id_of(backend)
    if not name or getattr(backend.config, "root", None) is not None:
        return backend
    return attrs.evolve(backend, config=attrs.evolve(backend.config, repo_id=f"{name}_{now:%Y%m%d_%H%M%S}"))


@config_command(RecordConfig, defaults={"dataset": {"type": "lerobot"}})
def record(config: RecordConfig) -> None:
    """Record episodes of teleoperation as a dataset on this machine; nothing is uploaded unless --dataset.push_to_hub.

    Keys: right arrow ends the episode or the reset, left arrow discards the episode and records it again, escape ends the
    recording and keeps the episode, Ctrl-C ends it and discards the running one.
    """
    options = config.dataset
    if not (options.no_stamp or config.resume):
        options = attrs.evolve(options, backend=stamped(options.backend, datetime.now()))
    config = attrs.evolve(config, dataset=options)
    robot, teleop, backend = config.robot.build(), config.teleop.build(), options.backend.build()
    if options.push_to_hub and not hasattr(backend, "push_to_hub"):
        raise ConfigError(
            f"dataset backend '{options.backend.type}' cannot upload", hint="leave out --dataset.push_to_hub"
        )
    steps = Steps(config.observation_steps, config.action_steps)
    steps.check_actions(teleop.action_features, robot, f"teleoperator '{config.teleop.type}'", console.SAME_JOINTS)
    stored = steps.recorded(robot, use_videos=options.video)
    config.guard.check(robot)
    interrupt, recording = console.Interrupt(), Recording(config, robot, teleop, steps)
    writer: DatasetWriter | None = None
    try:
        with connected(robot, teleop):
            writer = backend.create(stored, options.fps, robot_type=robot.name, resume=config.resume)
            try:
                with Keyboard() as keyboard, interrupt.caught(), recording.desk as desk:
                    desk.dashboard.keys = KEYS if keyboard.enabled else "Ctrl-C discards the episode and ends"
                    recording.run(writer, Wishes(keyboard, interrupt))
            finally:
                writer.finalize()
    finally:  # no robot waits for a terminal to be stopped
        if writer is not None:
            summarise(recording, config, writer, console.health_of(robot=robot, teleop=teleop))
    if interrupt.requested:
        raise KeyboardInterrupt
    if options.push_to_hub:
        backend.push_to_hub()


def summarise(recording: Recording, config: RecordConfig, writer: DatasetWriter, found: dict[str, Any]) -> None:
    """Where the episodes are and how well the rate was kept, on the terminal and in the report."""
    episodes = recording.episodes
    report = {
        "repo_id": repo_id_of(config.dataset.backend),
        "root": place_of(writer),
        "fps": config.dataset.fps,
        "task": config.dataset.single_task,
        "discarded": recording.discarded,
        "dropped": sum(episode["dropped"] for episode in episodes),
        "late": sum(episode["late"] for episode in episodes),
        "episodes": episodes,
        "devices": console.devices_data(found),
    }
    click.echo(
        f"{len(episodes)} episodes recorded ({report['discarded']} discarded), {report['dropped']} frames dropped, "
        f"{report['late']} ticks late"
    )
    for line in console.health_lines(found):
        click.echo(line)
    if delay := getattr(writer, "delay", {}):
        behind = ", ".join(f"'{camera}' {frames}" for camera, frames in delay.items())
        click.echo(f"frames under way in the encoders, lost if killed: {behind}")
    click.echo(f"dataset '{report['repo_id']}' in {report['root']}")
    console.write_report(config.output_file, report)
