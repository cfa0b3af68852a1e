"""Lines kept at the foot of a terminal, with what the program says above them.

One thread writes everything, so that a terminal that takes nothing (Ctrl-S, a network that hangs) holds up nobody else. The
lines are put together by hand: rich takes the interpreter from the control loop for five times as long.
Knows nothing of what the lines say. Source: ECMA-48 (CSI A, J, K; SGR).
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from rich.cells import cell_len, set_cell_size

#: Time between two looks at what there is to show [s].
REFRESH = 0.25
#: How long the end waits for a terminal that takes nothing [s].
_PATIENCE = 0.3
#: Colours by what they mean (SGR).
STYLES = {"label": "2", "title": "1", "notice": "33", "alarm": "1;31"}

#: Pieces of one line: text, and what it means (a key of STYLES) or an empty string.
Line = list[tuple[str, str]]


def fitted(line: Line, width: int, *, colours: bool = True) -> str:
    """A line in at most `width` columns, and only one line whatever its texts hold."""
    out, room = [], width
    for text, style in line:
        text = "".join(letter if letter.isprintable() else " " for letter in text)
        size = cell_len(text)
        if size > room:
            text, size = set_cell_size(text, room - 1) + "…" if room > 0 else "", room
        room -= size
        out.append(f"\x1b[{STYLES[style]}m{text}\x1b[0m" if style and colours and text else text)
        if not room:
            break
    return "".join(out)


class Panel:
    """Shows lines at the foot of a terminal inside its `with`; does nothing where there is no terminal.

    Args:
        compose: gives the lines; called a few times a second by the thread that draws, with the columns there are.
        stream: the terminal; the standard error when left out.
    """

    def __init__(self, compose: Callable[[int], Iterable[Line]], stream: TextIO | None = None) -> None:
        self._compose = compose
        self._stream = sys.stderr if stream is None else stream
        self._said: deque[str] = deque()
        self._stirred = threading.Event()
        self._ended = False
        self._replaced: list[tuple[str, TextIO]] = []
        self._thread = threading.Thread(target=self._run, name="panel", daemon=True)

    @property
    def enabled(self) -> bool:
        return self._stream.isatty() and os.environ.get("TERM") != "dumb"

    def __enter__(self) -> Panel:
        if self.enabled:
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if stream is not None and stream.isatty():
                    stream.flush()
                    self._replaced.append((name, stream))
                    setattr(sys, name, _Above(stream, self))
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._stirred.set()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE)
        self._give_back()

    def say(self, text: str) -> None:
        """Write lines above the panel; waits for nothing."""
        self._said.append(text)
        self._stirred.set()

    def _run(self) -> None:
        try:
            with contextlib.suppress(OSError):  # the terminal was closed; the run goes on and ends as it would
                try:
                    while not self._ended:
                        self._write(self._message() + self._drawn())
                        self._stirred.wait(REFRESH)
                        self._stirred.clear()
                finally:
                    self._write("\x1b[J" + self._message())
        finally:
            self._give_back()

    def _give_back(self) -> None:
        """The streams are as they were, whatever ended the panel."""
        while self._replaced:
            name, stream = self._replaced.pop()
            setattr(sys, name, stream)

    def _write(self, text: str) -> None:
        """Past the stream, whose lock would be held as long as the terminal takes nothing."""
        data = text.encode(self._stream.encoding or "utf-8", "replace")
        while data:
            data = data[os.write(self._stream.fileno(), data) :]

    def _message(self) -> str:
        """What was said since the last time, in place of the lines; the cursor is always at their beginning."""
        said = ""
        while self._said:
            said += self._said.popleft()
        return f"\x1b[J{said}" if said else ""

    def _drawn(self) -> str:
        columns, rows = (size or 80 for size in os.get_terminal_size(self._stream.fileno()))
        colours = "NO_COLOR" not in os.environ
        # one column less: in the last one a terminal may wrap, or erase what it has just written
        lines = [fitted(line, columns - 1, colours=colours) for line in self._compose(columns - 1)][: rows - 1]
        return "\x1b[K\n".join(lines) + "\x1b[J\r" + (f"\x1b[{len(lines) - 1}A" if len(lines) > 1 else "")


class _Above:
    """In place of a standard stream: whole lines go above the panel, anything else is the stream's own."""

    def __init__(self, stream: TextIO, panel: Panel) -> None:
        self._stream, self._panel = stream, panel
        self._begun = ""

    def write(self, text: str) -> int:
        whole, ended, rest = text.rpartition("\n")
        if ended:
            self._panel.say(self._begun + whole + ended)
            self._begun = rest
        else:
            self._begun += text
        return len(text)

    def flush(self) -> None:
        """Lines are written when they are whole."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
