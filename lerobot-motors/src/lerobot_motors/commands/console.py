"""What the commands that move hardware share at the terminal: Ctrl-C between two ticks, live figures, the report.

Knows nothing of what a command does with its ticks.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import click

from lerobot_core.loop import SIGNALS, LoopHealth, Tick

#: What to do with a leader that does not fit the robot.
SAME_JOINTS = "both need the same joints and units: another --teleop.type, or the same use_degrees for both"
#: Time between two refreshes of the live figures [ns].
REFRESH = 250_000_000


class Interrupt:
    """Whether Ctrl-C was pressed, or the system or a closed terminal asked to end. The first time is only noted, so that the
    loop ends between two ticks with its figures and every file whole; the second interrupts at once."""

    def __init__(self) -> None:
        self.requested = False

    def __call__(self) -> bool:
        return self.requested

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Note signals inside this block. Main thread only, as Python's signals are."""

        def note(signum: int, frame: Any) -> None:
            self.requested = True
            restore()

        def restore() -> None:
            for number, handler in former.items():
                signal.signal(number, handler)

        heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        former = {number: signal.getsignal(number) for number in heard}
        for number in heard:
            signal.signal(number, note)
        try:
            yield
        finally:
            restore()


class Meter:
    """A sink that says a few times a second how the run is: rate, period error, the oldest value, what devices count as errors.

    Args:
        fps: the rate asked for [Hz].
        show: takes the index of the tick and the text.
        devices: whose `health.errors` are shown, where they have any.
    """

    def __init__(self, fps: float, show: Callable[[int, str], None], *devices: Any) -> None:
        self._period = 1e9 / fps
        self._show, self._devices = show, devices
        self._began = self._former = self._count = 0
        self._worst = 0.0

    def add(self, tick: Tick) -> None:
        if not self._former:
            self._began = tick.time
        else:
            self._count += 1
            self._worst = max(self._worst, abs(tick.time - self._former - self._period))
        self._former = tick.time
        if self._count and tick.time - self._began >= REFRESH:
            rate = self._count * 1e9 / (tick.time - self._began)
            text = f"{rate:6.2f} Hz, worst period error {self._worst / 1e6:.2f} ms"
            self._show(tick.index + 1, text + self._oldest(tick) + self._errors())
            self._began, self._count, self._worst = tick.time, 0, 0.0

    def add_sample(self, key: str, value: Any, stamp: int) -> None:
        """Samples between ticks say nothing about the loop."""

    def _oldest(self, tick: Tick) -> str:
        key, stamp = min(tick.stamps.items(), key=lambda item: item[1], default=("", tick.time))
        return f", '{key}' {(tick.time - stamp) / 1e6:.0f} ms old" if tick.time - stamp > self._period else ""

    def _errors(self) -> str:
        counts = [getattr(getattr(device, "health", None), "errors", 0) for device in self._devices]
        return f", {sum(counts)} bus errors" if any(counts) else ""


def live_line(fps: float, *devices: Any) -> list[Meter]:
    """The sink that keeps one line of a terminal up to date; none where there is no terminal."""
    if not sys.stderr.isatty():
        return []

    def show(tick: int, text: str) -> None:
        click.echo(f"\r\x1b[K{tick / fps:.1f} s  {text}  (Ctrl-C ends)", nl=False, err=True)

    return [Meter(fps, show, *devices)]


def health_of(**devices: Any) -> dict[str, Any]:
    """Role → what a device counts in its `health`, a mapping or an attrs object, for those that count anything."""
    found = {role: getattr(device, "health", None) for role, device in devices.items()}
    return {role: health for role, health in found.items() if isinstance(health, Mapping) or attrs.has(type(health))}


def health_lines(found: Mapping[str, Any]) -> list[str]:
    """One line per device, in its own words where it has some."""
    return [
        f"{role}: {health.line() if hasattr(health, 'line') else _pairs(health_data(health))}"
        for role, health in found.items()
    ]


def health_data(health: Any) -> dict[str, Any]:
    """The counters of one device as plain data."""
    return dict(health) if isinstance(health, Mapping) else attrs.asdict(health)


def _pairs(health: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in health.items())


def end_run(health: LoopHealth, found: Mapping[str, Any], path: Path | None, **more: Any) -> None:
    """Print how the loop and the devices did, and write it where a file was asked for."""
    if sys.stderr.isatty():  # the live line
        click.echo("\r\x1b[K", nl=False, err=True)
    for line in (health.line(), *health_lines(found)):
        click.echo(line)
    write_report(path, {**health.to_data(), **more, "devices": devices_data(found)})


def devices_data(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Role → counters as plain data."""
    return {role: health_data(health) for role, health in found.items()}


def write_report(path: Path | None, data: Mapping[str, Any]) -> None:
    """The figures of a run as JSON, where a file was asked for."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2) + "\n")
