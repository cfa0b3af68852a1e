"""The `lr` command: a lazy group, one place that renders errors, and commands made from config classes."""

from __future__ import annotations

from typing import Any


def main(argv: list[str] | None = None) -> None:
    """Entry point of `lr`."""
    from lerobot_core.cli.program import main as run

    run(argv)


def __getattr__(name: str) -> Any:
    if name == "config_command":
        from lerobot_core.cli.commands import config_command

        return config_command
    raise AttributeError(name)
