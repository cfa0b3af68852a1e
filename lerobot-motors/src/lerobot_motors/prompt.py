"""Talking with the person at the arm: a question, a live table, a key to go on. Knows no motors."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import Protocol

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from lerobot_core.errors import DeviceError


class Prompt(Protocol):
    """What a calibration needs of a person."""

    def ask(self, text: str) -> str:
        """Show the text, wait for ENTER; returns what was typed before it."""
        ...

    def watch(self, text: str) -> None:
        """Show the text and begin to wait for ENTER; `show` and `done` follow."""
        ...

    def show(self, lines: Sequence[str]) -> None:
        """Replace the live lines."""
        ...

    def done(self) -> bool:
        """Whether ENTER was pressed since `watch`."""
        ...

    def end(self) -> None:
        """Take the live lines away; called however it ends."""
        ...


#: Time between two prints of the lines where they cannot be replaced [s].
PLAIN_PERIOD = 1.0


class ConsolePrompt:
    """The person at the terminal. Live lines are replaced where the screen allows it, else printed once a second.

    Raises:
        DeviceError: from `ask` and `watch`, when there is no terminal.
    """

    def __init__(self) -> None:
        self._live: Live | None = None
        self._entered = threading.Event()
        self._next = 0.0

    def ask(self, text: str) -> str:
        _need_terminal(text)
        click.echo(text, err=True)
        return sys.stdin.readline().strip()

    def watch(self, text: str) -> None:
        _need_terminal(text)
        click.echo(text, err=True)
        self._entered.clear()
        threading.Thread(target=self._wait, name="wait-for-enter", daemon=True).start()
        screen = Console(stderr=True)
        if screen.is_terminal:
            self._live = Live(console=screen, auto_refresh=False, transient=True)
            self._live.start()

    def show(self, lines: Sequence[str]) -> None:
        if self._live is not None:
            self._live.update(Text("\n".join(lines)), refresh=True)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + PLAIN_PERIOD
            click.echo("\n".join(lines), err=True)

    def done(self) -> bool:
        return self._entered.is_set()

    def end(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _wait(self) -> None:
        sys.stdin.readline()
        self._entered.set()


def _need_terminal(text: str) -> None:
    if not sys.stdin.isatty():
        raise DeviceError(
            f"nobody can answer: {text.splitlines()[0]} (standard input is no terminal)",
            hint="run `lr calibrate` in a terminal first",
        )
