"""`lr run`: a policy drives a robot, from a server elsewhere or one started for it."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import attrs
import click
from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn

from lerobot_core import plugins
from lerobot_core.cli import config_command
from lerobot_core.config import choose, rest
from lerobot_core.guard import Guard, GuardConfig
from lerobot_core.loop import Tick, connected
from lerobot_core.registry import Choice
from lerobot_core.roles import (
    Aggregator,
    DatasetBackend,
    DatasetWriter,
    Policy,
    ProcessorStep,
    Robot,
    Teleoperator,
)
from lerobot_core.steps import Steps
from lerobot_serve.addresses import check_address
from lerobot_serve.client import ClientOptions, PolicyClient
from lerobot_serve.commands.serve import TOKEN_VARIABLE
from lerobot_serve.local import local_server
from lerobot_serve.rollout import Phases, Rollout


@attrs.frozen(kw_only=True)
class RunDataset:
    """The dataset to record the episodes in.

    Attributes:
        video: store pictures as video; otherwise as single images.
        backend: the dataset's format.
    """

    video: bool = True
    backend: Choice[DatasetBackend] = rest()


@attrs.frozen(kw_only=True)
class RunConfig:
    """Options of `lr run`.

    Attributes:
        robot: the robot that moves.
        policy: what drives it, on this machine; --policy.path names a checkpoint.
        server: what drives it, elsewhere: the address of an `lr serve`, tcp://host:port.
        token: what the server was started with; LR_SERVE_TOKEN in the environment does the same.
        teleop: drives the reset phases; its events end an episode and say how it went.
        dataset: records the episodes.
        observation_steps: processor steps on each observation, in order, as [{type: NAME, option: value}].
        action_steps: processor steps on each action before it is sent, in order.
        resume: add to a dataset that exists.
        task: what the robot is to do, in words.
        fps: control rate [Hz].
        num_episodes: number of episodes to run.
        episode_time_s: longest time of an episode [s]; 0 for no end.
        duration: another word for episode_time_s.
        reset_time_s: longest time of the reset before an episode [s].
        aggregate_fn_name: what becomes of steps two chunks speak of.
        chunk_size_threshold: part of a chunk left in the queue when the next one is asked for, 0 to 1.
        actions_per_chunk: actions used of each chunk; all when empty.
        rename_map: robot's dataset or action name to policy's name, where they differ.
        timeout_s: how long the server may be away before the run ends [s].
        seed: of the policy's random numbers.
        guard: what the robot may be asked to do.
        output_file: JSON file for the figures of every episode.
    """

    robot: Choice[Robot]
    policy: Choice[Policy] | None = None
    server: str | None = None
    token: str = ""
    teleop: Choice[Teleoperator] | None = None
    dataset: RunDataset | None = None
    observation_steps: list[Choice[ProcessorStep]] = attrs.field(factory=list)
    action_steps: list[Choice[ProcessorStep]] = attrs.field(factory=list)
    resume: bool = False
    task: str = ""
    fps: int = 30
    num_episodes: int = 1
    episode_time_s: float = 60.0
    duration: float | None = None
    reset_time_s: float = 60.0
    aggregate_fn_name: str = "weighted_average"
    chunk_size_threshold: float = 0.5
    actions_per_chunk: int | None = None
    rename_map: dict[str, str] = attrs.field(factory=dict)
    timeout_s: float = 5.0
    seed: int = 0
    guard: GuardConfig = attrs.field(factory=GuardConfig)
    output_file: Path | None = None

    def __attrs_post_init__(self) -> None:
        if (self.policy is None) == (self.server is None):
            raise ValueError("give either --policy.path=… (a policy on this machine) or --server=tcp://host:port")
        if self.fps <= 0 or self.num_episodes <= 0 or self.episode_time_s < 0 or self.reset_time_s < 0:
            raise ValueError("fps and num_episodes are above 0, episode_time_s and reset_time_s are not below 0")
        if self.dataset is not None and not self.task.strip():
            raise ValueError("task says what the robot does and is stored with every frame: give --task=…")
        if self.server is not None:
            check_address("server", self.server)
        self.client_options()

    def client_options(self) -> ClientOptions:
        return ClientOptions(
            fps=float(self.fps),
            task=self.task,
            token=self.token or os.environ.get(TOKEN_VARIABLE, ""),
            chunk_size_threshold=self.chunk_size_threshold,
            actions_per_chunk=self.actions_per_chunk,
            rename_map=self.rename_map,
            timeout_s=self.timeout_s,
            seed=self.seed,
        )

    def phases(self) -> Phases:
        seconds = self.episode_time_s if self.duration is None else self.duration
        return Phases(fps=self.fps, episode_time_s=seconds or None, reset_time_s=self.reset_time_s, task=self.task)


@config_command(RunConfig, defaults={"dataset": {"type": "lerobot"}})
def run(config: RunConfig) -> None:
    """Let a policy drive a robot for some episodes. Ctrl-C ends the run; the robot then does what its `on_stop` says."""
    robot = config.robot.build()
    teleop = config.teleop.build() if config.teleop is not None else None
    backend = config.dataset.backend.build() if config.dataset is not None else None
    aggregator = choose(Aggregator, config.aggregate_fn_name).build()
    steps = Steps(config.observation_steps, config.action_steps)
    steps.check_actions(robot.action_features, robot, "the policy's action")
    if teleop is not None and config.teleop is not None:
        steps.check_actions(teleop.action_features, robot, f"teleoperator '{config.teleop.type}'")
    with _address(config) as address:
        client = PolicyClient(
            address, steps.observed(robot), robot.action_features, aggregator, config.client_options()
        )
        devices = [client, robot] if teleop is None else [client, robot, teleop]
        config.guard.check(robot)
        with connected(*devices), _writer(config, robot, steps, backend) as writer:
            guard = Guard(config.fps, config.guard)
            with _progress() as progress:
                bar = Bar(progress, config.fps)
                rollout = Rollout(
                    robot, client, config.phases(), teleop=teleop, writer=writer, steps=steps, guard=guard, watcher=bar
                )
                try:
                    _episodes(config, rollout, bar)
                finally:
                    _summarise(rollout.results, config.output_file)


def _address(config: RunConfig) -> AbstractContextManager[str]:
    """The server told, or one started for the policy told."""
    return local_server(config.policy) if config.policy is not None else nullcontext(config.server or "")


@contextmanager
def _writer(
    config: RunConfig, robot: Robot, steps: Steps, backend: DatasetBackend | None
) -> Iterator[DatasetWriter | None]:
    if backend is None or config.dataset is None:
        yield None
        return
    stored = steps.recorded(robot, use_videos=config.dataset.video)
    writer = backend.create(stored, config.fps, robot_type=robot.name, resume=config.resume)
    try:
        yield writer
    finally:
        writer.finalize()


class Bar:
    """A sink that shows how far a phase is. Drawn by the loop itself: a thread of its own would cost it its rate."""

    def __init__(self, progress: Progress, fps: int) -> None:
        self._progress = progress
        self._every = max(1, fps // 4)
        self._task = progress.add_task("", total=None)

    def begin(self, title: str) -> None:
        self._progress.reset(self._task, description=title)

    def add(self, tick: Tick) -> None:
        if tick.index % self._every == 0:
            self._progress.update(self._task, completed=tick.index + 1)
            self._progress.refresh()

    def add_sample(self, key: str, value: Any, stamp: int) -> None:
        """Samples between ticks do not move the bar."""


def _progress() -> Progress:
    screen = Console(stderr=True)
    columns = ("{task.description}", "{task.completed:.0f} ticks", TimeElapsedColumn())
    return Progress(*columns, console=screen, auto_refresh=False, transient=True, disable=not screen.is_terminal)


def _episodes(config: RunConfig, rollout: Rollout, bar: Bar) -> None:
    for index in range(config.num_episodes):
        title = f"episode {index + 1}/{config.num_episodes}"
        click.echo(title, err=True)
        bar.begin(f"{title}, reset")
        rollout.reset_phase()
        bar.begin(title)
        result = rollout.episode()
        outcome = {True: "success", False: "failure", None: "no verdict"}[result["success"]]
        click.echo(f"{title}: {outcome}, {_figures(result)}", err=True)
        if config.dataset is not None and result["recorded"] is not None:
            options = config.dataset.backend.config
            place = {name: str(getattr(options, name, None) or "") for name in ("repo_id", "root")}
            plugins.host().notify("lr_episode_saved", episode=result["recorded"], dataset=place)


def _figures(result: dict[str, Any]) -> str:
    latency = result["latency_p50_ms"]
    shown = (
        "no chunk came"
        if latency is None
        else f"{result['chunks']} chunks in {latency:.1f} ms (p99 {result['latency_p99_ms']:.1f})"
    )
    return f"{result['ticks']} ticks at {result['rate_hz']:.2f} Hz, {result['idle']} idle, {shown}"


def _summarise(results: list[dict[str, Any]], path: Path | None) -> None:
    judged = [result["success"] for result in results if result["success"] is not None]
    latencies = [result["latency_p50_ms"] for result in results if result["latency_p50_ms"] is not None]
    summary = {
        "episodes": len(results),
        "judged": len(judged),
        "successes": sum(judged),
        "ticks": sum(result["ticks"] for result in results),
        "idle": sum(result["idle"] for result in results),
        "latency_p50_ms": statistics.median(latencies) if latencies else None,
    }
    verdict = f"{summary['successes']} of {len(results)} succeeded" if judged else "nobody judged them"
    if judged and (others := len(results) - len(judged)):
        verdict += f", {others} had no verdict"
    click.echo(f"{len(results)} episodes, {verdict}; {summary['ticks']} ticks, {summary['idle']} idle")
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"summary": summary, "episodes": results}, indent=2) + "\n")
