"""Keys of the terminal that steer a recording: right arrow, left arrow, escape.

Reads the terminal the program runs in and nothing else: no display, no global listener, no permission to ask for, and it
works over SSH. It is asked once per tick and never waits. What a key means is up to the caller.
Source: ECMA-48 (CSI), xterm control sequences (SS3 arrows in application mode).
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import sys
import time
from enum import Enum

try:
    import termios
    import tty
except ImportError:  # not a POSIX system
    termios = tty = None

#: An escape byte with nothing after it for this long is the escape key: terminals send a sequence in one go, and a
#: network may split it [s].
ESCAPE_WAIT = 0.05

logger = logging.getLogger(__name__)


class Key(Enum):
    """The keys known, as people call them."""

    RIGHT = "right arrow"
    LEFT = "left arrow"
    ESCAPE = "escape"


_FINAL = {ord("C"): Key.RIGHT, ord("D"): Key.LEFT}
_ESC = 0x1B


class KeyParser:
    """Bytes of a terminal to keys. *Pure*: time is given. Unknown keys and sequences are dropped whole."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._since = 0.0

    def feed(self, data: bytes, now: float) -> list[Key]:
        """The keys that are complete at time `now` [s] with `data` added."""
        keys: list[Key] = []
        for byte in data:
            keys += self._step(byte)
            self._since = now
        if self._pending and now - self._since >= ESCAPE_WAIT:
            keys += [Key.ESCAPE] if len(self._pending) == 1 else []
            self._pending.clear()
        return keys

    def _step(self, byte: int) -> list[Key]:
        pending = self._pending
        if not pending:
            if byte == _ESC:
                pending.append(byte)
            return []
        if byte == _ESC:  # the one before was the key; this one may begin a sequence
            alone = len(pending) == 1
            pending[:] = [_ESC]
            return [Key.ESCAPE] if alone else []
        if len(pending) == 1:
            if byte in b"[O":
                pending.append(byte)
            else:  # Alt and a letter
                pending.clear()
            return []
        if 0x20 <= byte <= 0x3F:  # parameters: a modifier is held
            pending.append(byte)
            return []
        plain = len(pending) == 2
        pending.clear()
        return [_FINAL[byte]] if plain and byte in _FINAL else []


class Keyboard:
    """The keys pressed since the last `poll`, while inside its `with`; none at all where there is no terminal.

    Args:
        descriptor: file descriptor of the terminal; the standard input when left out.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = descriptor
        self._saved: list | None = None
        self._parser = KeyParser()

    @property
    def enabled(self) -> bool:
        return self._saved is not None

    def __enter__(self) -> Keyboard:
        if self._descriptor is None and sys.stdin is not None and not sys.stdin.closed:
            self._descriptor = _number_of(sys.stdin)
        if not _is_ours(self._descriptor):
            logger.info("no terminal to read keys from: episodes end by time or by the teleoperator's events")
            return self
        self._saved = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor)  # Ctrl-C stays a signal
        return self

    def __exit__(self, *_: object) -> None:
        if self._saved is not None:
            with contextlib.suppress(termios.error):  # it was closed under us
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._saved)
            self._saved = None

    def poll(self) -> list[Key]:
        """The keys pressed since the last call; waits for nothing."""
        if self._saved is None:
            return []
        data = b""
        if select.select([self._descriptor], [], [], 0)[0]:
            data = _read(self._descriptor)
            if not data:  # the terminal was closed under us; the recording goes on, and there is nothing to restore
                logger.warning("keys are off: the terminal is gone")
                self._saved = None
        return self._parser.feed(data, time.monotonic())


def _read(descriptor: int) -> bytes:
    """The bytes waiting; none at all when the other side hung up."""
    try:
        return os.read(descriptor, 1024)
    except OSError:
        return b""


def _number_of(stream: object) -> int | None:
    """File descriptor of a stream, or None for one that has none, as a test's."""
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def _is_ours(descriptor: int | None) -> bool:
    """Whether this is a terminal that the program holds in the foreground: setting it from the background would stop us."""
    if termios is None or descriptor is None or not os.isatty(descriptor):
        return False
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:  # not the controlling terminal, as a pty opened by hand: nobody else reads it
        return True
