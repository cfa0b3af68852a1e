"""Faults of commands."""

from __future__ import annotations

from pathlib import Path

import click

from core.mutants.kinds import Mutant
from lerobot_core.components import Command


@click.command("turns")
@click.option("--angle", type=float, default=90.0, help="angle of a turn [deg]")
def another_help(angle: float) -> None:
    """Something else altogether."""


@click.command("turns")
@click.option("--angle", type=float, default=90.0)
def unexplained(angle: float) -> None:
    """Say how many turns make a whole one."""


@click.command("turns", context_settings={"ignore_unknown_options": True})
@click.argument("rest", nargs=-1)
def takes_anything(rest: tuple[str, ...]) -> None:
    """Say how many turns make a whole one."""


@click.command("turns", context_settings={"ignore_unknown_options": True})
@click.argument("rest", nargs=-1)
def crashes(rest: tuple[str, ...]) -> None:
    """Say how many turns make a whole one."""
    raise KeyError(rest[0])


def _print_long(context: click.Context, option: click.Parameter, value: str) -> None:
    if value:
        raise click.UsageError("\n".join(f"line {number}" for number in range(30)))


@click.command("turns", context_settings={"ignore_unknown_options": True})
@click.argument("rest", nargs=-1, callback=_print_long)
def lectures(rest: tuple[str, ...]) -> None:
    """Say how many turns make a whole one."""


class Folder(click.Command):
    def get_help(self, ctx: click.Context) -> str:
        Path("turns-output").mkdir(exist_ok=True)
        return super().get_help(ctx)


class Counting(click.Command):
    asked = 0

    def get_help(self, ctx: click.Context) -> str:
        self.asked += 1
        return f"{super().get_help(ctx)}\n{self.asked}"


@click.command("turns", cls=Folder)
def makes_folders() -> None:
    """Say how many turns make a whole one."""


@click.command("turns", cls=Counting)
def counts() -> None:
    """Say how many turns make a whole one."""


def no_command() -> None:
    """Say how many turns make a whole one."""


SUMMARY = "Say how many turns make a whole one."


def command(noticed: str, target: str = "lerobot_core.testing.fakes.software:turns", **changes: str) -> Mutant:
    named = Command("toy turns", target, SUMMARY)._replace(**changes)
    return Mutant("command", lambda: named, noticed)


HERE = __name__


MUTANTS = {
    "help of something else": command("help_explains", f"{HERE}:another_help"),
    "option without help": command("every_option", f"{HERE}:unexplained"),
    "takes any option": command("does_not_know", f"{HERE}:takes_anything"),
    "traceback for an option": command("does_not_know", f"{HERE}:crashes"),
    "thirty lines for an option": command("does_not_know", f"{HERE}:lectures"),
    "help makes a folder": command("help_does_nothing", f"{HERE}:makes_folders"),
    "help counts": command("asked_twice", f"{HERE}:counts"),
    "function for a command": command("target_is_a_command", f"{HERE}:no_command"),
    "imports torch for its help": command("importing_it_is_light", "core.mutants.heavy:turns"),
    "prints at import": command("importing_it_is_light", "core.mutants.loud:turns"),
    "target misspelt": command("target_is_a_command", "lerobot_core.testing.fakes.software:turn"),
    "capitals in its name": command("its_name_is_words", name="Toy Turns"),
    "summary of two lines": command("its_summary", summary=f"{SUMMARY}\nAnd more."),
}
