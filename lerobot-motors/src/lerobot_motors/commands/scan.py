"""`lr scan`: which servos are on a port, whatever rate and id they have."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import attrs
import click

from lerobot_core.cli import config_command
from lerobot_core.errors import ConfigError, DeviceError
from lerobot_motors.buses import scanning
from lerobot_motors.buses.family import Family
from lerobot_motors.buses.scanning import Found
from lerobot_motors.commands import servos
from lerobot_motors.commands.console import write_report

HEAD = ("id", "model", "firmware", "baud", "voltage", "temperature", "family")


@attrs.frozen(kw_only=True)
class ScanConfig:
    """Options of `lr scan`.

    Attributes:
        port: serial port, as /dev/ttyACM0, or an emulated one, as emulated://so101.
        family: the only kind of servos to look for; empty: every kind.
        baudrate: the only rate to try [bits per second]; empty: every rate the servos can be set to.
        every_id: ask each of 254 ids by itself at every rate, which takes a minute; done anyway where nobody answers a
            call to all, as SCS servos do not.
        output_file: JSON file for what was found.
    """

    port: str
    family: Literal["dynamixel", "feetech"] | None = None
    baudrate: int | None = None
    every_id: bool = False
    output_file: Path | None = None


@config_command(ScanConfig)
def scan(config: ScanConfig) -> None:
    """Tell which servos are on a port: Feetech and Dynamixel, every baud rate, every id.

    \b
    lr scan --port=/dev/ttyACM0
    lr scan --port=/dev/ttyUSB0 --family=dynamixel --baudrate=57600
    """
    known = scanning.families(config.family)
    rates = _rates(known, config.baudrate)
    found = _found(config.port, known, rates, config.every_id)
    if not found and not config.every_id and any(family.name == "feetech" for family in known):
        click.echo("nobody answers a call to all: asking every id by itself", err=True)
        found = _found(config.port, [family for family in known if family.name == "feetech"], rates, True)
    if not found:
        tried = ", ".join(family.name for family in known)
        raise DeviceError(
            f"no servo answers on '{config.port}' ({tried} at {', '.join(map(str, rates))} baud)",
            device=config.port,
            hint="is the arm's power supply on, the three-pin cable in the board, and this its port (`lr find-port`)?",
        )
    for line in servos.columns([HEAD, *map(_row, found)]):
        click.echo(line)
    for line in _warnings(found):
        click.echo(line)
    write_report(config.output_file, {"port": config.port, "servos": [servo._asdict() for servo in found]})


def _rates(known: list[Family], only: int | None) -> list[int]:
    rates = scanning.rates(known)
    if only is not None and only not in rates:
        raise ConfigError(f"no servo can be set to {only} baud", hint=f"known: {', '.join(map(str, rates))}")
    return rates if only is None else [only]


def _found(port: str, known: list[Family], rates: list[int], every_id: bool) -> list[Found]:
    with progress(len(rates) * len(known)) as step:
        return list(scanning.scan(port, known, rates, every_id=every_id, step=step))


@contextmanager
def progress(total: int) -> Iterator[scanning.Step]:
    """A bar on a terminal that is told what is tried next."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    import rich.progress
    from rich.console import Console

    with rich.progress.Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("scanning", total=total)
        yield lambda text: bar.update(task, advance=1, description=text)


def _row(servo: Found) -> tuple[str, ...]:
    model = servo.model or (f"unknown ({servo.number})" if servo.number is not None else "?")
    volts = "?" if servo.voltage is None else f"{servo.voltage:.1f} V"
    degrees = "?" if servo.temperature is None else f"{servo.temperature:.0f} °C"
    return str(servo.id), model, servo.firmware or "?", str(servo.baudrate), volts, degrees, servo.family


def _warnings(found: list[Found]) -> Iterator[str]:
    for servo in found:
        if servo.clash:
            yield (
                f"id {servo.id} at {servo.baudrate} baud: damaged or double replies. Two servos have this id, or the cable "
                "is bad: connect each alone; `lr setup-motors` gives ids"
            )
    rates = sorted({servo.baudrate for servo in found})
    if len(rates) > 1:
        yield f"the servos are set to {' and '.join(map(str, rates))} baud; a bus has one rate: `lr setup-motors` sets it"
