"""The one control loop: read → observation steps → source → action steps → guard → write → sinks, at a rate.

`teleoperate`, `record`, `replay` and `run` are this loop with another source and other sinks. What is recorded is the action
as sent.
"""

from __future__ import annotations

import gc
import signal
import threading
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import numpy as np

from lerobot_core import features
from lerobot_core.clock import Clock, MonotonicClock, Rate
from lerobot_core.features import Feature
from lerobot_core.guard import hold, is_position
from lerobot_core.priority import real_time
from lerobot_core.roles import (
    Action,
    DatasetWriter,
    Observation,
    ObservingStep,
    ProcessorStep,
    Robot,
    Sink,
    Source,
    Teleoperator,
)
from lerobot_core.steps import through

STAMPS = "stamps"


@attrs.frozen(kw_only=True)
class Tick:
    """One turn of the loop.

    Attributes:
        index: number of the turn, from 0.
        time: when its observation was asked for, monotonic [ns].
        observation: after the observation steps, without `stamps`.
        action: as sent; None when nothing was.
        info: what the source says of its action.
        stamps: key → when that value was measured, monotonic [ns]; `time` for keys the robot does not stamp.
    """

    index: int
    time: int
    observation: Observation
    action: Action | None
    info: Mapping[str, Any]
    stamps: Mapping[str, int]


@attrs.frozen(kw_only=True)
class LoopHealth:
    """How well a run kept its rate. Period errors are |time between turns − period| [ms]."""

    fps: float
    ticks: int
    seconds: float
    rate_hz: float
    period_error_p50_ms: float
    period_error_p99_ms: float
    period_error_max_ms: float
    late: int
    skipped: int
    idle: int

    def to_data(self) -> dict[str, float]:
        return attrs.asdict(self)

    def line(self) -> str:
        """The one-line summary printed at the end of a run."""
        return (
            f"loop: {self.ticks} ticks in {self.seconds:.1f} s at {self.rate_hz:.2f} Hz (asked {self.fps:g}), period error "
            f"p50 {self.period_error_p50_ms:.3f} p99 {self.period_error_p99_ms:.3f} max {self.period_error_max_ms:.3f} ms, "
            f"{self.late} late, {self.skipped} skipped, {self.idle} idle"
        )


