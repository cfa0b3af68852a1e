"""Entries of the language columns: what they must say to be recorded. *Pure.*

`language_persistent` holds what stays true from a time on, the same list in every frame of an episode;
`language_events` what happens at a frame. A style belongs to one of the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lerobot_core.errors import DataError

PERSISTENT = "language_persistent"
EVENTS = "language_events"

STYLES = {
    PERSISTENT: ("subtask", "plan", "memory", "motion", "task_aug"),
    EVENTS: ("interjection", "vqa", "trace", None),
}
_OF_A_CAMERA = ("vqa", "trace")
_KEYS = ("role", "content", "style", "timestamp", "camera", "tool_calls")


def checked(column: str, entries: Any) -> list[dict[str, Any]]:
    """The entries of one frame, with every key of the format.

    Raises:
        DataError: they are no list of such entries.
    """
    if isinstance(entries, (str, Mapping)) or not hasattr(entries, "__iter__"):
        raise DataError(f"'{column}' is a list of entries, got {type(entries).__name__}")
    return [_entry(column, entry) for entry in entries]


def _entry(column: str, entry: Any) -> dict[str, Any]:
    keys = [key for key in _KEYS if key != "timestamp" or column == PERSISTENT]
    if not isinstance(entry, Mapping) or set(entry) - set(keys):
        raise DataError(f"an entry of '{column}' has the keys {', '.join(keys)}, got {entry!r}")
    found = {key: entry.get(key) for key in keys}
    style, styles = found["style"], STYLES.get(column, (*STYLES[PERSISTENT], *STYLES[EVENTS]))
    problem = None
    if style not in styles:
        problem = f"style is one of {', '.join(map(str, styles))}"
    elif not isinstance(found["role"], str):
        problem = "role is a string"
    elif found["content"] is None and not found["tool_calls"]:
        problem = "there is content or tool_calls"
    elif (style in _OF_A_CAMERA) != (found["camera"] is not None):
        problem = f"camera is given for {' and '.join(_OF_A_CAMERA)}, and for nothing else"
    elif "timestamp" in found and not isinstance(found["timestamp"], (int, float)):
        problem = "timestamp is a time in the episode [s]"
    elif style is None and not found["tool_calls"]:
        problem = "an entry without a style has tool_calls"
    if problem:
        raise DataError(f"an entry of '{column}' is wrong: {problem}; got {entry!r}")
    return found
