"""Processes beside this one, found by name through a file that they lock: emulated arms, simulated worlds.

Whoever needs one first starts it and owns it, others attach; it ends when its owner uses it no more or ends. Knows nothing of
what they do.
"""

from __future__ import annotations

import atexit
import fcntl
import mmap
import os
import re
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from lerobot_core.errors import ConfigError, NotConnected

STOP_TIMEOUT = 2.0


def folder() -> Path:
    """Where the files of this user's emulators are; made when missing.

    Raises:
        NotConnected: somebody else owns it.
    """
    path = Path(tempfile.gettempdir()) / f"lerobot-emulators-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid != os.getuid():
        raise NotConnected(f"emulator folder '{path}' belongs to another user", hint="set TMPDIR to a folder of yours")
    return path


def location(name: str, suffix: str) -> Path:
    """File of that suffix of the emulator of that name.

    Raises:
        ConfigError: the name cannot be a file's.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise ConfigError(f"emulator name '{name}': letters, digits, '_', '-' and '.' only")
    return folder() / f"{name}{suffix}"


class SharedFile:
    """A file that several processes map.

    Args:
        path: the file.
        size: of the map [bytes].
        create: make it anew, filled with zeros, and keep its lock, which is how others know that its owner lives.
    """

    def __init__(self, path: Path, size: int, *, create: bool = False) -> None:
        self._file = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
        try:
            if create:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(self._file, 0)
                os.ftruncate(self._file, size)
            self.map = mmap.mmap(self._file, size)
        except BaseException:
            os.close(self._file)
            raise

    def close(self) -> None:
        """Give the file and its lock back; the map goes with the last array on it."""
        os.close(self._file)


def running(path: Path) -> bool:
    """Whether the owner of this file holds its lock."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Of all processes of this user, one looks whether something runs and starts it."""
    file = os.open(folder() / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


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
        """Start one; whoever does holds `one_at_a_time`.

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