def run_loop(
    robot: Robot,
    source: Source,
    *,
    fps: float,
    sinks: Sequence[Sink] = (),
    observation_steps: Sequence[ProcessorStep] = (),
    action_steps: Sequence[ProcessorStep] = (),
    guard: Callable[[Action, Observation], Action] | None = None,
    duration: float | None = None,
    stop: Callable[[], bool] | None = None,
    clock: Clock | None = None,
) -> LoopHealth:
    """Run until `duration` [s] has passed or `stop()` says so, whichever comes first.

    Steps begin anew. The guard compares the action after its steps with what the robot itself observed: both are the
    robot's. A turn without an action is idle: a robot driven by positions is where it was last sent and hears nothing,
    anything that would keep moving (velocities, efforts) is sent to zero.
    """
    clock = clock or MonotonicClock()
    starts = array("q")
    idle, sent = 0, None
    keeps_moving = not all(map(is_position, robot.action_features))
    ticks = None if duration is None else round(duration * fps)
    for step in (*observation_steps, *action_steps):
        step.reset()
    observing = [step for step in action_steps if isinstance(step, ObservingStep)]
    with _undisturbed():
        rate = Rate(fps, clock)
        while len(starts) != ticks and not (stop is not None and stop()):
            now = clock.now()
            starts.append(now)
            found, stamps = _observe(robot)
            observation = through(observation_steps, found)
            action, info = source.act(observation)
            if action is None:
                idle += 1
                if keeps_moving:
                    robot.send_action(hold(sent, found, robot.action_features))
            else:
                for step in observing:
                    step.observe(found)
                action = through(action_steps, action)
                action = sent = robot.send_action(guard(action, found) if guard is not None else action)
            index = len(starts) - 1
            stamps = {key: stamps.get(key, now) for key in observation}
            tick = Tick(index=index, time=now, observation=observation, action=action, info=info, stamps=stamps)
            for sink in sinks:
                sink.add(tick)
            rate.wait()
    return _health(starts, fps, rate, idle, clock.now())


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Real-time priority where granted, and no garbage collection over what exists already: a full one costs tens of ms."""
    gc.collect()
    gc.freeze()
    try:
        with real_time():
            yield
    finally:
        gc.unfreeze()


def _observe(robot: Robot) -> tuple[Observation, Mapping[str, int]]:
    """What the robot observed, and its stamps apart."""
    observation: Observation = robot.get_observation()
    stamps: Mapping[str, int] = observation.get(STAMPS, {})
    if STAMPS in observation:
        observation = {key: value for key, value in observation.items() if key != STAMPS}
    return observation, stamps


def _health(starts: array[int], fps: float, rate: Rate, idle: int, end: int) -> LoopHealth:
    times = np.asarray(starts, dtype=np.int64)
    errors = np.abs(np.diff(times) - rate.period_ns) / 1e6 if len(times) > 1 else np.zeros(1)
    seconds = (end - times[0]) / 1e9 if len(times) else 0.0
    p50, p99, worst = np.percentile(errors, [50, 99, 100])
    return LoopHealth(
        fps=fps,
        ticks=len(times),
        seconds=float(seconds),
        rate_hz=float((len(times) - 1) / ((times[-1] - times[0]) / 1e9)) if len(times) > 1 else 0.0,
        period_error_p50_ms=float(p50),
        period_error_p99_ms=float(p99),
        period_error_max_ms=float(worst),
        late=rate.late,
        skipped=rate.skipped,
        idle=idle,
    )


class TeleoperatorSource:
    """A teleoperator as the loop's source; its events, where it has any, are the info of each tick."""

    def __init__(self, teleop: Teleoperator) -> None:
        self._teleop = teleop
        self._events: Callable[[], Mapping[str, Any]] | None = getattr(teleop, "get_events", None)

    def act(self, observation: Observation) -> tuple[Action, Mapping[str, Any]]:
        action = self._teleop.get_action()
        return action, self._events() if self._events is not None else {}


class DatasetSink:
    """Writes the loop's ticks as frames of a dataset. Ticks before the first action are not recorded.

    While the source is idle the robot is where it was last sent, so that action is recorded again.
    """

    def __init__(self, writer: DatasetWriter, dataset: Mapping[str, Feature], task: str) -> None:
        self._writer = writer
        self._observed = {key: feature for key, feature in dataset.items() if not key.startswith(features.ACTION)}
        self._acted = {key: feature for key, feature in dataset.items() if key.startswith(features.ACTION)}
        self._task = task
        self._last: Action | None = None

    def add(self, tick: Tick) -> None:
        self._last = tick.action or self._last
        if self._last is None:
            return
        frame = features.frame(tick.observation, self._observed) | features.frame(self._last, self._acted)
        self._writer.add(frame, task=self._task, stamps={"timestamp": tick.time, **tick.stamps})

    def add_sample(self, key: str, value: Any, stamp: int) -> None:
        """Samples between ticks have no place on the fps grid; only the newest, in the tick, is recorded."""


@contextmanager
def connected(*devices: Any, calibrate: bool = True) -> Iterator[None]:
    """Connect devices in order; on the way out disconnect every one, whatever happens.

    The first error is raised again with those of other devices as notes. SIGTERM ends the block like Ctrl-C does.
    """
    opened: list[Any] = []
    first: BaseException | None = None
    with _sigterm_as_interrupt():
        try:
            for device in devices:
                opened.append(device)
                device.connect(calibrate) if hasattr(device, "calibrate") else device.connect()
            yield
        except BaseException as error:
            first = error
        for device in reversed(opened):
            try:
                device.disconnect()
            except BaseException as error:  # a second Ctrl-C ends this device's turn, not that of the others
                if first is None:
                    first = error
                else:
                    first.add_note(f"while disconnecting {getattr(device, 'name', device)}: {error}")
    if first is not None:
        raise first


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
