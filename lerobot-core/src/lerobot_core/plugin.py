"""What lerobot-core offers itself, registered like anybody's plugin."""

from __future__ import annotations

from lerobot_core.components import Command, hookimpl


@hookimpl
def lr_commands() -> list[Command]:
    return [
        Command("info", "lerobot_core.cli.info:info", "Versions, plugins, codecs and devices found on this machine"),
        Command("new", "lerobot_core.cli.new:new", "Make the project of a plugin, for any role"),
        Command("plugins", "lerobot_core.cli.listing:list_plugins", "List plugins: what they offer and their state"),
        Command("plugins show", "lerobot_core.cli.showing:show", "Show a component, plugin or distribution."),
        Command("plugins enable", "lerobot_core.cli.listing:enable", "Load a plugin again; strict mode admits it."),
        Command("plugins disable", "lerobot_core.cli.listing:disable", "Leave a plugin out from now on."),
        Command("config explain", "lerobot_core.cli.explaining:explain", "Show where each option comes from."),
    ]


@hookimpl
def lr_info() -> list[str]:
    return ["lerobot_core.cli.info:machine"]
