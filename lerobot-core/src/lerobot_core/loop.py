"""The one control loop: read → observation steps → source → action steps → guard → write → sinks, at a rate.

`teleoperate`, `record`, `replay` and `run` are this loop with another source and other sinks. What is recorded is the action
as sent.
"""

from __future__ import annotations

import gc
import logging
import signal
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import attrs
import numpy as np

from lerobot_core import features
from lerobot_core.clock import Clock, MonotonicClock, Rate
from lerobot_core.errors import BadReply, DeviceTimeout
from lerobot_core.features import Feature
from lerobot_core.guard import Guard, come_to_rest, hold, is_position
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
#: A signal this long after the one before is meant for whatever keeps a device from being stopped [s].
STUCK = 5.0
#: As a threshold of the garbage collector: more collections of the young than a loop lives to see.
NEVER = 2**31 - 1
#: What asks a program to end: Ctrl-C, the system, a terminal that was closed.
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

logger = logging.getLogger(__name__)


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
    """How well a run kept its rate. Period errors are |time between turns − period| [ms].

    Of its turns the source was `idle` in some, in some the robot `held` because a device did not answer or a value was too
    old, and in some the guard changed (`limited`) the action.
    """

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
    held: int = 0
    limited: int = 0

    def to_data(self) -> dict[str, float]:
        return attrs.asdict(self)

    def line(self) -> str:
        """The one-line summary printed at the end of a run."""
        return (
            f"loop: {self.ticks} ticks in {self.seconds:.1f} s at {self.rate_hz:.2f} Hz (asked {self.fps:g}), period error "
            f"p50 {self.period_error_p50_ms:.3f} p99 {self.period_error_p99_ms:.3f} max {self.period_error_max_ms:.3f} ms, "
            f"{self.late} late, {self.skipped} skipped, {self.idle} idle, "
            f"{self.held} held, {self.limited} limited"
        )


def run_loop(
    robot: Robot,
    source: Source,
    *,
    fps: float,
    sinks: Sequence[Sink] = (),
    observation_steps: Sequence[ProcessorStep] = (),
    action_steps: Sequence[ProcessorStep] = (),
    guard: Guard | None = None,
    duration: float | None = None,
    stop: Callable[[], bool] | None = None,
    clock: Clock | None = None,
) -> LoopHealth:
    """Run until `duration` [s] has passed or `stop()` says so, whichever comes first.

    Steps begin anew. The guard compares the action after its steps with what the robot itself observed: both are the
    robot's. A turn without an action is idle: a robot driven by positions is where it was last sent and hears nothing,
    anything that would keep moving (velocities, efforts) is sent to zero. It does the same while a device does not answer,
    for as long as the guard has patience, and while joints were measured or the action was made (`stamp` in the source's info)
    too long ago.

    Raises:
        DeviceTimeout, BadReply: a device did not answer for longer than that.
    """
    clock = clock or MonotonicClock()
    starts = array("q")
    idle, sent = 0, None
    found: Observation = {}
    limited = 0 if guard is None else guard.limited
    keeps_moving = not all(map(is_position, robot.action_features))
    ticks = None if duration is None else round(duration * fps)
    for step in (*observation_steps, *action_steps):
        step.reset()
    observing = [step for step in action_steps if isinstance(step, ObservingStep)]
    with _undisturbed():
        rate, watch = Rate(fps, clock), _Watch(robot, guard)
        while len(starts) != ticks and not (stop is not None and stop()):
            now = clock.now()
            starts.append(now)
            action, observation = None, None
            info: Mapping[str, Any] = {}
            stamps: Mapping[str, int] = {}
            try:
                found, stamps = _observe(robot)
                observation = through(observation_steps, found)
                action, info = source.act(observation)
            except (DeviceTimeout, BadReply) as lost:
                watch.bear(lost, now)
            else:
                action = watch.check(action, info, stamps, now)
            if action is None:
                idle += 1
                if keeps_moving:
                    robot.send_action(hold(sent, found, robot.action_features))
            else:
                for step in observing:
                    step.observe(found)
                action = through(action_steps, action)
                action = sent = robot.send_action(guard(action, found) if guard is not None else action)
            if observation is not None:
                index = len(starts) - 1
                stamps = {key: stamps.get(key, now) for key in observation}
                tick = Tick(index=index, time=now, observation=observation, action=action, info=info, stamps=stamps)
                for sink in sinks:
                    sink.add(tick)
            rate.wait()
    health = _health(starts, fps, rate, idle, clock.now())
    return attrs.evolve(health, held=watch.held, limited=0 if guard is None else guard.limited - limited)


