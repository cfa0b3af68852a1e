"""The judge of the demo: watches the emulated arm from outside and decides, run by run, whether it reached its goal.

It samples the arm's shared state at 100 Hz and applies the rule of `scene`; it cannot see and does not care what drives the arm.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs
import numpy as np

from lerobot_core.clock import Rate
from lerobot_motors.demo import scene
from lerobot_motors.demo.stage import Stage

SAMPLES_HZ = 100.0


@attrs.frozen(kw_only=True)
class Run:
    """One judged run.

    Attributes:
        start: place of the tip when the goal appeared (3,) [m].
        goal: its place (3,) [m].
        success: whether it was reached and held within the time limit.
        seconds: from the goal's appearing until it had been held, or the limit.
        times: when the tip was looked at, from the goal's appearing [s].
        distances: how far it was from the goal then [m].
        joints: where the arm was at the start, in user units (6,).
        final: where it was at the end, in user units (6,).
    """

    start: list[float]
    goal: list[float]
    success: bool
    seconds: float
    times: list[float]
    distances: list[float]
    joints: list[float]
    final: list[float]


def judge(stage: Stage, *, running: Callable[[], bool], limit: float = scene.LIMIT) -> Run | None:
    """Watch one try at the goal that is shown, until it is reached, `limit` [s] is over, or `running` says no.

    Returns:
        None when no goal is shown.
    """
    goal, joints = stage.goal, stage.joints()
    if goal is None:
        return None
    rule = scene.ReachRule()
    rate = Rate(SAMPLES_HZ)
    began = time.monotonic()
    times: list[float] = []
    distances: list[float] = []
    success = False
    while not success and running():
        now = time.monotonic() - began
        if now > limit:
            break
        distance = float(np.linalg.norm(scene.tip(stage.joints()) - goal))
        times.append(now)
        distances.append(distance)
        success = rule.add(now, distance)
        rate.wait()
    return Run(
        start=scene.tip(joints).tolist(),
        goal=[float(value) for value in goal],
        success=success,
        seconds=time.monotonic() - began,
        times=[round(value, 3) for value in times],
        distances=[round(value, 4) for value in distances],
        joints=joints.tolist(),
        final=stage.joints().tolist(),
    )


def judge_tries(stage: Stage, count: int, *, running: Callable[[], bool], done: Callable[[Run], None]) -> list[Run]:
    """Watch the next `count` tries that somebody announces on the stage; fewer if `running` says no before.

    Args:
        done: called with each run.
    """
    runs: list[Run] = []
    seen = stage.tries
    while len(runs) < count and running():
        if stage.tries == seen:
            time.sleep(0.5 / SAMPLES_HZ)
            continue
        seen = number = stage.tries
        run = judge(stage, running=lambda number=number: running() and stage.tries == number)  # the next one ends it
        if run is not None:
            runs.append(run)
            done(run)
    return runs


def success_rate(runs: list[Run]) -> float:
    """Share of runs that reached their goal; 0 when there were none."""
    return sum(run.success for run in runs) / len(runs) if runs else 0.0
