"""The demo's plan, its report, and what it prints, from results made up here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from rich.console import Console

from lerobot_core import config as options
from lerobot_core.errors import ConfigError, PluginError
from lerobot_motors.commands import demo as command
from lerobot_motors.demo import processes, scene, story
from lerobot_motors.demo.judge import Run
from lerobot_motors.demo.plan import DemoConfig, Plan, checkpoint
from lerobot_motors.demo.processes import StepFailed

pytest.importorskip("matplotlib")
from lerobot_motors.demo import report


def a_run(success: bool, number: int = 0) -> Run:
    draws = scene.draws(number, unseen=True)
    draw = next(draws)
    times = np.linspace(0, 3, 40)
    return Run(
        start=scene.tip(draw.start).tolist(),
        goal=draw.goal.tolist(),
        success=success,
        seconds=1.5 if success else 3.0,
        times=times.tolist(),
        distances=(0.2 * np.exp(-3 * times) if success else 0.1 + 0 * times).tolist(),
        joints=draw.start.tolist(),
        final=scene.joints_at(draw.goal).tolist(),
    )


def the_results(**changes: Any) -> report.Results:
    health = {"rate_hz": 30.0, "ticks": 100, "late": 0, "idle": 2, "period_error_p50_ms": 0.01}
    values: dict[str, Any] = {
        "title_facts": [("episodes recorded", "48"), ("policy <b>", "ACT & co")],
        "trained": [a_run(number < 3, number) for number in range(4)],
        "untrained": [a_run(False, number) for number in range(2)],
        "replay": [a_run(False)],
        "recorded_goals": np.array([draw.goal for draw, _ in zip(scene.draws(0), range(20), strict=False)]),
        "history": [{"step": step, "loss": 1 / step} for step in range(1, 30)],
        "picture_size": (64, 48),
        "health": {"lr record": health, "lr replay": {}},
        "commands": {"record": "lr record --robot.port='emulated://so101'"},
        "seconds": {"record": 90.0, "train": 30.0},
        "places": [("dataset", "/somewhere/else")],
    }
    return report.Results(**values | changes)


def test_the_report_is_one_file_with_everything_in_it() -> None:
    text = report.render(the_results())
    assert text.startswith("<!doctype html>")
    assert not re.search(r'(src|href)="(?!data:image/png;base64,)', text)
    assert "<script" not in text
    assert text.count("data:image/png") == 4 + 4 + 2, "plots, the policy's pictures, the arm"
    for shown in ("75%", "3 of 4", "0 of 2", "policy &lt;b&gt;", "ACT &amp; co", "30.00 Hz", "/somewhere/else"):
        assert shown in text, shown


def test_a_report_without_runs_or_losses_still_renders() -> None:
    text = report.render(the_results(trained=[], untrained=[], replay=[], history=[]))
    assert "0 of 0" in text


def test_the_verdict_is_what_the_demo_ends_with() -> None:
    assert report.verdict(the_results()) == {
        "success_trained": 0.75,
        "success_untrained": 0.0,
        "success_replay": 0.0,
        "runs": 4,
        "seconds": 120.0,
    }


def test_every_command_line_is_one_that_lr_takes(tmp_path: Path) -> None:
    from lerobot_motors.commands.record import RecordConfig
    from lerobot_motors.commands.replay import ReplayConfig

    plan = Plan(DemoConfig(output_dir=tmp_path), arm="toy")
    defaults = {"dataset": {"type": "lerobot"}}
    recorded = options.load(RecordConfig, plan.record()[1:], defaults).value
    assert recorded.dataset.num_episodes == 48
    assert recorded.robot.config.cameras["front"].config.width == 64
    assert options.load(ReplayConfig, plan.replay(3)[1:], defaults).value.dataset.episode == 3


def test_a_folder_of_another_demo_is_refused(tmp_path: Path) -> None:
    quiet = Console(stderr=True, quiet=True)
    story.Story(DemoConfig(output_dir=tmp_path), quiet)._claim_folder()
    story.Story(DemoConfig(output_dir=tmp_path), quiet)._claim_folder()
    with pytest.raises(ConfigError, match="other options"):
        story.Story(DemoConfig(output_dir=tmp_path, seed=1), quiet)._claim_folder()


def test_a_step_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    result, calls = tmp_path / "result", []

    def do(show: story.Show) -> None:
        calls.append(show(1, 1))
        result.touch()

    for _ in range(2):
        told = story.Story(DemoConfig(output_dir=tmp_path), Console(stderr=True, quiet=True))
        told._step("some step", result, do)
    assert len(calls) == 1
    assert told.seconds["some step"] < 5


def test_runs_come_back_from_their_file(tmp_path: Path) -> None:
    story._write(tmp_path / "runs.json", [attrs.asdict(a_run(True))])
    assert story.load_runs(tmp_path / "runs.json") == [a_run(True)]


def test_loops_of_several_episodes_are_one_row() -> None:
    first = {"ticks": 10, "late": 1, "idle": 0, "rate_hz": 30.0}
    first |= {f"period_error_{key}_ms": 1.0 for key in ("p50", "p99", "max")}
    both = story.together([first, {**first, "period_error_max_ms": 4.0}])
    assert (both["ticks"], both["late"], both["rate_hz"]) == (20, 2, 30.0)
    assert (both["period_error_p50_ms"], both["period_error_max_ms"]) == (1.0, 4.0)


def test_a_command_that_fails_says_where_to_look(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "x.log"
    with processes.started(["recrod"], log) as process, pytest.raises(StepFailed, match=r"status 1.*recrod") as failure:
        process.wait()
    assert str(log) in failure.value.hint
    with processes.started(["recrod"], log) as process, pytest.raises(StepFailed, match="did not get ready"):
        process.wait_for("ready:")


def test_missing_parts_are_named_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "NEEDS", ("no_such_part=lerobot-nothing", "json=the standard library"))
    with pytest.raises(PluginError, match="lerobot-nothing") as failure:
        command.check_installed()
    assert "standard" not in failure.value.message


def test_what_is_printed_at_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan(DemoConfig(output_dir=tmp_path), arm="toy")
    text = "\n".join(command.directions(plan, [("dataset", "here")]))
    assert str(checkpoint(plan.training)) in text
    Console(width=200).print(command.table(report.OUTCOME_HEAD, [report.outcome_row("trained ACT", [a_run(True)])]))
    assert "100%" in capsys.readouterr().out
    assert json.loads(json.dumps(report.verdict(the_results())))
