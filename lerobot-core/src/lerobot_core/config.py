"""Configuration: layers merged, then structured once by the types of attrs classes. All problems at once, with origins.

Layers, low to high: command defaults, `--config_path` file (YAML or JSON), `config.json` of `--policy.path`, dotted
options. Text from the command line is a `Text` leaf and is parsed by the type that receives it; values from files are
checked strictly (3.7 is no integer, "false" is no boolean). Knows nothing of click.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import attrs

from lerobot_core import artifacts
from lerobot_core.errors import ConfigError, LeRobotError, Problem, did_you_mean, few
from lerobot_core.options import Flag, Text, parse_options, parse_yaml, read_file, split_options
from lerobot_core.registry import Choice, Registry, config_class, registry

C = TypeVar("C")
COMMAND_LINE = "the command line"
_REST = "lerobot_rest"
_NULL = ("null", "none", "~", "")
_SCALARS = (str, bool, int, float, Path)
_BAD: Any = object()


def rest() -> Any:
    """Marks the `Choice` of a section that takes `type`, `path` and every key the section does not declare itself."""
    return attrs.field(metadata={_REST: True})


def takes_rest(field: attrs.Attribute[Any]) -> bool:
    """Whether a field was made by `rest()`."""
    return bool(field.metadata.get(_REST))


@attrs.frozen
class Resolved:
    """A configuration ready to use.

    Attributes:
        value: the object of the command's config class.
        data: the same as plain data, complete with defaults.
        origins: dotted path → layer, for every value that is not a default.
    """

    value: Any
    data: dict[str, Any]
    origins: dict[str, str]


# --- layers -----------------------------------------------------------------------------------------------------------


def load(kind: type[Any], args: Sequence[str], defaults: Mapping[str, Any] | None = None) -> Resolved:
    """Merge every layer of a command and structure the result.

    Raises:
        ConfigError: every problem found, each with path and origin.
    """
    options = parse_options(args)
    layers: list[tuple[str, Mapping[str, Any]]] = [("command defaults", defaults or {})]
    if (path := options.pop("config_path", None)) is not None:
        layers.append((str(path), _without_null(read_file(Path(path)), kind)))
    for section, folder in _checkpoint_paths(kind, [*layers, ("", options)]):
        stored = _stored_config(section, folder)
        layers.append((str(stored), {section: {**read_file(stored), "path": str(stored.parent)}}))
        if section in options:
            options[section] = {key: value for key, value in options[section].items() if key != "path"}
    layers.append((COMMAND_LINE, options))
    layers[0] = (layers[0][0], _wanted_defaults(kind, layers))
    data: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in layers:
        data = _merge(data, layer, kind)
        origins.update((path, origin) for path in _leaves(layer))
        origins = _still_there(origins, data)
    value = structure(data, kind, origins)
    return Resolved(value, to_data(value), origins)


def _stored_config(section: str, path: str) -> Path:
    """`config.json` of the checkpoint a section was given."""
    folder = artifacts.resolve(path, patterns=["*.json", "*.safetensors"])
    if not (folder / "config.json").is_file():
        places = (folder / "checkpoints/last/pretrained_model", folder / "pretrained_model")
        inner = next((place for place in places if place.is_dir()), "outputs/…/pretrained_model")
        raise ConfigError(
            [Problem(f"{section}.path", f"no checkpoint in '{folder}': no config.json there{artifacts.holds(folder)}")],
            hint=f"give the folder of a checkpoint as --{section}.path, as {inner}",
        )
    return folder / "config.json"


def _wanted_defaults(kind: type[Any], layers: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """The command's defaults without those of optional sections that no other layer mentions."""
    optional = {name for name, hint in field_types(kind).items() if _is_union(hint)}
    mentioned = {name for _, layer in layers[1:] for name in layer}
    return {name: value for name, value in layers[0][1].items() if name not in optional or name in mentioned}


