"""Processes beside this one: emulated arms, simulated worlds.

Whoever needs one first starts it and owns it, others attach; it ends when its owner uses it no more or ends. Knows nothing of
what they do.
"""

from __future__ import annotations

import atexit
import os
import select
import subprocess
import sys
from collections.abc import Sequence

import attrs

from lerobot_core.errors import NotConnected

STOP_TIMEOUT = 2.0


@attrs.define
class _Child:
    process: subprocess.Popen[bytes]
    owner: int
    users: int


class Sidecars:
    """Those of one kind that this process owns.

    Args:
        module: what `python -m` runs; it writes the line `ready`, or what is wrong, and ends when its standard input closes.
        noun: what messages call one.
        timeout: longest one may take to start [s].
    """

    def __init__(self, module: str, noun: str, timeout: float) -> None:
        self._module, self._noun, self._timeout = module, noun, timeout
        self._children: dict[str, _Child] = {}
        atexit.register(self._stop_all)

    def __len__(self) -> int:
        return len(self._children)

    def start(self, name: str, arguments: Sequence[str]) -> None:
        """Start one; whoever does holds `shared_file.one_at_a_time`.

        Raises:
            NotConnected: it does not start.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", self._module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the robot, which needs its servos to stop
            env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
        )
        said = _first_line(process, self._timeout)
        if said != "ready":
            _stop(process)
            raise NotConnected(
                f"{self._noun} '{name}' did not start ({said or f'exit status {process.returncode}'})",
                device=name,
                hint=f"see what {sys.executable} -m {self._module} {' '.join(arguments)} says",
            )
        self._children[name] = _Child(process, os.getpid(), 0)

    def use(self, name: str) -> None:
        """Count one more user of it, where this process owns it."""
        if (child := self._own(name)) is not None:
            child.users += 1

    def release(self, name: str) -> None:
        """One user less; it ends with the last."""
        if (child := self._own(name)) is None:
            return
        child.users -= 1
        if child.users <= 0:
            del self._children[name]
            _stop(child.process)

    def _own(self, name: str) -> _Child | None:
        child = self._children.get(name)
        return child if child is not None and child.owner == os.getpid() else None

    def _stop_all(self) -> None:
        for name in list(self._children):
            if (child := self._own(name)) is not None:
                del self._children[name]
                _stop(child.process)


def _first_line(process: subprocess.Popen[bytes], timeout: float) -> str:
    if process.stdout is None:
        return ""
    with process.stdout as output:
        readable, _, _ = select.select([output], [], [], timeout)
        return output.readline().decode(errors="replace").strip() if readable else ""


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
