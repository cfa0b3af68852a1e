"""Commands whose options are the fields of a config class, with the fields of the picked types in `--help`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args, get_origin

import attrs
import click

from lerobot_core import config
from lerobot_core.errors import LeRobotError
from lerobot_core.registry import Choice, config_class, registry

Row = tuple[str, str]


class ConfigCommand(click.Command):
    """A command that hands its raw options to `config.load` instead of click's parser."""

    def __init__(
        self, *, kind: type[Any], defaults: Mapping[str, Any], run: Callable[[Any], Any], **kwargs: Any
    ) -> None:
        super().__init__(callback=run, **kwargs)
        self.kind = kind
        self.defaults = defaults
        self.run = run

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["lerobot.args"] = args
        if "--help" in args or "-h" in args:
            click.echo(self.get_help(ctx))
            ctx.exit()
        ctx.args = []
        return []

    def invoke(self, ctx: click.Context) -> Any:
        args = list(ctx.meta["lerobot.args"])
        dry = [word for word in args if word in ("--dry_run", "--dry_run=true")]
        resolved = self.load([word for word in args if word not in dry])
        if dry:
            click.echo(config.dump_json(resolved.value))
            return None
        return self.run(resolved.value)

    def load(self, args: list[str]) -> config.Resolved:
        return config.load(self.kind, args, self.defaults)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[--option=value …] [--config_path=FILE]")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        args = [word for word in ctx.meta.get("lerobot.args", []) if word not in ("--help", "-h")]
        data = config.picked(self.kind, args, self.defaults)
        with formatter.section("Options"):
            formatter.write_dl(list(rows(self.kind, data, "")))
        with formatter.section("Every command"):
            formatter.write_dl(
                [
                    ("--config_path FILE", "Options from a YAML or JSON file; those given here win."),
                    ("--plugin FILE", "Load a plugin that is not installed: a .py file, or a module by its name."),
                    ("--dry_run", "Print the resolved configuration and stop."),
                    ("--help", "Show this text; with --x.type=… also the options of that type."),
                ]
            )


def config_command(
    kind: type[Any], defaults: Mapping[str, Any] | None = None
) -> Callable[[Callable[[Any], Any]], ConfigCommand]:
    """Make a command of a function that takes one object of an attrs config class.

    Args:
        kind: the config class; each field is an option or a section of options.
        defaults: values below every other layer, e.g. `{"dataset": {"type": "lerobot"}}`.
    """

    def decorate(run: Callable[[Any], Any]) -> ConfigCommand:
        return ConfigCommand(
            name=run.__name__.replace("_", "-"),
            kind=kind,
            defaults=defaults or {},
            run=run,
            help=inspect.getdoc(run),
            add_help_option=False,
        )

    return decorate


def attribute_sentences(kind: type[Any]) -> dict[str, str]:
    """Field name → sentence, from the `Attributes:` blocks of a class's docstring and those of its bases."""
    out: dict[str, str] = {}
    for cls in reversed(kind.__mro__):
        block = inspect.cleandoc(cls.__dict__.get("__doc__") or "").partition("Attributes:\n")[2]
        for found in re.finditer(r"^    (\w+): (.*(?:\n {5,}.*)*)", block, re.M):
            out[found.group(1)] = " ".join(found.group(2).split())
    return out


def rows(kind: type[Any], data: Mapping[str, Any], prefix: str) -> Iterator[Row]:
    """(option with its type, sentence with its default) for every field, sections and picked types opened."""
    sentences, hints = attribute_sentences(kind), config.field_types(kind)
    for field in attrs.fields(kind):
        if field.name not in hints:
            continue
        inner, name = config.without_none(hints[field.name]), prefix + field.name
        if get_origin(inner) is Choice:
            taken = config.takes_rest(field)
            below = data if taken else data.get(field.name) or {}
            yield from _choice_rows(inner, below, prefix if taken else f"{name}.", sentences.get(field.name, ""))
        elif attrs.has(inner):
            yield from rows(inner, data.get(field.name) or {}, f"{name}.")
        else:
            default = "required" if field.default is attrs.NOTHING else f"default {_shown(field.default)}"
            yield f"--{name} {_type_name(hints[field.name])}", f"{sentences.get(field.name, '')} [{default}]".strip()


def _choice_rows(kind: Any, data: Any, prefix: str, sentence: str) -> Iterator[Row]:
    known = registry(get_args(kind)[0])
    name = data.get("type") if isinstance(data, Mapping) else data
    names = ", ".join(known.names()) or "none installed"
    yield f"--{prefix}type NAME", f"{sentence} One of: {names}." + (f" [picked {name}]" if name else "")
    if name:
        try:
            picked = config_class(known.get(str(name)).component)
        except LeRobotError as failure:
            yield "", str(failure)
            return
        yield from rows(picked, data if isinstance(data, Mapping) else {}, prefix)


def _type_name(kind: Any) -> str:
    plain = config.without_none(kind)
    names = {bool: "true|false", int: "INT", float: "NUMBER", str: "TEXT"}
    if plain in names:
        return names[plain]
    if get_args(plain) and str(get_origin(plain)).endswith("Literal"):
        return "|".join(map(str, get_args(plain)))
    return getattr(plain, "__name__", "VALUE").upper() if not get_args(plain) else "VALUE"


def _shown(default: Any) -> str:
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return "none" if default.factory in (dict, list) else "computed"
    return "none" if default in (None, "") else str(default).lower() if isinstance(default, bool) else str(default)
