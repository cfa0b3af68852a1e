"""The demo's report: one HTML file with everything in it, no script and nothing loaded from elsewhere.

Takes results that are already there (plain data and judged runs) and writes text; runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import attrs
import numpy as np

from lerobot_motors.demo import figures, scene
from lerobot_motors.demo.judge import Run, success_rate


@attrs.frozen(kw_only=True)
class Results:
    """All that the report shows.

    Attributes:
        title_facts: what the demo was, as (name, value) pairs, in the order shown.
        trained: judged runs of the trained policy.
        untrained: judged runs of the same policy before training.
        replay: judged runs of recorded episodes.
        recorded_goals: goals (N, 3) of the recording [m].
        history: the trainer's lines with `step` and `loss`.
        picture_size: width and height of the policy's picture [px].
        health: loop figures by command, as LoopHealth writes them and more.
        commands: the command lines that were run, by step.
        seconds: time each step took [s].
        places: what lies where, as (what, path) pairs.
    """

    title_facts: Sequence[tuple[str, str]]
    trained: Sequence[Run]
    untrained: Sequence[Run]
    replay: Sequence[Run]
    recorded_goals: np.ndarray
    history: Sequence[Mapping[str, float]]
    picture_size: tuple[int, int]
    health: Mapping[str, Mapping[str, Any]]
    commands: Mapping[str, str]
    seconds: Mapping[str, float]
    places: Sequence[tuple[str, str]]


def outcomes(results: Results) -> list[tuple[str, Sequence[Run]]]:
    """The three kinds of runs with the names people read."""
    return [
        ("trained ACT", results.trained),
        ("same ACT, untrained", results.untrained),
        ("replay of recorded episodes", results.replay),
    ]


def outcome_row(name: str, runs: Sequence[Run]) -> list[str]:
    """name, success, runs, median time to success [s], median distance at the end [mm]."""
    times = [run.seconds for run in runs if run.success]
    ends = [run.distances[-1] * 1e3 for run in runs if run.distances]
    return [
        name,
        f"{success_rate(list(runs)):.0%}",
        f"{sum(run.success for run in runs)} of {len(runs)}",
        f"{np.median(times):.2f} s" if times else "–",
        f"{np.median(ends):.0f} mm" if ends else "–",
    ]


def verdict(results: Results) -> dict[str, float]:
    """The demo in one line of JSON."""
    return {
        "success_trained": round(success_rate(list(results.trained)), 4),
        "success_untrained": round(success_rate(list(results.untrained)), 4),
        "success_replay": round(success_rate(list(results.replay)), 4),
        "runs": len(results.trained),
        "seconds": round(sum(results.seconds.values()), 1),
    }


OUTCOME_HEAD = ["policy", "success", "runs", "median time to success", "median distance at the end"]
HEALTH_HEAD = ["command", "rate", "period error p50 / p99 / max", "late ticks", "idle ticks", "dropped frames", "ticks"]


def health_row(name: str, health: Mapping[str, Any]) -> list[str]:
    """One command's loop: rate, jitter [ms], late and idle ticks, frames the recorder dropped, ticks in all."""
    errors = " / ".join(f"{health[key]:.2f}" for key in _ERRORS if key in health)
    return [
        name,
        f"{health['rate_hz']:.2f} Hz" if "rate_hz" in health else "–",
        f"{errors} ms" if errors else "–",
        *(str(health.get(key, "–")) for key in ("late", "idle", "dropped", "ticks")),
    ]


_ERRORS = ("period_error_p50_ms", "period_error_p99_ms", "period_error_max_ms")


def render(results: Results) -> str:
    """The report as HTML text."""
    commands = [[name, _seconds(results, name), line] for name, line in results.commands.items()]
    health = [health_row(name, loop) for name, loop in results.health.items()]
    body = [
        _header(results),
        _cards(results.title_facts),
        _section("Does it work?", _verdict_table(results)),
        _section("The runs", _grid(_plots(results))),
        _section("What the policy sees", _frames(results)),
        _section("How well the loop kept its rate", _table(HEALTH_HEAD, health)),
        _section("What was run", _table(["step", "time", "command"], commands, code=2)),
        _section("Where everything is", _table(["what", "where"], [list(place) for place in results.places], code=1)),
    ]
    return _PAGE.replace("BODY", "\n".join(body))


