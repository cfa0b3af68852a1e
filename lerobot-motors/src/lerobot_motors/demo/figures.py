"""The plots and pictures of the demo's report, as PNG in data URLs. Knows matplotlib and the scene; no HTML, no processes."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

from lerobot_motors.demo import scene
from lerobot_motors.demo.judge import Run
from lerobot_motors.demo.picture import Painter

INK, MUTED, GOOD, BAD, BLUE = "#1f2430", "#8a93a3", "#1f9d6b", "#d8434e", "#2f6fed"
_STYLE: dict[str, Any] = {"colors": MUTED, "labelsize": 9}


def losses(history: Sequence[Mapping[str, float]]) -> str:
    """Training loss over steps, from the trainer's lines with `step` and `loss`."""
    figure, axes = _figure(5.6, 3.2)
    steps = [line["step"] for line in history]
    axes.plot(steps, [line["loss"] for line in history], color=BLUE, linewidth=1.8)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.yaxis.set_minor_locator(NullLocator())
    _label(axes, "training step", "loss (L1)")
    return _url(figure)


def distances(runs: Sequence[Run]) -> str:
    """Distance of the tip to the goal over time, one line per run."""
    figure, axes = _figure(5.6, 3.2)
    for run in runs:
        colour = GOOD if run.success else BAD
        axes.plot(run.times, np.array(run.distances) * 1e3, color=colour, linewidth=1, alpha=0.6)
    axes.axhspan(0, scene.RADIUS * 1e3, color=GOOD, alpha=0.12, linewidth=0)
    axes.set_xlim(0, None)
    axes.set_ylim(0, 300)
    _label(axes, "time since the goal appeared [s]", "tip to goal [mm]")
    return _url(figure)


def goals(trained_on: np.ndarray, runs: Sequence[Run]) -> str:
    """The board from above: goals of the recording (N, 3) [m] and those of the runs, coloured by success."""
    figure, axes = _figure(5.6, 3.6)
    axes.scatter(-trained_on[:, 1] * 100, trained_on[:, 0] * 100, s=26, color="#c9ced8", label="recorded goals")
    for success, colour, label in ((True, GOOD, "unseen goal, reached"), (False, BAD, "unseen goal, missed")):
        chosen = np.array([run.goal for run in runs if run.success is success]).reshape(-1, 3)
        axes.scatter(
            -chosen[:, 1] * 100, chosen[:, 0] * 100, s=34, color=colour, marker="o" if success else "X", label=label
        )
    axes.set_aspect("equal")
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.17), ncols=3, labelcolor=INK)
    _label(axes, "to the right [cm]", "ahead of the arm's base [cm]")
    return _url(figure)


def camera_frames(runs: Sequence[Run], size: tuple[int, int], count: int = 4) -> list[str]:
    """What the policy saw at the start of the first runs, at its own size (W, H), enlarged without smoothing."""
    painter = Painter("front", *size)
    return [
        _picture(painter.draw(np.array(run.joints), np.array(run.goal)).repeat(4, 0).repeat(4, 1))
        for run in runs[:count]
    ]


def arm_at_start_and_end(run: Run, width: int = 420, height: int = 300) -> tuple[str, str]:
    """The whole arm from the side, where a run began and where it ended."""
    painter = Painter("side", width, height)
    goal = np.array(run.goal)
    return _picture(painter.draw(np.array(run.joints), goal)), _picture(painter.draw(np.array(run.final), goal))


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#d5d9e0")
    axes.tick_params(**_STYLE)
    axes.grid(color="#eceef2", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def _label(axes: Any, x: str, y: str) -> None:
    axes.set_xlabel(x, color=INK, fontsize=9)
    axes.set_ylabel(y, color=INK, fontsize=9)


def _url(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return _encode(buffer)


def _picture(picture: np.ndarray) -> str:
    buffer = io.BytesIO()
    imsave(buffer, picture, format="png")
    return _encode(buffer)


def _encode(buffer: io.BytesIO) -> str:
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
