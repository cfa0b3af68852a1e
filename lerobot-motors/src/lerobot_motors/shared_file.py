"""Files that processes of one user share, found by name; a lock on one says that its owner lives.

Imports nothing heavy, so that an emulator starts in a fraction of a second.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lerobot_core.errors import ConfigError, NotConnected


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
