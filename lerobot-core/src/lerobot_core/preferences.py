"""Which plugins a user wants: `lr plugins enable|disable` write it down, `LR_BLOCK_PLUGINS` and `LR_STRICT_PLUGINS` are for one call.

The file has a line a plugin, "disabled NAME" or "enabled NAME"; a name is a plugin's or a distribution's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from lerobot_core.errors import ConfigError
from lerobot_core.installed import canonical

CORE = "lerobot-core"


class Preferences(NamedTuple):
    """What a user said about plugins, by canonical name; `enabled` counts in strict mode, and only with a name in it."""

    enabled: set[str]
    disabled: set[str]
    blocked: set[str]
    strict: bool

    def refusal(self, name: str, distribution: str) -> str:
        """Why a plugin is not wanted; empty when it is. Core always is: without it nothing could be enabled again."""
        names = {canonical(name), canonical(distribution)}
        if canonical(distribution) == CORE:
            return ""
        if names & self.blocked:
            return "blocked by LR_BLOCK_PLUGINS"
        if names & self.disabled:
            return f"disabled; `lr plugins enable {name}` brings it back"
        if self.strict and self.enabled and not names & self.enabled:
            return f"not enabled, and LR_STRICT_PLUGINS=1; `lr plugins enable {name}` admits it"
        return ""


def path() -> Path:
    """Where the user's choice is kept."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "lerobot" / "plugins.txt"


def read() -> Preferences:
    """What the user's file and the environment say.

    Raises:
        ConfigError: a line of the file says neither "enabled NAME" nor "disabled NAME".
    """
    lists = _lists()
    blocked = {canonical(name.strip()) for name in os.environ.get("LR_BLOCK_PLUGINS", "").split(",") if name.strip()}
    return Preferences(lists["enabled"], lists["disabled"], blocked, os.environ.get("LR_STRICT_PLUGINS") == "1")


def put(name: str, state: str) -> None:
    """Write down that a plugin or distribution is "enabled" or "disabled"."""
    lists = _lists()
    for names in lists.values():
        names.discard(canonical(name))
    lists[state].add(canonical(name))
    path().parent.mkdir(parents=True, exist_ok=True)
    lines = sorted(f"{listed} {plugin}\n" for listed, plugins in lists.items() for plugin in plugins)
    path().write_text("".join(lines), encoding="utf-8")


def _lists() -> dict[str, set[str]]:
    lists: dict[str, set[str]] = {"enabled": set(), "disabled": set()}
    if not path().is_file():
        return lists
    for number, line in enumerate(path().read_text(encoding="utf-8").splitlines(), 1):
        state, _, name = line.strip().partition(" ")
        if state in lists and name.strip():
            lists[state].add(canonical(name.strip()))
        elif line.strip():
            raise ConfigError(
                f"{path()}, line {number}: expected 'enabled NAME' or 'disabled NAME', got '{line.strip()}'",
                hint="correct the line or delete the file",
            )
    return lists
