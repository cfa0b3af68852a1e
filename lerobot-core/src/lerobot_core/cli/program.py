"""`lr` itself: subcommands from plugins by their static help lines, and the one place that shows errors to users."""

from __future__ import annotations

import errno
import faulthandler
import os
import re
import sys
from typing import Any, NoReturn

import click

from lerobot_core import __version__, containment, plugins
from lerobot_core.components import Command
from lerobot_core.errors import ConfigError, LeRobotError, PluginError, did_you_mean

#: problems shown at once; the rest are counted
MOST_LINES = 4


class LazyGroup(click.Group):
    """A group that knows its commands as `Command` tuples and imports one only when it is called.

    Args:
        prefix: words in front of every command of this group, e.g. "dataset ".
    """

    def __init__(self, *args: Any, prefix: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prefix = prefix
        self._host: plugins.Host | None = None
        self._known: dict[str, list[tuple[Command, str]]] = {}

    def _commands(self) -> dict[str, list[tuple[Command, str]]]:
        """Name within this group → the command and its distribution, once for each plugin that offers it."""
        if self._host is not plugins.host():
            self._host, self._known = plugins.host(), {}
            for status, command in self._host.call("lr_commands"):
                if command.name.startswith(self._prefix):
                    name = command.name.removeprefix(self._prefix)
                    self._known.setdefault(name, []).append((command, status.distribution))
        return self._known

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({name.split(" ")[0] for name in self._commands()})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        offers = self._commands().get(name, [])
        inner = [
            offer for known in self._commands() if known.startswith(f"{name} ") for offer in self._commands()[known]
        ]
        distributions = dict.fromkeys(distribution for _, distribution in [*offers, *inner])
        if len(offers) > 1 or (offers and len(distributions) > 1):
            names = " and ".join(f"'{distribution}'" for distribution in distributions)
            raise PluginError(
                f"command '{name}' is offered by {names}",
                hint=f"uninstall one, or `lr plugins disable {list(distributions)[-1]}`",
            )
        if offers:
            return _command(offers[0][0].target)
        if inner:
            return LazyGroup(name=name, prefix=f"{self._prefix}{name} ", help=self._summary(name))
        return None

    def _summary(self, name: str) -> str:
        if name in self._commands():
            return self._commands()[name][0][0].summary
        inner = sorted(known.split(" ")[1] for known in self._commands() if known.startswith(f"{name} "))
        return f"Work with a {name}: {', '.join(inner)}"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as failure:
            raise ConfigError(
                f"'{failure.option_name}' stands before a command",
                hint=f"options come after it: `{ctx.command_path} COMMAND {failure.option_name} …`; "
                f"`{ctx.command_path} --help` lists the commands",
            ) from failure

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            names = self.list_commands(ctx)
            raise LeRobotError(
                f"unknown command '{ctx.command_path} {name}'{did_you_mean(name, names)}",
                hint=_unknown_hint(f"`{ctx.command_path} --help` lists the commands"),
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._summary(name)) for name in self.list_commands(ctx)])


def _command(target: str) -> click.Command:
    found = plugins.resolve(target)
    if not isinstance(found, click.Command):
        raise plugins.unusable(target, f"is no click command, got {type(found).__name__}")
    return found


def _unknown_hint(text: str) -> str:
    broken = ", ".join(f"'{status.name}' ({status.error})" for status in plugins.host().broken)
    return f"{text}; it may be in a plugin that is left out: {broken}" if broken else text


_EPILOG = "`lr COMMAND --help` explains a command; with --robot.type=… and the like it lists the options of that type."


@click.command(cls=LazyGroup, epilog=_EPILOG)
@click.version_option(__version__, package_name="lerobot-core", prog_name="lr", message="lr %(version)s")
def lr() -> None:
    """Robot learning end to end: teleoperate, record, train, serve and run, every part a plugin."""


def main(argv: list[str] | None = None) -> None:
    """Run `lr` and leave with its exit status: 0, 1 for a user's error, 2 for a wrong configuration, 130 for Ctrl-C."""
    if not faulthandler.is_enabled():
        faulthandler.enable(file=2)  # a plugin that ends the process natively is named by its file
    try:
        args = list(sys.argv[1:] if argv is None else argv)
        _refuse_typography(args)
        args = _load_plugin_files(args)
        status = lr.main(args, prog_name="lr", standalone_mode=False)
    except (LeRobotError, click.ClickException) as error:
        if os.environ.get("LR_DEBUG") == "1":
            raise
        _leave(_show(error))
    except OSError as failure:
        if failure.errno not in _OUTSIDE or os.environ.get("LR_DEBUG") == "1":
            raise
        file = f"'{failure.filename}': " if failure.filename else ""
        _leave(_show(LeRobotError(f"{file}{failure.strerror}", hint=_OUTSIDE[failure.errno])))
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        _leave(130)
    _leave(status if isinstance(status, int) else 0)


def _leave(status: int) -> NoReturn:
    """End the process, also where a thread that a plugin started while it was loaded would keep it alive."""
    if any(thread.is_alive() for thread in containment.strays):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


#: what a machine refuses whatever the program does, and the user's next step
_OUTSIDE = {
    errno.EACCES: "give another path, or yourself the permission (chmod, chown)",
    errno.EPERM: "give another path, or yourself the permission (chmod, chown)",
    errno.EROFS: "give a path on a disk that can be written",
    errno.ENOSPC: "make room, or give a path on another disk",
    errno.EDQUOT: "make room, or give a path on another disk",
    errno.EISDIR: "give a file",
    errno.ENOTDIR: "give a path whose folders are folders",
}


def _refuse_typography(args: list[str]) -> None:
    """Word processors and web pages turn dashes and quotes into others, which no program takes for what they were."""
    for word in args:
        if re.match("-?[‐-―−]", word):
            plain = "--" + word.lstrip("-‐‑‒–—―−")
            raise ConfigError(f"'{word}' begins with a dash that is not the plain one", hint=f"type it anew: {plain}")
        if found := re.match(r"(--[^=]+=)?[‘’‚“”„]", word):
            raise ConfigError(
                f"'{word}' begins with a quote that is not the plain one",
                hint=f'type plain quotes: {found.group(1) or ""}"…"',
            )


def _load_plugin_files(args: list[str]) -> list[str]:
    """Take every `--plugin FILE_OR_MODULE` out of the arguments and load it, before any command is looked up."""
    left: list[str] = []
    words = iter(args)
    for word in words:
        if word == "--plugin" or word.startswith("--plugin="):
            file = word.partition("=")[2] or next(words, "")
            if not file:
                raise ConfigError("--plugin does not say which file or module", hint="as in --plugin=my_arm.py")
            plugins.host().add_given(file)
        else:
            left.append(word)
    return left


def _show(error: LeRobotError | click.ClickException) -> int:
    message = error.message if isinstance(error, LeRobotError) else error.format_message()
    lines = message.splitlines()
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], f"and {len(lines) - MOST_LINES + 1} more; LR_DEBUG=1 shows all"]
    for line in lines:
        click.echo(f"error: {line}", err=True)
    hint = error.hint if isinstance(error, LeRobotError) else "`--help` lists the options"
    if hint:
        click.echo(f"hint: {hint}", err=True)
    for note in getattr(error, "__notes__", ()):
        click.echo(f"note: {note}", err=True)
    return error.exit_code
