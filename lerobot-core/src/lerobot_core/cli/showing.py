"""`lr plugins show`: all that is known of a component, a plugin or a distribution. It may import what it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

import click

from lerobot_core import config, plugins
from lerobot_core.cli.commands import rows
from lerobot_core.errors import PluginError, did_you_mean
from lerobot_core.plugins import PluginStatus
from lerobot_core.registry import ROLES, Listed, config_class, missing, registry

Row = tuple[str, str]


@click.command()
@click.argument("name")
def show(name: str) -> None:
    """Show a component with its options and features, or a plugin or distribution with what it offers."""
    offers = [(role, listed) for role in ROLES for listed in registry(role).listed]
    components = [(role, listed) for role, listed in offers if listed.component.name == name]
    statuses = [status for status in plugins.host().statuses if name in status[:2]]
    if not components and not statuses:
        known = {word for status in plugins.host().statuses for word in status[:2]}
        known |= {listed.component.name for _, listed in offers}
        raise PluginError(
            f"nothing installed is called '{name}'{did_you_mean(name, known)}", hint="`lr plugins` lists what there is"
        )
    for role, listed in components:
        _write(f"{ROLES[role][1]} {name}: {listed.component.summary}", _component(listed))
        _write("options", _options(listed))
        _write("features", _features(role, listed))
    for status in statuses:
        notes = [("note", note) for note in status.notes]
        _write(status.who, [("state", status.error or "ok"), *notes, *_distribution(status)])
        own = [(role, listed) for role, listed in offers if listed[1:] == status[:2]]
        _write(
            "offers", [(f"{ROLES[role][1]} {listed.component.name}", listed.component.summary) for role, listed in own]
        )


def _write(title: str, found: list[Row]) -> None:
    if not found:
        return
    click.echo(title)
    width = max(len(name) for name, _ in found)
    for name, text in found:
        click.echo(f"    {name:{width}}  {text}")


def _component(listed: Listed) -> list[Row]:
    component = listed.component
    found = [("config", component.config), ("build", component.build)]
    if lacking := missing(component):
        found.append(("needs", f'{lacking[0]}, which is not installed: pip install "{lacking[1]}"'))
    elif component.needs:
        found.append(("needs", ", ".join(need.partition("=")[0] for need in component.needs)))
    status = next(status for status in plugins.host().statuses if status[:2] == listed[1:])
    return [*found, ("plugin", status.name), *_distribution(status)]


def _distribution(status: PluginStatus) -> list[Row]:
    """Where it comes from and where its words are, from the metadata of its distribution."""
    try:
        about = metadata.metadata(status.distribution)
    except (metadata.PackageNotFoundError, ValueError):  # a single file
        return [("from", status.distribution)]
    found = [("distribution", f"{status.distribution} {status.version}")]
    found += [("summary", about["Summary"])] if about["Summary"] else []
    places = [*about.get_all("Project-URL", []), *about.get_all("Home-page", [])]
    docs = [place.replace(", ", ": ", 1) for place in places] or _readme(status.distribution)
    return found + [
        ("documentation", place) for place in docs or ["none; ask its author for a README or a Project-URL"]
    ]


def _readme(distribution: str) -> list[str]:
    """Where the README of a distribution lies: installers keep it behind the head of its metadata."""
    _, _, readme = (metadata.distribution(distribution).read_text("METADATA") or "").partition("\n\n")
    files = metadata.files(distribution) or []
    return [f"README in {file.locate()}" for file in files if file.name == "METADATA" and readme.strip()]


def _options(listed: Listed) -> list[Row]:
    """Name with type, and sentence with default, of every field of its config class."""
    try:
        kind = config_class(listed.component)
    except PluginError as failure:
        return [("not shown", f"{failure}; {failure.hint}")]
    return [(option.removeprefix("--"), sentence) for option, sentence in rows(kind, {}, "")]


def _features(role: type, listed: Listed) -> list[Row]:
    """Observation and action features of a body or a teleoperator, built with its example."""
    wanted = [name for name in ("observation_features", "action_features") if hasattr(role, name)]
    if not wanted:
        return []
    try:
        part = config.choose(role, listed.component.name, **listed.component.example).build()
    except Exception as failure:  # strangers' code, and the rest is worth showing
        why = f"its example cannot be built: {plugins.in_one_line(failure)}"
        return [("not shown", f"{why}; `lr plugins --check {listed.component.name}` tests it")]
    return [(name.partition("_")[0], text) for name in wanted for text in _texts(getattr(part, name))]


def _texts(features: Mapping[str, Any]) -> Iterator[str]:
    for key, feature in features.items():
        yield f"{key}: {getattr(feature, '__name__', feature)}"
