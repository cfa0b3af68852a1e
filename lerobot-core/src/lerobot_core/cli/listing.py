"""`lr plugins` and `lr config explain`."""

from __future__ import annotations

import json

import click

from lerobot_core import config, plugins
from lerobot_core.cli.commands import ConfigCommand
from lerobot_core.cli.program import lr
from lerobot_core.errors import ConfigError, did_you_mean
from lerobot_core.registry import ROLES


def plugin_rows() -> list[dict[str, object]]:
    """One row per plugin: name, distribution, version, load time, state and what it offers by role."""
    offers: dict[str, list[str]] = {}
    for hook, noun in ROLES.values():
        for status, item in plugins.host().call(hook):
            offers.setdefault(status.name, []).append(f"{noun} {item[0]}")
    return [
        {
            "name": status.name,
            "distribution": status.distribution,
            "version": status.version,
            "ms": round(status.ms, 1),
            "state": status.error or "ok",
            "components": offers.get(status.name, []),
        }
        for status in plugins.host().statuses
    ]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_plugins(as_json: bool) -> None:
    """List plugins: what they offer and their state."""
    found = plugin_rows()
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for row in found:
        click.echo(f"{row['name']}  {row['distribution']} {row['version']}  {row['ms']} ms  {row['state']}")
        for component in row["components"]:  # type: ignore[attr-defined]
            click.echo(f"    {component}")


@click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("command")
@click.pass_context
def explain(ctx: click.Context, command: str) -> None:
    """Show where each option of a command comes from: lr config explain train --policy.type=act …"""
    found = lr.get_command(ctx, command)
    if not isinstance(found, ConfigCommand):
        near = did_you_mean(command, lr.list_commands(ctx))
        raise ConfigError(
            f"'{command}' is not a command with a configuration{near}", hint="try lr config explain train …"
        )
    for path, value, origin in config.explain(found.load(list(ctx.args))):
        click.echo(f"{path} = {json.dumps(value)}  ({origin})")
