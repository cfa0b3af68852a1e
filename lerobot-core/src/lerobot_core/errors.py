"""The exception tree. A message says what was asked, what was found, what to do, in that order."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple


class LeRobotError(Exception):
    """A user's error: shown as two lines without a traceback.

    Args:
        message: what was asked and what was found.
        hint: what to do.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Problem(NamedTuple):
    """One thing wrong with a configuration: the option's dotted path, the sentence, and the layer it came from."""

    path: str
    text: str
    origin: str = ""

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.text}" + (f" (from {self.origin})" if self.origin else "")


class ConfigError(LeRobotError):
    """Options that cannot be right. Holds every problem found, not just the first."""

    exit_code = 2

    def __init__(self, problems: str | Iterable[Problem], *, hint: str = "") -> None:
        self.problems = [Problem("", problems)] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems), hint=hint)


class PluginError(LeRobotError):
    """A plugin or one of its parts cannot be used."""

    def __init__(self, message: str, *, plugin: str = "", distribution: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.plugin = plugin
        self.distribution = distribution


class FeatureError(LeRobotError):
    """What one side offers is not what the other needs."""


class DataError(LeRobotError):
    """A dataset that cannot be read or written."""

    def __init__(
        self, message: str, *, path: str | Path | None = None, episode: int | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.episode = episode


class CheckpointError(LeRobotError):
    """A checkpoint that cannot be read or does not fit."""

    def __init__(self, message: str, *, path: str | Path | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class DeviceError(LeRobotError):
    """Something about a robot, teleoperator, camera or bus."""

    def __init__(self, message: str, *, device: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.device = device


class NotConnected(DeviceError):
    """Used before `connect()` or after `disconnect()`."""


class DeviceTimeout(DeviceError, TimeoutError):
    """No answer within the deadline."""


class BadReply(DeviceError):
    """An answer that is corrupt or reports a fault."""


class WireError(LeRobotError):
    """The other side of a connection is missing, or sent what the protocol does not allow."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """The choice most like `name`, or the only one that begins with it, or an empty string."""
    known = {choice.lower(): choice for choice in choices}
    found = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    found = found or [choice for choice in known if choice.startswith(name.lower())][:2]
    return known[found[0]] if len(found) == 1 else ""


def first_sentence(failure: BaseException) -> str:
    """What another library says in its first sentence; the rest is often a page."""
    return str(failure).strip().partition("\n")[0].partition(". ")[0].rstrip(".")


def few(names: Iterable[str], most: int = 8, between: str = ", ") -> str:
    """Names as one short text: "a, b, c and 12 more"."""
    known = list(names)
    return between.join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """ "; did you mean 'x'?" for the nearest choice, or an empty string."""
    near = nearest(name, choices)
    return f"; did you mean '{near}'?" if near else ""


def printable(text: str) -> str:
    """A stranger's text without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
