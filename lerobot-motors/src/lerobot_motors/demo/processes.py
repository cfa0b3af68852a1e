"""`lr` commands as subprocesses, with everything they say in a log file. Knows no command in particular."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lerobot_core.errors import LeRobotError

_PROGRAM = (sys.executable, "-c", "from lerobot_core.cli import main; main()")
_STOP_TIMEOUT = 5.0


class StepFailed(LeRobotError):
    """A command of the demo ended with an error."""


class Process:
    """A running `lr` command.

    Args:
        arguments: after `lr`.
        log: file for its output.
    """

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self._arguments, self._log = arguments, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*_PROGRAM, *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def said(self) -> str:
        """Its output so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait(self, watch: Callable[[str], None] | None = None) -> None:
        """Wait for its end; `watch` gets the output so far, a few times a second.

        Raises:
            StepFailed: it ended with an error.
        """
        while self.running:
            if watch is not None:
                watch(self.said())
            time.sleep(0.2)
        if self._process.returncode:
            last = [line for line in self.said().splitlines() if line.strip()][-3:]
            raise StepFailed(
                f"`lr {self._arguments[0]}` ended with status {self._process.returncode}: {' | '.join(last)}",
                hint=f"everything it said stands in {self._log}",
            )

    def wait_for(self, text: str, timeout: float = 60.0) -> None:
        """Wait until it has said `text`.

        Raises:
            StepFailed: it ended, or said nothing of the kind in time.
        """
        deadline = time.monotonic() + timeout
        while text not in self.said():
            if not self.running or time.monotonic() > deadline:
                raise StepFailed(f"`lr {self._arguments[0]}` did not get ready", hint=f"see {self._log}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it: by closing its input and a signal, if that is not heeded by force. Idempotent."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if not self.running:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def started(arguments: Sequence[str], log: Path) -> Iterator[Process]:
    """A running `lr` command that is ended with the block."""
    process = Process(arguments, log)
    try:
        yield process
    finally:
        process.stop()


def line(arguments: Sequence[str]) -> str:
    """The command as a person would type it."""
    return shlex.join(["lr", *arguments])
