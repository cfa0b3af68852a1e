"""The demo from beginning to end: `lr record`, `lr train`, `lr serve`, `lr run` and `lr replay` on the emulated arm, judged from
outside, and the report.

Every step leaves its result in the output folder and is skipped when that is there. Datasets, policies and servers are
touched through `lr` and files only.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lerobot_core.errors import ConfigError
from lerobot_motors import emulators
from lerobot_motors.demo import scene
from lerobot_motors.demo.judge import Run, judge, judge_tries
from lerobot_motors.demo.plan import EPISODE_S, PICTURE, RATE, DemoConfig, Plan, checkpoint
from lerobot_motors.demo.processes import line, started
from lerobot_motors.demo.report import Results
from lerobot_motors.demo.stage import Stage

#: Sets progress of a step: (done, total).
Show = Callable[[int, int], None]


class Story:
    """One demo.

    Args:
        config: its options.
        console: where progress is shown.
    """

    def __init__(self, config: DemoConfig, console: Console) -> None:
        self.config = config
        self.plan = Plan(config, arm=f"demo-{os.getpid()}")
        self.commands: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self._console = console

    def tell(self) -> None:
        """Do every step that is not done yet.

        Raises:
            ConfigError: the folder holds a demo with other options.
            StepFailed: a command failed.
        """
        self._claim_folder()
        emulator = emulators.open_port(self.plan.port)
        try:
            self._step("record", self.plan.dataset / "meta" / "info.json", self.record)
            self._step("train", self.plan.file("losses.json"), self.train)
            self._step("run untrained", self.plan.file("untrained.json"), self.run_untrained)
            self._step("run trained", self.plan.file("trained.json"), self.run_trained)
            self._step("replay", self.plan.file("replay.json"), self.replay)
        finally:
            emulator.close()

    # --- steps --------------------------------------------------------------------------------------------------------

    def record(self, show: Show) -> None:
        """A scripted leader shows the task."""
        stage = Stage(self.plan.arm)
        stage.place(next(scene.draws(self.config.seed)).start)
        shutil.rmtree(self.plan.dataset, ignore_errors=True)
        with self._lr("record", self.plan.record()) as process:
            process.wait(lambda said: show(said.count(": saved as"), self.config.episodes))

    def train(self, show: Show) -> None:
        """A small ACT learns it from pixels and joint positions."""
        shutil.rmtree(self.plan.training, ignore_errors=True)
        metrics = self.plan.training / "metrics.jsonl"

        def watch(_: str) -> None:
            history = _lines(metrics)
            if history:
                show(int(history[-1]["step"]), self.config.steps)

        with self._lr("train", self.plan.train(self.config.steps, RATE, self.plan.training)) as process:
            process.wait(watch)
        _write(
            self.plan.file("losses.json"), [{key: entry[key] for key in ("step", "loss")} for entry in _lines(metrics)]
        )

    def run_untrained(self, show: Show) -> None:
        """The same network with the weights it began with: one step at a learning rate of 0 changes none."""
        shutil.rmtree(self.plan.untrained, ignore_errors=True)
        with self._lr("train untrained", self.plan.train(1, 0.0, self.plan.untrained)) as process:
            process.wait()
        self._run("untrained", self.plan.untrained, self.config.baseline_runs, show)

    def run_trained(self, show: Show) -> None:
        """Starts and goals that are not in the recording."""
        self._run("trained", self.plan.training, self.config.runs, show)

    def replay(self, show: Show) -> None:
        """Recorded episodes, played to goals they were not recorded for."""
        stage, runs = Stage(self.plan.arm), []
        draws = scene.draws(self.config.seed, unseen=True)
        for index in range(self.config.baseline_runs):
            stage.goal = next(draws).goal
            with self._lr("replay", self.plan.replay(index % self.config.episodes)) as process:
                _wait_for_motion(stage, lambda: process.running)
                run = judge(stage, running=lambda: process.running, limit=EPISODE_S)
                process.wait()
            runs.append(run)
            show(len(runs), self.config.baseline_runs)
        _write(self.plan.file("replay.json"), [attrs.asdict(run) for run in runs if run is not None])

    # --- what came of it ----------------------------------------------------------------------------------------------

    def results(self) -> Results:
        """Everything the steps have left, for the table and the report."""
        plan, config = self.plan, self.config
        recorded = _read(plan.file("record.json"))
        width, height = PICTURE
        draws = scene.draws(config.seed)
        return Results(
            title_facts=[
                ("episodes recorded", str(len(recorded["episodes"]))),
                ("frames", str(sum(episode["ticks"] for episode in recorded["episodes"]))),
                ("dataset", _size(plan.dataset)),
                ("policy", f"ACT, {_size(checkpoint(plan.training))}"),
                ("picture", f"{width} x {height} px"),
                ("training", f"{config.steps} steps of {config.batch_size}"),
            ],
            trained=load_runs(plan.file("trained.json")),
            untrained=load_runs(plan.file("untrained.json")),
            replay=load_runs(plan.file("replay.json")),
            recorded_goals=np.array([next(draws).goal for _ in range(config.episodes)]),
            history=_read(plan.file("losses.json")),
            picture_size=PICTURE,
            health={
                "lr record": together(recorded["episodes"]),
                "lr run (trained)": together(_read(plan.file("trained_loop.json"))["episodes"]),
                "lr run (untrained)": together(_read(plan.file("untrained_loop.json"))["episodes"]),
                "lr replay": together([_read(plan.file("replay_loop.json"))]),
            },
            commands=self.commands,
            seconds=self.seconds,
            places=[
                ("this report", str(plan.report)),
                ("dataset", str(plan.dataset)),
                ("trained policy", str(checkpoint(plan.training))),
                ("what the commands said", str(config.output_dir / "logs")),
                ("every run, sample by sample", str(plan.file("trained.json"))),
            ],
        )

    # --- parts of steps -----------------------------------------------------------------------------------------------

    def _run(self, name: str, training: Path, count: int, show: Show) -> None:
        address, stage = f"ipc://{self._socket(name)}", Stage(self.plan.arm)
        loop = self.plan.file(f"{name}_loop.json")
        with self._lr(f"serve {name}", self.plan.serve(checkpoint(training), address)) as server:
            server.wait_for("ready:")
            with self._lr(f"run {name}", self.plan.run(address, count, scene.LIMIT, loop)) as process:
                done: list[Run] = []

                def note(run: Run) -> None:
                    done.append(run)
                    show(len(done), count)

                judge_tries(stage, count, running=lambda: process.running, done=note)
                process.wait()
        _write(self.plan.file(f"{name}.json"), [attrs.asdict(run) for run in done])

    def _socket(self, name: str) -> Path:
        """A short path: those of sockets are limited to about 100 characters."""
        return Path(tempfile.gettempdir()) / f"lr-{self.plan.arm}-{name}.sock"

    @contextmanager
    def _lr(self, name: str, arguments: list[str]) -> Iterator[Any]:
        self.commands.setdefault(name, line(arguments))
        with started(arguments, self.config.output_dir / "logs" / f"{name.replace(' ', '_')}.log") as process:
            yield process

    def _step(self, name: str, result: Path, do: Callable[[Show], None]) -> None:
        """Do a step with a progress bar, unless its result is there; note how long it took."""
        noted = self.plan.file(f"step_{name.replace(' ', '_')}.json")
        if result.exists() and noted.exists():
            past = _read(noted)
            self.seconds[name] = past["seconds"]
            self.commands |= past["commands"]
            self._console.print(f"{name}: done before, in {result}")
            return
        began, known = time.monotonic(), set(self.commands)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, disable=not self._console.is_terminal) as progress:
            task = progress.add_task(f"{name:14}", total=None)
            last = [-1]

            def show(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)
                if not self._console.is_terminal and done * 5 // total > last[0]:
                    last[0] = done * 5 // total
                    self._console.print(f"{name}: {done} of {total}")

            do(show)
        self.seconds[name] = time.monotonic() - began
        commands = {key: text for key, text in self.commands.items() if key not in known}
        _write(noted, {"seconds": self.seconds[name], "commands": commands})

    def _claim_folder(self) -> None:
        """
        Raises:
            ConfigError: the folder holds a demo with other options.
        """
        options = {key: value for key, value in attrs.asdict(self.config).items() if key != "output_dir"}
        file = self.plan.file("options.json")
        if file.exists() and _read(file) != options:
            raise ConfigError(
                f"'{self.config.output_dir}' holds a demo with other options",
                hint="give another --output_dir, or remove that folder",
            )
        _write(file, options)


def load_runs(file: Path) -> list[Run]:
    """The runs that a step has left."""
    return [Run(**data) for data in _read(file)]


def _wait_for_motion(stage: Stage, running: Callable[[], bool]) -> None:
    start = stage.joints()
    while running() and np.abs(stage.joints() - start).max() < 1.0:
        time.sleep(0.01)


def together(episodes: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Loop figures of several episodes as one: counts added, rates and medians averaged, the worst of the extremes."""
    if not episodes:
        return {}
    sums = {key: sum(episode[key] for episode in episodes) for key in _COUNTS if key in episodes[0]}
    means = {key: float(np.mean([episode[key] for episode in episodes])) for key in _MEANS}
    return {**sums, **means, **{key: max(episode[key] for episode in episodes) for key in _WORST}}


_COUNTS = ("ticks", "late", "idle", "dropped")
_MEANS = ("rate_hz", "period_error_p50_ms")
_WORST = ("period_error_p99_ms", "period_error_max_ms")


def _size(folder: Path) -> str:
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return f"{size / 1e6:.1f} MB"


def _read(file: Path) -> Any:
    return json.loads(file.read_text())


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    return [json.loads(text) for text in file.read_text().splitlines() if text.endswith("}")]


def _write(file: Path, data: Any) -> None:
    """Whole or not at all, as its presence says that the step is done."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(data))
    partial.replace(file)
