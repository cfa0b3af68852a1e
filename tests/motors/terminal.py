"""A terminal for the tests: what a person would see of the bytes a program writes. Wraps long lines, as terminals do."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Callable

_PARTS = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])|(\r\n|\n|\r)|([^\x1b\r\n])")


class Terminal:
    """A pty and its screen.

    Attributes:
        theirs: file descriptor of the program's side.
        keys: file descriptor of the person's side.
        wrapped: lines that were too long.
    """

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.keys, self.theirs = pty.openpty()
        self._open = True
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._columns, self._rows = columns, rows
        self._lines, self._row, self._column = [""], 0, 0
        self.wrapped: list[str] = []

    def close_theirs(self) -> None:
        """The program has it now."""
        os.close(self.theirs)

    def close(self) -> None:
        """The person is gone."""
        if self._open:
            self._open = False
            os.close(self.keys)

    def text(self) -> str:
        """All that is on the screen and above it."""
        return "\n".join(line.rstrip() for line in self._lines)

    def read(self, seconds: float = 0.0) -> bool:
        """Take what the program wrote; whether it still holds the terminal."""
        while select.select([self.keys], [], [], seconds)[0]:
            try:
                data = os.read(self.keys, 65536)
            except OSError:  # the program is gone
                return False
            self._show(data.decode())
        return True

    def until(self, seen: Callable[[str], bool], seconds: float = 20.0) -> str:
        """The text as soon as it is as asked for."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            open_ = self.read(0.02)
            if seen(self.text()):
                return self.text()
            if not open_:
                break
        raise AssertionError(f"not seen within {seconds} s:\n{self.text()}")

    def _show(self, data: str) -> None:
        for numbers, order, turn, letter in _PARTS.findall(data):
            if letter:
                self._put(letter)
            elif turn:
                self._column = 0
                self._row += "\n" in turn
            elif order == "A":
                self._row = max(self._row - int(numbers or 1), 0)
            elif order in "JK":
                self._line(self._line()[: self._column])
                if order == "J":
                    del self._lines[self._row + 1 :]

    def _line(self, new: str | None = None) -> str:
        self._lines += [""] * (self._row + 1 - len(self._lines))
        if new is not None:
            self._lines[self._row] = new
        return self._lines[self._row]

    def _put(self, letter: str) -> None:
        if self._column == self._columns:
            self.wrapped.append(self._line())
            self._row, self._column = self._row + 1, 0
        line = self._line().ljust(self._column)
        self._line(line[: self._column] + letter + line[self._column + 1 :])
        self._column += 1
