"""Strangers' code in this process: it gets so much time, and what it changes of the process is undone and told.

Plugin modules are imported and registration hooks are called in here. What cannot be undone is not tried: code that ends the
process natively ends it, and another module that was patched stays patched.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from types import FrameType
from typing import Any, TextIO

from lerobot_core.errors import PluginError

_AGAIN_SECONDS = 0.1

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE") if hasattr(signal, name)]

#: threads started in here that keep the process from ending
strays: list[threading.Thread] = []


class Overrun(BaseException):
    """A plugin took longer than it may. No Exception, so that a plugin's `except Exception` lets it pass."""

    def __str__(self) -> str:
        return "it took longer than it may; a plugin module only lists what it offers"


@contextmanager
def contained(remarks: list[str], seconds: float) -> Iterator[None]:
    """Run the block with a time limit, and append to `remarks` what it did to the process, undone where that is possible.

    In another thread than the main one the block just runs: what changes meanwhile may be anybody's doing.

    Raises:
        Overrun: it took longer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {what: read() for what, (read, _) in _PROCESS.items()}
    threads = set(threading.enumerate())
    with _aside(remarks):
        try:
            with limited(seconds):
                yield
        finally:
            for what, (read, put_back) in _PROCESS.items():
                if read() != before[what]:
                    put_back(before[what])
                    remarks.append(f"changed {what}; undone")
            for thread in set(threading.enumerate()) - threads:
                remarks.append(f"started the thread '{thread.name}'")
                strays.extend([] if thread.daemon else [thread])


def seconds_of(variable: str, usual: float) -> float:
    """A time limit [s] from the environment.

    Raises:
        PluginError: it is no number of seconds.
    """
    text = os.environ.get(variable, str(usual))
    if not re.fullmatch(r"\d+(\.\d+)?|\.\d+", text):
        raise PluginError(f"{variable} is a number of seconds such as {usual:g}, got '{text}'")
    return float(text)


# --- time -------------------------------------------------------------------------------------------------------------


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise Overrun in a block of the main thread that runs longer. Without effect where there is no setitimer."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    start, tracer = time.monotonic(), sys.gettrace()
    interruptions = count()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if next(interruptions):  # the block caught the one before
            _raise_at_next_line(frame)
        raise Overrun

    handler = signal.signal(signal.SIGALRM, interrupt)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if sys.gettrace() is not tracer:
            sys.settrace(tracer)
        taken = time.monotonic() - start
        if left:  # somebody else's timer goes on
            signal.setitimer(signal.ITIMER_REAL, max(left - taken, 1e-3), interval)
    if taken > seconds:  # it caught the interruption and ended by itself
        raise Overrun


def _raise_at_next_line(frame: FrameType | None) -> None:
    """Let every caller raise Overrun at its next line: a loop that catches everything would go on for ever."""

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            raise Overrun
        return trace

    while frame is not None and frame.f_globals is not globals():
        if not frame.f_code.co_filename.startswith("<frozen "):  # the import system has to clean up
            frame.f_trace = trace
        frame = frame.f_back
    sys.settrace(lambda *_: None)


# --- the process ------------------------------------------------------------------------------------------------------


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # somebody deleted it
        return ""


def _set_environment(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def _set_filters(filters: list[Any]) -> None:
    warnings.filters[:] = filters  # type: ignore[index]


def _set_handlers(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        if handler is not None:  # None: one that was not set from Python
            signal.signal(number, handler)


#: what a plugin leaves as it was: name → (read it, put it back)
_PROCESS: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
    "the working folder": (_folder, lambda folder: os.chdir(folder or ".")),
    "os.environ": (lambda: dict(os.environ), _set_environment),
    "sys.path": (lambda: list(sys.path), lambda paths: setattr(sys, "path", paths)),
    "sys.stderr": (lambda: sys.stderr, lambda stream: setattr(sys, "stderr", stream)),
    "sys.excepthook": (lambda: sys.excepthook, lambda hook: setattr(sys, "excepthook", hook)),
    "the recursion limit": (sys.getrecursionlimit, sys.setrecursionlimit),
    "the warnings filters": (lambda: list(warnings.filters), _set_filters),
    "signal handlers": (lambda: {number: signal.getsignal(number) for number in _SIGNALS}, _set_handlers),
}


@contextmanager
def _aside(remarks: list[str]) -> Iterator[None]:
    """What the block prints, natively or not, becomes a remark; stdout and stderr stay what they were and open."""
    try:
        kept = {number: os.dup(number) for number in (2, 1)}
    except OSError:  # one of them was closed before `lr` began
        yield
        return
    streams = sys.stdout, sys.stderr
    sys.stdout.flush()
    with open(os.memfd_create("printed") if hasattr(os, "memfd_create") else os.devnull, "w+b") as printed:
        os.dup2(printed.fileno(), 1)
        try:
            yield
        finally:
            if sys.stdout is not streams[0] or streams[0].closed:
                remarks.append("closed or replaced sys.stdout; undone")
            if not streams[0].closed:
                streams[0].flush()
            for number, copy in kept.items():
                os.dup2(copy, number)
                os.close(copy)
            sys.stdout, sys.stderr = _open(streams[0], 1), _open(streams[1], 2)
            if printed.seek(0, os.SEEK_END):
                printed.seek(0)
                remarks.append(f"printed {printed.read(60).decode(errors='replace')!r}")


def _open(stream: TextIO, number: int) -> TextIO:
    """The stream, or a new one on the same descriptor when it was closed."""
    return open(number, "w", closefd=False) if stream.closed else stream
