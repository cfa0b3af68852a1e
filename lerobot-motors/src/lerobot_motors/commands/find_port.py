"""`lr find-port`: which serial port is which arm, by pulling its cable out."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from lerobot_core.errors import DeviceError
from lerobot_motors.buses import serial_ports

#: Longest the system may take to notice that a cable was pulled [s].
NOTICE = 3.0


def vanished(before: list[str], list_ports: Callable[[], list[str]], patience: float = NOTICE) -> list[str]:
    """The ports of `before` that are gone; waits up to `patience` [s] for one to go."""
    deadline = time.monotonic() + patience
    while True:
        now = list_ports()
        gone = [port for port in before if port not in now]
        if gone or time.monotonic() > deadline:
            return gone
        time.sleep(0.1)


@click.command()
def find_port() -> None:
    """Tell which serial port an arm is on: pull its USB cable out when asked."""
    before = serial_ports.found()
    if not before:
        raise DeviceError("no serial port has a device", hint="plug the arm in and switch its power on")
    click.echo("serial ports: " + ", ".join(before))
    click.prompt("pull the arm's USB cable out and press ENTER", default="", show_default=False, prompt_suffix=" ")
    gone = vanished(before, serial_ports.found)
    if len(gone) != 1:
        found = ", ".join(gone) or "none"
        raise DeviceError(f"one port should have gone, found: {found}", hint="pull out one cable, then try again")
    click.echo(f"the arm is on {gone[0]}; plug it in again")