def picked(kind: type[Any], args: Sequence[str], defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The merged data before checking: what `--help` needs to know the picked types."""
    return _merge(dict(defaults or {}), split_options(args)[0], kind)


def _without_null(data: Mapping[str, Any], kind: type[Any]) -> dict[str, Any]:
    """Without the nulls of fields that take none: tools that dump everything write so what was not given."""
    hints = field_types(kind)
    takes_null = {name for name, hint in hints.items() if _is_union(hint) and types.NoneType in get_args(hint)}
    return {key: value for key, value in data.items() if value is not None or key in takes_null}


def _still_there(origins: Mapping[str, str], data: Mapping[str, Any]) -> dict[str, str]:
    """Origins of what a higher layer has not replaced as a whole or dropped by another `type`."""
    present = set(_leaves(data))
    return {
        path: origin for path, origin in origins.items() if any(f"{leaf}.".startswith(f"{path}.") for leaf in present)
    }


def _checkpoint_paths(kind: type[Any], layers: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[tuple[str, str]]:
    merged: dict[str, Any] = {}
    for _, layer in layers:
        merged = _merge(merged, layer, kind)
    for name, hint in field_types(kind).items():
        section = merged.get(name)
        if _choice_role(without_none(hint)) is not None and isinstance(section, dict) and section.get("path"):
            yield name, str(section["path"])


def _merge(low: Mapping[str, Any], high: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """`high` over `low`. A different `type` drops the lower options of that choice."""
    out = dict(low)
    if "type" in high and "type" in low and str(high["type"]) != str(low["type"]):
        declared = field_types(without_none(kind))
        out = {key: value for key, value in low.items() if key in declared}
    for key, value in high.items():
        below = out.get(key)
        if isinstance(below, str) and isinstance(value, dict):
            below = {"type": below}
        if isinstance(below, dict) and isinstance(value, dict):
            out[key] = _merge(below, value, _child(kind, key))
        else:
            out[key] = value
    return out


def _child(kind: Any, key: str) -> Any:
    kind = without_none(kind)
    if get_origin(kind) in (dict, Mapping):
        return get_args(kind)[1]
    return field_types(kind).get(key)


def _leaves(data: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in data.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def explain(resolved: Resolved) -> list[tuple[str, Any, str]]:
    """(dotted path, value, layer it came from) for every option."""
    rows = []
    for path in _leaves(resolved.data):
        value: Any = resolved.data
        for key in path.split("."):
            value = value[key]
        rows.append((path, value, _origin(resolved.origins, path) or "default"))
    return rows


def _origin(origins: Mapping[str, str], path: str) -> str:
    while path:
        if path in origins:
            return origins[path]
        path = path.rpartition(".")[0]
    return ""


# --- structuring ------------------------------------------------------------------------------------------------------


def choose(role: type[Any], name: str, /, **options: Any) -> Choice[Any]:
    """A choice made in code: `choose(Robot, "so101_follower", port="/dev/ttyACM0")`.

    Raises:
        PluginError: no such component.
        ConfigError: options it does not take.
    """
    component = registry(role).get(name).component
    return Choice(name, structure(options, config_class(component)), component)


def structure(data: Any, kind: type[C], origins: Mapping[str, str] | None = None) -> C:
    """Plain data as an object of `kind`, checked strictly.

    Raises:
        ConfigError: every problem found.
    """
    work = _Structure(origins or {})
    value: C = work.any(data, kind, "")
    if work.problems:
        raise ConfigError(work.problems, hint=work.hint)
    return value


class _Structure:
    """One pass over data and types that collects problems instead of stopping at the first."""

    def __init__(self, origins: Mapping[str, str]) -> None:
        self.origins = origins
        self.problems: list[Problem] = []
        self.hint = "`--help` lists the options of the picked types"

    def bad(self, path: str, text: str) -> Any:
        origin = _origin(self.origins, path)
        self.problems.append(Problem(path, text, "" if origin == COMMAND_LINE else origin))
        return _BAD

    def any(self, value: Any, kind: Any, path: str) -> Any:
        if isinstance(value, Flag) and kind not in (bool, Any) and bool not in get_args(kind):
            return self.bad(path, f"needs a value, as in --{path}=…")
        if isinstance(value, Text) and not (kind in _SCALARS or _is_union(kind) or get_origin(kind) is Literal):
            value = self.yaml(value, path)
            if value is _BAD:
                return _BAD
        if kind is Any or isinstance(kind, TypeVar):
            return value
        origin = get_origin(kind)
        if _is_union(kind):
            return self.union(value, get_args(kind), path)
        if origin is Literal:
            return self.literal(value, get_args(kind), path)
        if origin is Choice:
            return self.choice(value, get_args(kind)[0], path)
        if origin in (list, tuple, Sequence, typing.Sequence):
            return self.sequence(value, kind, path)
        if origin in (dict, Mapping):
            return self.mapping(value, get_args(kind)[1], path)
        if attrs.has(kind):
            return self.attrs(value, kind, path)
        return self.scalar(value, kind, path)

    def yaml(self, value: Text, path: str) -> Any:
        try:
            return parse_yaml(value)
        except ConfigError as failure:
            self.hint = failure.hint
            return self.bad(path, failure.message)

    def scalar(self, value: Any, kind: Any, path: str) -> Any:
        expected = {bool: "true or false", int: "an integer", float: "a number", str: "text", Path: "a path"}
        parsed = _scalar(value, kind)
        if parsed is _BAD:
            shown = str(value) if isinstance(value, Text) else value
            return self.bad(path, f"expected {expected.get(kind, kind)}, got {shown!r}")
        return parsed

    def union(self, value: Any, kinds: Sequence[Any], path: str) -> Any:
        if types.NoneType in kinds and (value is None or (isinstance(value, Text) and value.lower() in _NULL)):
            return None
        kinds = [kind for kind in kinds if kind is not types.NoneType]
        attempts = []
        for kind in kinds:
            attempt = _Structure(self.origins)
            result = attempt.any(value, kind, path)
            if not attempt.problems:
                return result
            attempts.append(attempt)
        nearest = max(attempts, key=lambda attempt: max(len(p.path) for p in attempt.problems))
        self.problems, self.hint = self.problems + nearest.problems, nearest.hint
        return _BAD

    def literal(self, value: Any, choices: Sequence[Any], path: str) -> Any:
        for choice in choices:
            same = type(value) is type(choice) and value == choice  # True == 1 == 1.0, but they are not meant
            if same or (isinstance(value, Text) and str(value) == str(choice)):
                return choice
        near = did_you_mean(str(value), map(str, choices))
        return self.bad(path, f"expected one of {', '.join(map(repr, choices))}, got {str(value)!r}{near}")

    def sequence(self, value: Any, kind: Any, path: str) -> Any:
        if not isinstance(value, (list, tuple)):
            return self.bad(path, f"expected a list as [0, 1, 2], got {value!r}")
        args = get_args(kind)
        fixed = get_origin(kind) is tuple and not (len(args) == 2 and args[1] is Ellipsis)
        if fixed and len(args) != len(value):
            return self.bad(path, f"expected {len(args)} values, got {len(value)}")
        kinds = args if fixed else [args[0]] * len(value)
        items = [
            self.any(item, item_kind, f"{path}.{i}")
            for i, (item, item_kind) in enumerate(zip(value, kinds, strict=True))
        ]
        return _BAD if _BAD in items else (tuple(items) if get_origin(kind) is tuple else items)

    def mapping(self, value: Any, kind: Any, path: str) -> Any:
        if not isinstance(value, Mapping):
            return self.bad(path, f"expected values by name, got {value!r}")
        items = {str(key): self.any(item, kind, f"{path}.{key}") for key, item in value.items()}
        return _BAD if any(item is _BAD for item in items.values()) else items

    def choice(self, value: Any, role: type, path: str) -> Any:
        if isinstance(value, str):
            value = {"type": value}
        if isinstance(value, Choice):
            return value
        if not isinstance(value, Mapping):
            return self.bad(path, f"expected a type and its options, got {value!r}")
        options = dict(value)
        name, folder = options.pop("type", None), options.pop("path", None)
        known = registry(role)
        if name is None:
            names = few(known.names(), 12) or "none installed"
            return self.bad(f"{path}.type", f"missing; pick a {known.noun} (known: {names})")
        if isinstance(name, Flag):
            return self.any(name, str, f"{path}.type")
        try:
            component = known.get(str(name)).component
            kind = config_class(component)
        except LeRobotError as failure:
            self.hint = _named_option(known, path, str(name)) or failure.hint or self.hint
            return self.bad(f"{path}.type", failure.message)
        config = self.attrs(options, kind, path)
        return _BAD if config is _BAD else Choice(str(name), config, component, Path(folder) if folder else None)

    def attrs(self, value: Any, kind: Any, path: str) -> Any:
        if isinstance(value, kind):
            return value
        if not isinstance(value, Mapping):
            return self.bad(path, f"expected options by name, got {value!r}")
        hints, before = field_types(kind), len(self.problems)
        others = {key: item for key, item in value.items() if key not in hints}
        collected = {}
        for field in attrs.fields(kind):
            where = f"{path}.{field.name}" if path else field.name
            if takes_rest(field):
                collected[field.name] = self.any(others, hints[field.name], path)
                others = {}
            elif field.name in value:
                collected[field.name] = self.any(value[field.name], hints[field.name], where)
            elif field.default is attrs.NOTHING:
                self._missing(hints[field.name], where)
        for key in others:
            near = did_you_mean(key, _names_below(hints))
            self.bad(f"{path}.{key}" if path else key, f"unknown option{near}")
        if len(self.problems) > before:
            return _BAD
        try:
            return kind(**collected)
        except (ValueError, TypeError) as failure:
            return self.bad(path, str(failure))

    def _missing(self, kind: Any, path: str) -> None:
        role = _choice_role(without_none(kind))
        if role is not None:
            self.any({}, without_none(kind), path)
        else:
            self.bad(path, "missing")


def _named_option(known: Registry, path: str, value: str) -> str:
    """What `--robot=/dev/ttyACM0` was probably meant to be: the first option that must be given."""
    if not known.listed or not {"/", ":"} & set(value):  # it may be a type
        return ""
    fields = attrs.fields(config_class(known.listed[0].component))
    name = next((field.name for field in fields if field.default is attrs.NOTHING), "type")
    return f"options of '{path}' have names, as in --{path}.{name}={value}"


def _names_below(hints: Mapping[str, Any]) -> list[str]:
    """The names of fields, and of what is in those that are sections: `robot`, `robot.type`."""
    names = list(hints)
    for name, hint in hints.items():
        inner = without_none(hint)
        names += [f"{name}.{below}" for below in field_types(inner)]
        if _choice_role(inner) is not None:
            names += [f"{name}.type", f"{name}.path"]
    return names


def _scalar(value: Any, kind: Any) -> Any:
    text = value if isinstance(value, Text) else None
    if kind is str:
        return str(value) if isinstance(value, (str, Path)) else _BAD
    if kind is Path:
        return Path(value) if isinstance(value, (str, Path)) else _BAD
    if kind is bool:
        if text is not None:
            return {"true": True, "false": False}.get(text.lower(), _BAD)
        return value if isinstance(value, bool) else _BAD
    if kind in (int, float):
        if isinstance(value, bool) or (isinstance(value, str) and text is None):
            return _BAD
        if kind is int and not isinstance(value, (int, Text)):
            return _BAD
        try:
            return kind(value)
        except (ValueError, TypeError, OverflowError):
            return _BAD
    return value if isinstance(value, kind) else _BAD


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def without_none(kind: Any) -> Any:
    """`X` of `X | None`; anything else as it is."""
    if _is_union(kind):
        inner = [arg for arg in get_args(kind) if arg is not types.NoneType]
        return inner[0] if len(inner) == 1 else kind
    return kind


def _choice_role(kind: Any) -> type | None:
    """The role a section lets the user pick: of a `Choice`, or of the `rest()` field of an attrs class."""
    if attrs.has(kind) and get_origin(kind) is not Choice:
        chosen = [field_types(kind)[field.name] for field in attrs.fields(kind) if takes_rest(field)]
        kind = without_none(chosen[0]) if chosen else None
    role: type | None = get_args(kind)[0] if get_origin(kind) is Choice else None
    return role


def field_types(kind: Any) -> dict[str, Any]:
    """Field name → resolved type of an attrs class; empty for anything else, also for a `Choice`: its options vary."""
    if get_origin(kind) is Choice or not attrs.has(kind):
        return {}
    found = typing.get_type_hints(kind)
    return {field.name: found[field.name] for field in attrs.fields(kind) if field.init}


# --- writing ----------------------------------------------------------------------------------------------------------


def to_data(value: Any) -> Any:
    """A config object as plain data; the inverse of `structure`. A choice is `{"type": …, **options}`."""
    if isinstance(value, Choice):
        data = {"type": value.type, **to_data(value.config)}
        return {**data, "path": str(value.path)} if value.path else data
    if attrs.has(type(value)):
        out: dict[str, Any] = {}
        for field in attrs.fields(type(value)):
            inner = to_data(getattr(value, field.name))
            if takes_rest(field) and isinstance(inner, dict):
                out = {**inner, **out}
            else:
                out[field.name] = inner
        return out
    if isinstance(value, Mapping):
        return {str(key): to_data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_data(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def dump_json(value: Any, *, indent: int = 4) -> str:
    """A config object as JSON text."""
    return json.dumps(to_data(value), indent=indent, ensure_ascii=False)