def _header(results: Results) -> str:
    minutes, rate = sum(results.seconds.values()) / 60, success_rate(list(results.trained))
    return (
        f"<header><h1>One whole loop</h1><p>teleoperate → record → train → serve → run → report, in {minutes:.1f} minutes. "
        f"The trained policy reached <b>{rate:.0%}</b> of {len(results.trained)} goals it had never seen.</p></header>"
    )


def _verdict_table(results: Results) -> str:
    rows = [outcome_row(*item) for item in outcomes(results)]
    note = (
        f"Success: the tool tip stays within {scene.RADIUS * 1e3:.0f} mm of the goal for {scene.HOLD:g} s, within "
        f"{scene.LIMIT:g} s of the goal's appearing (a replay has all the time it takes); measured from the emulated servos' "
        "positions by a process that neither the policy nor the arm knows of."
    )
    return _table(OUTCOME_HEAD, rows, mark=1) + f"<p class=note>{note}</p>"


def _plots(results: Results) -> list[str]:
    plots = [
        _figure(figures.distances(results.trained), "Trained: distance of the tip to the goal, one line per run"),
        _figure(figures.goals(results.recorded_goals, results.trained), "The board from above"),
        _figure(figures.distances(results.untrained), "Untrained: the same network with random weights"),
    ]
    if results.history:
        plots.append(_figure(figures.losses(results.history), "Training loss"))
    return plots


def _seconds(results: Results, step: str) -> str:
    return f"{results.seconds[step]:.0f} s" if step in results.seconds else ""


def _frames(results: Results) -> str:
    width, height = results.picture_size
    seen = [_figure(url, "", "pixels") for url in figures.camera_frames(results.trained, results.picture_size)]
    text = f"<p>Its whole input: such a picture of {width} x {height} pixels, and six joint positions.</p>"
    if not results.trained:
        return text
    start, end = figures.arm_at_start_and_end(results.trained[0])
    arm = [_figure(start, "The arm when the goal appears …"), _figure(end, "… and at the end of the run")]
    return text + f"<div class='grid four'>{''.join(seen)}</div>" + _grid(arm)


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _cards(facts: Sequence[tuple[str, str]]) -> str:
    cards = "".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in facts)
    return f"<div class=cards>{cards}</div>"


def _grid(items: Sequence[str]) -> str:
    return f"<div class=grid>{''.join(items)}</div>"


def _figure(url: str, caption: str, kind: str = "") -> str:
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="{kind}"><img src="{url}" alt="{escape(caption or "camera picture")}">{below}</figure>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, mark: int = -1, code: int = -1) -> str:
    """A table; column `mark` is emphasised, column `code` set as code."""

    def cell(index: int, text: str) -> str:
        inside = f"<b>{escape(text)}</b>" if index == mark else escape(text)
        return f"<td><code>{inside}</code></td>" if index == code else f"<td>{inside}</td>"

    lines = "".join(f"<tr>{''.join(cell(*item) for item in enumerate(row))}</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>{lines}</table>"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>lr demo</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2430; background: #f5f6f8; margin: 0 auto; max-width: 1040px; padding: 32px 20px }
h1 { font-size: 34px; margin: 0 } h2 { font-size: 19px; margin: 0 0 12px } header p { font-size: 17px; color: #4a5364 }
section, .cards div { background: #fff; border: 1px solid #e3e6eb; border-radius: 10px }
section { padding: 20px 22px; margin: 18px 0; overflow-x: auto }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px }
.cards div { padding: 12px 16px } .cards b { display: block; font-size: 19px } .cards span, .note, figcaption { color: #6b7486; font-size: 13px }
table { border-collapse: collapse; width: 100% } th { text-align: left; color: #6b7486; font-weight: 500; font-size: 13px }
th, td { padding: 6px 12px 6px 0; border-bottom: 1px solid #eceef2; vertical-align: top } tr:last-child td { border: 0 }
code { font: 12px/1.5 ui-monospace, monospace; overflow-wrap: anywhere }
.grid { display: grid; grid-template-columns: 1fr 1fr; gap: 18px } .four { grid-template-columns: repeat(4, 1fr); margin-bottom: 18px }
figure { margin: 0 } img { width: 100%; border-radius: 6px } .pixels img { image-rendering: pixelated }
</style></head><body>
BODY
</body></html>
"""
