"""`lr config explain`."""

from __future__ import annotations

import json

import click

from lerobot_core import config
from lerobot_core.cli.commands import ConfigCommand
from lerobot_core.cli.program import lr
from lerobot_core.errors import ConfigError, did_you_mean


@click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("command")
@click.pass_context
def explain(ctx: click.Context, command: str) -> None:
    """Show where each option of a command comes from: lr config explain train --policy.type=act …"""
    found, args = lr.get_command(ctx, command), list(ctx.args)
    while isinstance(found, click.Group) and args:
        found = found.get_command(ctx, args.pop(0))
    if not isinstance(found, ConfigCommand):
        what = f"'{command}' is not a command with a configuration{did_you_mean(command, lr.list_commands(ctx))}"
        raise ConfigError(what, hint="try lr config explain train …")
    for path, value, origin in config.explain(found.load(args)):
        click.echo(f"{path} = {json.dumps(value)}  ({origin})")
