"""Commands whose first options are plain words, as in `lr motor get Present_Position --robot.type=…`. Knows no motors."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import click

from lerobot_core.cli.commands import ConfigCommand
from lerobot_core.errors import ConfigError


class WordCommand(ConfigCommand):
    """A `ConfigCommand` that takes plain words as its options of these names.

    Attributes:
        words: names of the options, in order.
    """

    def __init__(self, *, words: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = words

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._named(args))

    def load(self, args: list[str]) -> Any:
        return super().load(self._named(args))

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, f"{' '.join(self.words).upper()} [--option=value …]")

    def _named(self, args: list[str]) -> list[str]:
        words, options = _sorted(args)
        given = {option.partition("=")[0] for option in options}
        missing = [name for name in self.words[len(words) :] if f"--{name}" not in given]
        if len(words) > len(self.words) or (words and missing and "--help" not in given):
            wanted = " and ".join(self.words) or "no words"
            raise ConfigError(f"'{self.name}' takes {wanted}, got {', '.join(words)}", hint="`--help` shows how")
        return [*(f"--{name}={word}" for name, word in zip(self.words, words, strict=False)), *options]


def word_command(kind: type[Any], *words: str) -> Callable[[Callable[[Any], Any]], WordCommand]:
    """As `config_command`, for a config class of which some fields may be given as plain words."""

    def decorate(run: Callable[[Any], Any]) -> WordCommand:
        return WordCommand(
            name=run.__name__.rstrip("_").replace("_", "-"),
            kind=kind,
            defaults={},
            run=run,
            words=words,
            help=inspect.getdoc(run),
            add_help_option=False,
        )

    return decorate


def _sorted(args: list[str]) -> tuple[list[str], list[str]]:
    """(plain words, options with their values)."""
    words, options, left = [], [], list(args)
    while left:
        word = left.pop(0)
        if word.startswith("-") and not re.fullmatch(r"-[\d.]+", word):
            options.append(word)
            if "=" not in word and left and not left[0].startswith("-"):
                options.append(left.pop(0))
        else:
            words.append(word)
    return words, options
