"""`lr plugins`: what is installed, in which state, and which of it the user wants. Imports nothing that a plugin offers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from lerobot_core import plugins, preferences
from lerobot_core.cli.program import LazyGroup
from lerobot_core.errors import PluginError, did_you_mean
from lerobot_core.hookspecs import NOUNS
from lerobot_core.installed import canonical


def plugin_rows() -> list[dict[str, Any]]:
    """One row per plugin: name, distribution, version, load time, state and what it offers by role."""
    host = plugins.host()
    components: dict[str, list[str]] = {}
    for hook, noun in NOUNS.items():
        for status, item in host.call(hook):
            components.setdefault(status.registered, []).append(f"{noun} {item.name}")
    commands: dict[str, list[str]] = {}
    for status, command in host.call("lr_commands"):
        commands.setdefault(status.registered, []).append(command.name)
    list(host.call("lr_info"))  # a broken probe list is a state too
    return [
        {
            "name": status.name,
            "distribution": status.distribution,
            "version": status.version,
            "ms": round(status.ms, 1),
            "state": status.error or "ok",
            "notes": list(status.notes),
            "components": [] if status.error else components.get(status.registered, []),
            "commands": [] if status.error else commands.get(status.registered, []),
        }
        for status in host.statuses
    ]


@click.group(cls=LazyGroup, prefix="plugins ", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--check", metavar="NAME", help="Run the conformance kit on a component or on what a plugin offers.")
@click.option("--badge", type=click.Path(path_type=Path), help="With --check: write a badge as JSON to this file.")
@click.pass_context
def list_plugins(ctx: click.Context, as_json: bool, check: str | None, badge: Path | None) -> None:
    """List plugins: what they offer, how long they took to load, and their state."""
    if ctx.invoked_subcommand is not None:
        return
    if check is not None:
        holds = plugins.resolve("lerobot_core.testing.check:check_plugin")(check, as_json, badge)
        ctx.exit(0 if holds else 1)
    elif as_json:
        import json  # a tenth of the start of this command

        click.echo(json.dumps(plugin_rows(), indent=2))
    else:
        _print_table(plugin_rows())


def _print_table(found: list[dict[str, Any]]) -> None:
    titles = {"name": "NAME", "distribution": "DISTRIBUTION", "version": "VERSION", "ms": "MS"}
    widths = {key: max(len(str(row[key])) for row in [titles, *found]) for key in titles}
    for row in [{**titles, "state": "STATE"}, *found]:
        cells = [str(row[key]).ljust(width) for key, width in widths.items() if key != "ms"]
        click.echo("  ".join([*cells, str(row["ms"]).rjust(widths["ms"]), row["state"]]))
        for noun, names in _by_noun(row.get("components", ())).items():
            click.echo(f"    {noun:16} {', '.join(names)}")
        if row.get("commands"):
            click.echo(f"    {'command':16} {', '.join(row['commands'])}")
        for note in row.get("notes", ()):
            click.echo(f"    {'note':16} {note}")
    if any(row["notes"] or row["state"] != "ok" for row in found):
        click.echo("`lr plugins disable NAME` leaves a plugin out.")


def _by_noun(components: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for component in components:
        noun, _, name = component.rpartition(" ")
        found.setdefault(noun, []).append(name)
    return found


@click.command()
@click.argument("name")
def enable(name: str) -> None:
    """Load a plugin again. LR_STRICT_PLUGINS=1 refuses those that were not enabled, once one is."""
    _put(name, "enabled")


@click.command()
@click.argument("name")
def disable(name: str) -> None:
    """Leave a plugin, or all of a distribution, out from now on: it is not imported any more.

    One that ends lr itself is first left out of this call: LR_BLOCK_PLUGINS=NAME lr plugins disable NAME
    """
    _put(name, "disabled")


def _put(name: str, state: str) -> None:
    """Write the user's choice down.

    Raises:
        PluginError: no plugin or distribution has that name, or it is core.
    """
    statuses = plugins.host().statuses
    known = {word for status in statuses for word in (status.name, status.distribution)}
    meant = [status for status in statuses if canonical(name) in map(canonical, status[:2])]
    if not meant:
        raise PluginError(
            f"no plugin or distribution is called '{name}'{did_you_mean(name, known)}", hint="`lr plugins` lists them"
        )
    if state == "disabled" and all(canonical(status.distribution) == preferences.CORE for status in meant):
        raise PluginError(f"'{name}' is part of lr itself and cannot be disabled", hint="`lr plugins` lists the others")
    preferences.put(name, state)
    for status in meant:
        click.echo(f"{status.who} is {state} ({preferences.path()})")
