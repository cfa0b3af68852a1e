"""Options as they are read: from a command line and from YAML or JSON files, as plain nested data. Knows no types.

Text from the command line is a `Text` leaf, which the type that receives it parses later.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from lerobot_core.errors import ConfigError, Problem, did_you_mean

_YAML_HINT = "check brackets, commas and spaces, as in {top: {type: opencv, fps: 30}}"


class Text(str):
    """A value as typed on the command line; the type that receives it parses it."""


class Flag(Text):
    """The value of an option typed without one: true, for those that take true or false."""


_REPLACED = ("bool", "float", "int", "timestamp")


class _Loader(yaml.SafeLoader):
    """YAML with the 1.2 meaning of scalars: 1e-4 is a number, `on`, `no` and dates are text, 010 is no octal."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        for key, value in node.value:
            if isinstance(key.value, str) and ":" in key.value and value.tag.endswith(":null"):
                text = f"a space is missing behind the colon of '{key.value}'"
                raise yaml.constructor.ConstructorError(problem=text, problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rsplit(":", 1)[1] not in _REPLACED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$", re.I), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9]\d*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:(?:\d+\.\d*|\.\d+)(?:e[-+]?\d+)?|\d+e[-+]?\d+|\.inf)$|^\.nan$", re.I),
    list("-+0123456789."),
)


def parse_yaml(text: str) -> Any:
    """YAML or JSON text as plain data.

    Raises:
        ConfigError: the text is not YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # a SafeLoader: plain data only
    except yaml.MarkedYAMLError as failure:
        mark = failure.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        if mark and failure.context_mark and failure.context_mark.line != mark.line:
            where += f", in what begins in line {failure.context_mark.line + 1}"
        what = str(failure.problem).replace("<stream end>", "the end")
        if "'\\t'" in what:
            what = "a tab; indent with spaces"
        raise ConfigError(f"not valid YAML or JSON{where}: {what}", hint=_YAML_HINT) from failure
    except yaml.YAMLError as failure:
        raise ConfigError(f"not valid YAML or JSON: {' '.join(str(failure).split())}", hint=_YAML_HINT) from failure


def read_file(path: Path) -> dict[str, Any]:
    """A configuration file.

    Raises:
        ConfigError: it is missing, is not YAML or JSON, or is not a mapping.
    """
    if not path.exists():
        beside = [str(other) for other in path.parent.glob("*") if other.is_file()]
        raise ConfigError(
            f"config file '{path}' does not exist{did_you_mean(str(path), beside)}", hint="check --config_path"
        )
    if path.is_dir():
        raise ConfigError(f"config file '{path}' is a folder", hint="give a file in it as --config_path")
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as failure:
        raise ConfigError(f"config file '{path}' is not text", hint="--config_path takes YAML or JSON") from failure
    except ConfigError as failure:
        raise ConfigError(f"config file '{path}' is {failure.message}", hint=failure.hint) from failure
    if data is None:  # an empty file, or one of comments only
        return {}
    if not isinstance(data, dict):
        found = "a list" if isinstance(data, list) else type(data).__name__
        raise ConfigError(f"config file '{path}' holds {found}, expected options by name", hint="as in fps: 30")
    return data


def parse_options(args: Sequence[str]) -> dict[str, Any]:
    """Dotted options as nested data with `Text` leaves: `--a.b=v`, `--a.b v`, and a bare `--flag` for true.

    Raises:
        ConfigError: something that is not an option, or an option with two values.
    """
    data, problems, hint = split_options(args)
    if problems:
        raise ConfigError(problems, hint=hint)
    return data


def split_options(args: Sequence[str]) -> tuple[dict[str, Any], list[Problem], str]:
    """(nested options, what is wrong with them, what to do about it)."""
    data: dict[str, Any] = {}
    problems: list[Problem] = []
    strays: list[str] = []
    hint = ""
    left = list(args)
    while left:
        word = left.pop(0)
        if not word.startswith("--") or len(word) == 2:
            strays.append(word)
            continue
        name, equals, typed = word[2:].partition("=")
        value = Text(typed)
        if not equals and left and left[0].startswith("="):
            typed = " ".join(left.pop(0) for _ in range(2) if left and not left[0].startswith("--"))[1:].strip()
            problems.append(Problem(name, "a space stands before its '='"))
            hint = f"write --{name}={typed}"
            continue
        if not equals:
            value = Text(left.pop(0)) if left and not left[0].startswith("--") else Flag("true")
        before = _put(data, name.split("."), value)
        if before is not None and before != value:
            problems.append(Problem(name, f"given twice, as '{before}' and as '{value}'"))
            hint = "give it once"
    if strays:
        problems.append(Problem("", f"unexpected argument{'s'[: len(strays) > 1]} '{' '.join(strays)}'"))
        hint = _stray_hint(strays[0])
    return data, problems, hint


def _stray_hint(word: str) -> str:
    """What a word that is no option was probably meant to be."""
    if not word.strip():
        return "a backslash ends its line only with no space behind it"
    if re.match(r"-?[A-Za-z][\w.]*=", word):
        return f"options begin with two dashes: -{'' if word[0] == '-' else '-'}{word}"
    return 'options look like --robot.port=/dev/ttyACM0; a value of several words needs quotes: --task="pick it up"'


def _put(data: dict[str, Any], keys: list[str], value: Text) -> Text | None:
    """Set a nested value; gives the one that was there."""
    for key in keys[:-1]:
        inner = data.get(key, {})
        if isinstance(inner, Text):  # `--robot=arm` or `--cameras={top: …}`, and now a part of it
            parsed = parse_yaml(inner)
            inner = parsed if isinstance(parsed, dict) else {"type": inner}
        data[key] = inner
        data = inner
    before = data.get(keys[-1])
    data[keys[-1]] = value
    return before if isinstance(before, Text) else None
