"""What is offered is what is written: fields and their sentences, command lines and their help, sections and their keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

import attrs
import click
import pytest
from click.testing import CliRunner

from lerobot_core import config, plugins
from lerobot_core.cli.commands import ConfigCommand, attribute_sentences
from lerobot_core.cli.program import lr
from lerobot_core.registry import ROLES, Choice, registry, resolve


@pytest.fixture(scope="module", autouse=True)
def _everything_installed() -> Iterator[None]:
    """These tests look at what this environment offers, so they use a host of its own that discovers."""
    host = plugins.Host()
    former = plugins.use(host)
    host.discover()
    yield
    plugins.use(former)


def parts_of(kind: type) -> Iterator[type]:
    """A config class and those its fields hold."""
    yield kind
    for hint in config.field_types(kind).values():
        for inner in _classes(hint):
            yield from parts_of(inner)


def _classes(hint: Any) -> Iterator[type]:
    if get_origin(hint) is Choice:
        return
    if get_origin(hint) is None and attrs.has(hint):
        yield hint
    for inner in get_args(hint):
        yield from _classes(inner)


def config_classes() -> Iterator[tuple[str, type]]:
    for role, (_, noun) in ROLES.items():
        for listed in registry(role).listed:
            for kind in parts_of(resolve(listed.component.config)):
                yield f"{noun} {listed.component.name}", kind
    for name, command in commands():
        if isinstance(command, ConfigCommand):
            for kind in parts_of(command.kind):
                yield f"lr {name}", kind


def commands() -> Iterator[tuple[str, Any]]:
    for _, command in plugins.host().call("lr_commands"):
        yield command.name, resolve(command.target)


def undocumented(kind: type) -> str:
    """How the fields of a config class and its Attributes block differ; empty when they do not."""
    fields = {field.name for field in attrs.fields(kind) if field.init}
    sentences = set(attribute_sentences(kind))
    if fields == sentences:
        return ""
    return f"{kind.__module__}.{kind.__name__}: without a sentence {fields - sentences}, without a field {sentences - fields}"


def test_fields_equal_their_attributes_block() -> None:
    problems = {problem for _, kind in config_classes() if (problem := undocumented(kind))}
    assert not problems, "\n".join(sorted(problems))


def test_a_field_without_a_sentence_is_found() -> None:
    @attrs.frozen(kw_only=True)
    class Odd:
        """Odd.

        Attributes:
            gone: no such field.
            there: a field.
        """

        there: int = 1
        new: int = 2

    assert "without a sentence {'new'}, without a field {'gone'}" in undocumented(Odd)


def test_config_classes_are_frozen_plain_data() -> None:
    for where, kind in config_classes():
        fields = attrs.fields(kind)
        assert all(field.kw_only for field in fields), f"{where}: {kind} takes positional arguments"
        assert kind.__setattr__ is not object.__setattr__, f"{where}: {kind} is not frozen"


def test_every_command_resolves_and_helps() -> None:
    for name, command in commands():
        assert isinstance(command, click.Command), name
        result = CliRunner().invoke(lr, [*name.split(" "), "--help"], prog_name="lr")
        assert result.exit_code == 0, f"lr {name} --help: {result.output} {result.exception!r}"
        assert command.help, f"lr {name} has no help text"


def test_help_with_every_type_picked() -> None:
    for name, command in commands():
        if not isinstance(command, ConfigCommand):
            continue
        for field, hint in config.field_types(command.kind).items():
            role = config._choice_role(config.without_none(hint))
            for kind in registry(role).names() if role else ():
                result = CliRunner().invoke(lr, [*name.split(" "), f"--{field}.type={kind}", "--help"], prog_name="lr")
                assert result.exit_code == 0, f"lr {name} --{field}.type={kind} --help: {result.exception!r}"
                assert f"[picked {kind}]" in " ".join(result.output.split())


def twice(section: type, option: type) -> set[str]:
    """Keys declared by a section and by a component picked in it."""
    own = {field.name for field in attrs.fields(section) if not config.takes_rest(field)}
    return (own | {"type", "path"}) & {field.name for field in attrs.fields(option)}


def test_no_section_key_is_declared_twice() -> None:
    problems = []
    for where, kind in config_classes():
        for field in attrs.fields(kind):
            if config.takes_rest(field):
                role = get_args(config.without_none(config.field_types(kind)[field.name]))[0]
                for listed in registry(role).listed:
                    problems += [
                        f"{where}: '{key}' of {kind.__name__} and of '{listed.component.name}'"
                        for key in twice(kind, resolve(listed.component.config))
                    ]
    assert not problems, "\n".join(sorted(set(problems)))


def test_a_key_declared_twice_is_found() -> None:
    from core.parts import DatasetSection, StoreConfig

    assert twice(DatasetSection, StoreConfig) == set()
    assert twice(DatasetSection, attrs.make_class("C", ["num_episodes", "type"])) == {"num_episodes", "type"}


def test_every_name_is_offered_once() -> None:
    for role in ROLES:
        found = registry(role)
        for name in found.names():
            assert found.get(name).component.summary, f"{found.noun} '{name}' has no summary"


def test_no_plugin_is_broken() -> None:
    assert [(status.name, status.error) for status in plugins.host().broken] == []
