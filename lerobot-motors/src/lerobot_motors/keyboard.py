"""Keys of the terminal: those that steer a recording, and those a person drives a robot with.

Reads the terminal the program runs in and nothing else: no display, no global listener, no permission to ask for, and it
works over SSH. It is asked once per tick and never waits. What a key means is up to the caller. A terminal that one part
reads is not read by another: keys would go now here, now there.
Source: ECMA-48 (CSI), xterm control sequences (SS3 arrows in application mode).
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import sys
import time
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Generic, TypeVar

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


_FINAL = {b"C": Key.RIGHT, b"D": Key.LEFT}
#: What follows the introducer of a key that is not a letter → what it is called when a robot is driven (xterm, VT220).
NAMES = {
    b"A": "up",
    b"B": "down",
    b"C": "right",
    b"D": "left",
    b"H": "home",
    b"F": "end",
    b"5~": "page_up",
    b"6~": "page_down",
}
_ESC = 0x1B

K = TypeVar("K")


class KeyParser(Generic[K]):
    """Bytes of a terminal to keys. *Pure*: time is given. Unknown keys and sequences are dropped whole.

    Args:
        sequences: what follows an introducer → the key.
        escape: the key of a bare escape.
        letters: what becomes of a printable character; None drops it.
    """

    def __init__(
        self, sequences: Mapping[bytes, K], escape: K, letters: Callable[[str], K | None] = lambda letter: None
    ) -> None:
        self._sequences, self._escape, self._letters = sequences, escape, letters
        self._pending = bytearray()
        self._since = 0.0

    def feed(self, data: bytes, now: float) -> list[K]:
        """The keys that are complete at time `now` [s] with `data` added."""
        keys: list[K] = []
        for byte in data:
            keys += self._step(byte)
            self._since = now
        if self._pending and now - self._since >= ESCAPE_WAIT:
            keys += [self._escape] if len(self._pending) == 1 else []
            self._pending.clear()
        return keys

    def _step(self, byte: int) -> list[K]:
        pending = self._pending
        if not pending:
            if byte == _ESC:
                pending.append(byte)
                return []
            letter = self._letters(chr(byte)) if 0x20 <= byte < 0x7F else None
            return [letter] if letter is not None else []
        if byte == _ESC:  # the one before was the key; this one may begin a sequence
            alone = len(pending) == 1
            pending[:] = [_ESC]
            return [self._escape] if alone else []
        if len(pending) == 1:
            if byte in b"[O":
                pending.append(byte)
            else:  # Alt and a letter
                pending.clear()
            return []
        if 0x20 <= byte <= 0x3F:  # parameters: a modifier is held
            pending.append(byte)
            return []
        key = self._sequences.get(bytes([*pending[2:], byte]))
        pending.clear()
        return [key] if key is not None else []


def steering() -> KeyParser[Key]:
    """The keys of a recording."""
    return KeyParser(_FINAL, Key.ESCAPE)


def driving() -> KeyParser[str]:
    """The keys a robot is driven with, by name: letters as they are in lower case, `space`, `up`, `page_up`, `esc`."""
    return KeyParser(NAMES, "esc", lambda letter: "space" if letter == " " else letter.lower())


#: Terminals that are being read, by file descriptor.
_TAKEN: set[int] = set()


class Keyboard(Generic[K]):
    """The keys pressed since the last `poll`, while inside its `with`; none at all where there is no terminal.

    Args:
        descriptor: file descriptor of the terminal; the standard input when left out.
        parser: which keys are known; those of a recording when left out.
    """

    def __init__(self, descriptor: int | None = None, parser: KeyParser[K] | None = None) -> None:
        self._descriptor = descriptor
        self._saved: list | None = None
        self._parser: KeyParser[Any] = parser or steering()

    @property
    def enabled(self) -> bool:
        return self._saved is not None

    def __enter__(self) -> Keyboard[K]:
        if self._descriptor is None and sys.stdin is not None and not sys.stdin.closed:
            self._descriptor = _number_of(sys.stdin)
        if not _is_ours(self._descriptor):
            logger.info("no terminal to read keys from: episodes end by time or by the teleoperator's events")
            return self
        if self._descriptor in _TAKEN:
            logger.info("the keys drive the robot: episodes end by time or by the teleoperator's events")
            return self
        _TAKEN.add(self._descriptor)
        self._saved = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor)  # Ctrl-C stays a signal
        return self

    def __exit__(self, *_: object) -> None:
        if self._saved is not None:
            with contextlib.suppress(termios.error):  # it was closed under us
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._saved)
            self._saved = None
            _TAKEN.discard(self._descriptor)

    def poll(self) -> list[K]:
        """The keys pressed since the last call; waits for nothing."""
        if self._saved is None:
            return []
        data = b""
        if select.select([self._descriptor], [], [], 0)[0]:
            data = _read(self._descriptor)
            if not data:  # the terminal was closed under us; the recording goes on, and there is nothing to restore
                logger.warning("keys are off: the terminal is gone")
                self._saved = None
                _TAKEN.discard(self._descriptor)
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
