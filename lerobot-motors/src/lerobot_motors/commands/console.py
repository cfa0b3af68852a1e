"""What the commands that move hardware share at the terminal: Ctrl-C between two ticks, health in words, the report.

Knows nothing of what a command does with its ticks.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import click

from lerobot_core.loop import SIGNALS, LoopHealth
from lerobot_core.roles import DatasetWriter
from lerobot_motors.cameras import rig

#: What to do with a leader that does not fit the robot.
SAME_JOINTS = "both need the same joints and units: another --teleop.type, or the same use_degrees for both"


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


def health_of(**devices: Any) -> dict[str, Any]:
    """Role → what a device counts in its `health`, a mapping or an attrs object, for those that count anything; a robot's
    cameras as `camera NAME`."""
    cameras = {f"camera {name}": camera for name, camera in rig.cameras_of(devices.get("robot")).items()}
    found = {role: getattr(device, "health", None) for role, device in (devices | cameras).items()}
    return {role: health for role, health in found.items() if isinstance(health, Mapping) or attrs.has(type(health))}


def health_lines(found: Mapping[str, Any]) -> list[str]:
    """One line per device, in its own words where it has some."""
    return [f"{role}: {health_text(health)}" for role, health in found.items()]


def health_text(health: Any) -> str:
    """The counters of one device in words, one line or more."""
    return health.line() if hasattr(health, "line") else _pairs(health_data(health))


def health_data(health: Any) -> dict[str, Any]:
    """The counters of one device as plain data."""
    return dict(health) if isinstance(health, Mapping) else attrs.asdict(health)


def _pairs(health: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in health.items())


def end_run(health: LoopHealth, found: Mapping[str, Any], path: Path | None, **more: Any) -> None:
    """Print how the loop and the devices did, and write it where a file was asked for."""
    for line in (health.line(), *health_lines(found)):
        click.echo(line)
    write_report(path, {**health.to_data(), **more, "devices": devices_data(found)})


def dropped_frames(writer: DatasetWriter) -> int:
    """Pictures that full queues have cost so far: the sum of the writer's `dropped` by camera, where it counts them."""
    return sum(getattr(writer, "dropped", {}).values())


def devices_data(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Role → counters as plain data."""
    return {role: health_data(health) for role, health in found.items()}


def write_report(path: Path | None, data: Mapping[str, Any]) -> None:
    """The figures of a run as JSON, where a file was asked for."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2) + "\n")
