"""How a run is while it goes on: the figures of the loop, of the devices and of the dataset as a few lines of a terminal.

Knows devices by their `health`, cameras by their age, and nothing of what a command does in its phases.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from lerobot_core.guard import Guard
from lerobot_core.loop import Tick
from lerobot_core.roles import DatasetWriter
from lerobot_motors.cameras import rig
from lerobot_motors.commands import console
from lerobot_motors.commands.panel import Line, Panel

#: Nothing from the loop for this long is said [ns].
SILENCE = 300_000_000
#: Part of the rate asked for below which it is coloured.
_ENOUGH = 0.98
_LABEL = 8
_BAR = 24


class Pace(NamedTuple):
    """Ticks of a while: monotonic time of its begin and of its last tick [ns], their number, the worst period error [ns]."""

    began: int
    last: int
    count: int
    worst: float

    @property
    def rate(self) -> float:
        """[Hz]"""
        return self.count * 1e9 / (self.last - self.began)


class Phase(NamedTuple):
    """What a run is doing: its name, its length [s] (None without an end), and when it began, monotonic [ns]."""

    title: str
    seconds: float | None
    began: int


class Dashboard:
    """A sink that keeps the last tick, and inside its `with` a panel that shows how the run is.

    Args:
        fps: rate asked for [Hz].
        guard: whose state is shown.
        devices: by role; what they and the robot's cameras count in `health` is shown.

    Attributes:
        writer: the dataset being recorded, if any.
        keys: what the person can press.
    """

    def __init__(self, fps: float, *, guard: Guard, **devices: Any) -> None:
        self._fps, self._period = fps, 1e9 / fps
        self._guard, self._devices = guard, devices
        self.writer: DatasetWriter | None = None
        self.keys = "Ctrl-C ends"
        cameras = rig.cameras_of(devices.get("robot"))
        self._periods = {name: 1e9 / camera.fps for name, camera in cameras.items() if getattr(camera, "fps", 0)}
        self._phase = Phase("", None, time.monotonic_ns())
        self._tick: Tick | None = None
        self._pace: Pace | None = None
        self._shown: Pace | None = None
        self._panel = Panel(self.lines)

    def __enter__(self) -> Dashboard:
        self._panel.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._panel.__exit__(*error)

    def begin(self, title: str, seconds: float | None = None) -> None:
        """A phase begins; without a tick of its own it only has a clock."""
        self._phase = Phase(title, seconds, time.monotonic_ns())
        self._tick = self._pace = self._shown = None

    def add(self, tick: Tick) -> None:
        pace = self._pace
        if pace is None:
            self._pace = Pace(tick.time, tick.time, 0, 0.0)
        else:
            worst = max(pace.worst, abs(tick.time - pace.last - self._period))
            self._pace = Pace(pace.began, tick.time, pace.count + 1, worst)
        self._tick = tick

    def add_sample(self, key: str, value: Any, stamp: int) -> None:
        """Samples between ticks say nothing about the loop."""

    def lines(self, columns: int) -> list[Line]:
        """The panel of this moment, in at most so many columns."""
        now, tick = time.monotonic_ns(), self._tick
        rows = [self._head(now, columns)]
        if tick is not None:
            rows += [self._rate(tick, now), *self._health(), *self._ages(tick), self._guarded(tick)]
        if self.writer is not None:
            dropped = console.dropped_frames(self.writer)
            stored = f"{self.writer.num_episodes} stored, "
            rows.append(_row("episodes", (stored, ""), (f"{dropped} frames dropped", "notice" if dropped else "")))
        return [*rows, _row("keys", (self.keys, "label"))]

    def _head(self, now: int, columns: int) -> Line:
        title, seconds, began = self._phase
        gone = (now - began) / 1e9
        if seconds is None:
            return [(title, "title"), (f"  {gone:.1f} s", "")]
        clock = f"{min(gone, seconds):.1f} of {seconds:g} s"
        room = min(_BAR, columns - len(title) - len(clock) - 4)
        done = round(min(gone / seconds, 1.0) * room) if seconds else room
        bar = f"  {'#' * done}{'.' * (room - done)}  " if room >= 5 else "  "
        return [(title, "title"), (bar, "label"), (clock, "")]

    def _rate(self, tick: Tick, now: int) -> Line:
        pace = self._pace
        if pace is not None and pace.count:
            self._shown, self._pace = pace, Pace(pace.last, pace.last, 0, 0.0)
        if now - tick.time > max(SILENCE, 3 * self._period):
            return _row("rate", (f"nothing for {(now - tick.time) / 1e9:.1f} s: the robot holds", "alarm"))
        if self._shown is None:
            return _row("rate", (f"{self._fps:g} Hz asked", ""))
        rate, worst = self._shown.rate, self._shown.worst
        style = "notice" if rate < _ENOUGH * self._fps else ""
        return _row(
            "rate", (f"{rate:.2f} of {self._fps:g} Hz", style), (f", worst period error {worst / 1e6:.2f} ms", "")
        )

    def _health(self) -> list[Line]:
        """What each device counts; below it what its servos do, in one line."""
        rows = []
        for role, health in console.health_of(**self._devices).items():
            total, *parts = console.health_text(health).splitlines() or [""]
            style = "notice" if getattr(health, "errors", 0) else ""
            rows.append(_row(role, (total, style)))
            if parts:
                rows.append(_row("", ("; ".join(part.strip() for part in parts), style)))
        return rows

    def _ages(self, tick: Tick) -> list[Line]:
        """How old what the robot observed was when the loop asked for it, oldest first; what is of one moment is one."""
        moments: dict[int, list[str]] = {}
        for key, stamp in tick.stamps.items():
            moments.setdefault(stamp, []).append(key)
        pieces: Line = []
        for stamp, (key, *others) in sorted(moments.items()):
            age = max(tick.time - stamp, 0)
            late = age > max(self._period, self._periods.get(key, 0.0))
            text = f"{key}{f' and {len(others)} more' if others else ''} {age / 1e6:.0f} ms"
            pieces += [(", " if pieces else "", ""), (text, "notice" if late else "")]
        return [_row("ages", *pieces)] if pieces else []

    def _guarded(self, tick: Tick) -> Line:
        state = "follows" if self._guard.caught_up else "catches up slowly"
        limited = f", {self._guard.limited} actions limited" if self._guard.limited else ""
        return _row("guard", ("nothing is sent" if tick.action is None else state, ""), (limited, ""))


def _row(label: str, *pieces: tuple[str, str]) -> Line:
    return [(f"{label:<{_LABEL}} ", "label"), *pieces]
