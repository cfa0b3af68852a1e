"""From a type name to an object."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import parts
from lerobot_core import config, roles
from lerobot_core.errors import ConfigError, PluginError
from lerobot_core.registry import ROLES, registry, resolve


@pytest.fixture(autouse=True)
def _offered(host) -> None:
    parts.offer_all(host)


def test_a_choice_builds_with_its_config_and_context() -> None:
    chosen = config.choose(roles.Robot, "leg", length=0.5)
    part = chosen.build(fps=30)
    assert (part.config.length, part.config.port, part.context) == (0.5, "leg0", {"fps": 30})


def test_a_choice_with_a_path_builds_from_it(tmp_path: Path) -> None:
    chosen = config.structure({"type": "brain", "path": str(tmp_path)}, config.Choice[roles.Policy])
    assert chosen.build().path == tmp_path


def test_an_unknown_name_lists_names_nearest_and_broken_plugins(host) -> None:
    host._note("bad", "bad-dist", "1", error="ImportError: x")
    with pytest.raises(
        PluginError, match=r"unknown robot 'arn'; did you mean 'arm'\? \(known: arm, hand, leg\)"
    ) as info:
        registry(roles.Robot).get("arn")
    assert "'bad' (ImportError: x)" in info.value.hint


def test_a_role_nobody_offers_names_the_install(host) -> None:
    with pytest.raises(PluginError, match="none installed") as info:
        registry(roles.Aggregator).get("mean")
    assert "pip install lerobot-serve" in info.value.hint


def test_a_missing_library_names_its_install() -> None:
    with pytest.raises(PluginError, match="'hand' needs the library 'no_such_library'") as info:
        config.choose(roles.Robot, "hand").build()
    assert 'pip install "hand-driver[usb]"' in info.value.hint


@pytest.mark.parametrize("target", ["no_such_module:x", "core.parts:NoSuch", "core.parts", "core.parts:", ":x", ""])
def test_a_target_that_is_not_there(target: str) -> None:
    with pytest.raises(PluginError, match="cannot be imported"):
        resolve(target)


def test_choosing_with_a_wrong_option() -> None:
    with pytest.raises(ConfigError, match="unknown option; did you mean 'length'"):
        config.choose(roles.Robot, "leg", lenght=1.0)


def test_every_role_has_a_hook() -> None:
    from lerobot_core import hookspecs

    assert all(hasattr(hookspecs, hook) for hook, _ in ROLES.values())
    named = {
        value
        for value in vars(roles).values()
        if getattr(value, "_is_protocol", False) and value.__module__ == roles.__name__
    }
    writers = {roles.DatasetWriter, roles.UndoingWriter}
    helpers = {roles.Source, roles.Sink, roles.DatasetReader, roles.Calibrated, roles.ObservingStep} | writers
    assert named - helpers == set(ROLES)