class _Watch:
    """What a loop bears with before it ends, and when it does not trust what it is given. Without a guard: nothing."""

    def __init__(self, robot: Robot, guard: Guard | None) -> None:
        self._joints = [key for key in robot.action_features if is_position(key)]
        self._guard = guard
        self._since = self._acted = 0
        self._began = False
        self.held = 0

    def bear(self, problem: Exception, now: int) -> None:
        """Hold because of this problem; raises it when it has lasted too long, and before anything was ever right."""
        if (
            self._guard is None
            or not self._began
            or (self._since and now - self._since > self._guard.config.patience_s * 1e9)
        ):
            raise problem
        self.held += 1
        if not self._since:
            self._since = now
            logger.warning(
                "the robot holds: %s %s", problem, f"({hint})" if (hint := getattr(problem, "hint", "")) else ""
            )

    def check(
        self, action: Action | None, info: Mapping[str, Any], stamps: Mapping[str, int], now: int
    ) -> Action | None:
        """The action, or None where it or what it answers is too old. After a pause the robot is ramped again."""
        if self._guard is None:
            return action
        limit = self._guard.config.stale_ms * 1e6
        stale = [key for key in self._joints if now - stamps.get(key, now) > limit]
        if stale or now - info.get("stamp", now) > limit:
            self.bear(DeviceTimeout(f"{', '.join(stale) or 'the action'}: nothing new for {limit / 1e6:g} ms"), now)
            return None
        self._began = True
        if self._since or (action is not None and now - self._acted > limit):
            self._guard.reset()
        elif action is None:
            self._guard.pause()
        self._since, self._acted = 0, self._acted if action is None else now
        return action


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Real-time priority where granted, and garbage collection of what is young only: all of it takes tens of ms."""
    usual = gc.get_threshold()
    gc.set_threshold(*usual[:2], NEVER)
    try:
        with real_time():
            yield
    finally:
        if usual[2] != NEVER:  # else another loop will
            gc.set_threshold(*usual)


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
        info = self._events() if self._events is not None else {}
        stamp = getattr(self._teleop, "stamp", None)
        return action, info if stamp is None else {**info, "stamp": stamp}


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
    """Connect devices in order; on the way out stop and disconnect every one, whatever happens.

    Robots come to rest first: what keeps moving goes to zero, and an arm goes to its `park` pose. Then each device ends in
    what it declares. The first error is raised again with those of other devices as notes. SIGTERM and SIGHUP end the
    block like Ctrl-C does; another signal only shortens the parking, unless a device is stuck.
    """
    opened: list[Any] = []
    first: BaseException | None = None
    stop = _Stop()
    with _signals(stop.note):
        try:
            try:
                for device in devices:
                    opened.append(device)
                    device.connect(calibrate) if hasattr(device, "calibrate") else device.connect()
                    stop.check()
                yield
            finally:
                stop.begin()
        except BaseException as error:
            first = error
        ends = [(device, device.disconnect) for device in reversed(opened)]
        robots = [device for device in opened if hasattr(device, "send_action") and device.is_connected]
        for device, end in [(robot, partial(come_to_rest, robot, stop.hurry)) for robot in robots] + ends:
            try:
                end()
            except BaseException as error:  # one device must not keep the others from being stopped
                if first is None:
                    first = error
                else:
                    first.add_note(f"while stopping {getattr(device, 'name', device)}: {error}")
        if first is None and stop.hurry():
            first = KeyboardInterrupt()
    if first is not None:
        raise first


class _Stop:
    """The end of a block: the first signal asks for it, those that follow only ask to hurry.

    One that comes STUCK after that is meant for whatever keeps a device from being stopped, and interrupts it.
    """

    def __init__(self) -> None:
        self._begun, self._hurried = False, 0.0

    def begin(self) -> None:
        self._begun = True

    def check(self) -> None:
        """Interrupt again where that was lost, as in a finaliser."""
        if self._begun:
            raise KeyboardInterrupt

    def hurry(self) -> bool:
        return self._hurried > 0

    def note(self, signum: int, frame: Any) -> None:
        """Handler of a signal."""
        now = time.monotonic()
        if self._begun and not self._hurried:
            self._hurried = now
        elif not self._begun or now - self._hurried > STUCK:
            self._begun = True
            raise KeyboardInterrupt


@contextmanager
def _signals(note: Callable[[int, Any], None]) -> Iterator[None]:
    """Handle what asks a program to end; not where that was asked to be ignored, as under nohup. Main thread only."""
    main = threading.current_thread() is threading.main_thread()
    heard = [number for number in SIGNALS if main and signal.getsignal(number) is not signal.SIG_IGN]
    former = [(number, signal.signal(number, note)) for number in heard]
    try:
        yield
    finally:
        for number, handler in former:
            signal.signal(number, handler)
