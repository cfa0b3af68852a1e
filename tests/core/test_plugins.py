"""Plugins: one that is broken costs one line and nothing else, and nobody is overruled silently."""

from __future__ import annotations

import os
import re
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from lerobot_core import installed, plugins, preferences, roles
from lerobot_core.components import Command, Component, hookimpl
from lerobot_core.errors import ConfigError, PluginError
from lerobot_core.plugins import Host
from lerobot_core.registry import registry
from lerobot_core.testing.fixtures import PrivateHost

ARM = Component("arm", "core.parts:ArmConfig", "core.parts:Part", "An arm")


def entry(name: str, load, distribution: str = "some-dist") -> SimpleNamespace:
    """An entry point whose loading does what a test wants."""
    return SimpleNamespace(name=name, load=load, distribution=distribution, version="1.2")


def module(**attributes: object) -> ModuleType:
    made = ModuleType("plugin")
    vars(made).update(attributes)
    return made


def raises(error: BaseException):
    def load():
        raise error

    return load


def no_components() -> list[Component]:
    return []


@pytest.fixture
def discovered(monkeypatch: pytest.MonkeyPatch):
    """A function that makes a host discover the given entry points and nothing else."""

    def discover(*entries) -> Host:
        monkeypatch.setattr(plugins, "entry_points", lambda: entries)
        host = Host()
        former = plugins.use(host)
        request.append(former)
        host.discover()
        return host

    request: list[Host | None] = []
    yield discover
    if request:
        plugins.use(request[0])


@pytest.mark.parametrize(
    ("load", "says"),
    [
        (raises(ImportError("no module named 'x'")), "ImportError: no module named 'x'"),
        (raises(SystemExit("bye")), "SystemExit: bye"),
        (raises(SyntaxError("line 1\nline 2")), "SyntaxError: line 1 line 2"),
        (lambda: module(lr_robotz=hookimpl(no_components)), "unknown hook 'lr_robotz'"),
        (lambda: module(robots=hookimpl(no_components)), "unknown hook 'robots'"),
        (lambda: module(lr_robots=lambda: [ARM]), "'lr_robots' is not marked with @hookimpl"),
        (lambda: module(lr_robots=hookimpl(lambda speed: [])), "speed"),
        (lambda: module(LR_CORE=">=7.0"), "built for lerobot-core >=7.0"),
        (lambda: module(LR_CORE="~=0.1"), "is not a range"),
    ],
)
def test_a_broken_plugin_costs_one_line(discovered, capsys: pytest.CaptureFixture[str], load, says: str) -> None:
    host = discovered(entry("bad", load), entry("good", lambda: module(lr_robots=hookimpl(lambda: [ARM]))))
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "'bad'" in err
    assert "some-dist 1.2" in err
    assert says in err
    assert [status.name for status in host.broken] == ["bad"]
    assert registry(roles.Robot).names() == ["arm"]


def test_a_refused_plugin_is_not_called_as_an_observer(discovered) -> None:
    called = []
    bad = module(lr_episode_saved=hookimpl(lambda episode: called.append(episode)), lr_robots=hookimpl(lambda x: []))
    host = discovered(entry("bad", lambda: bad))
    host.notify("lr_episode_saved", episode=0, dataset={})
    assert called == []


def test_an_observer_that_raises_costs_one_line(discovered, capsys: pytest.CaptureFixture[str]) -> None:
    heard = []
    host = discovered(
        entry("bad", lambda: module(lr_episode_saved=hookimpl(raises(ValueError("oops"))))),
        entry("good", lambda: module(lr_episode_saved=hookimpl(lambda episode: heard.append(episode)))),
    )
    host.notify("lr_episode_saved", episode=3, dataset={})
    assert heard == [3]
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("error", [ValueError("oops"), SystemExit(3)])
def test_a_raising_hook_marks_its_plugin(discovered, capsys: pytest.CaptureFixture[str], error: BaseException) -> None:
    host = discovered(
        entry("bad", lambda: module(lr_robots=hookimpl(raises(error)))),
        entry("good", lambda: module(lr_robots=hookimpl(lambda: [ARM]))),
    )
    assert registry(roles.Robot).names() == ["arm"]
    assert registry(roles.Robot).names() == ["arm"]
    assert capsys.readouterr().err.count("\n") == 1
    assert "lr_robots failed" in host.broken[0].error


@pytest.mark.parametrize("items", [None, ["arm"], [("arm", "x:Y")], 3])
def test_a_hook_that_returns_no_components_marks_its_plugin(host: PrivateHost, items: object) -> None:
    host.add(module(lr_robots=hookimpl(lambda: items)))
    assert registry(roles.Robot).names() == []
    assert "lr_robots" in host.broken[0].error


def test_strict_mode_turns_a_broken_plugin_into_an_error(discovered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LR_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match="'bad' of some-dist"):
        discovered(entry("bad", raises(ImportError("x"))))
    discovered(entry("bad", lambda: module(lr_robots=hookimpl(raises(ValueError("oops"))))))
    with pytest.raises(PluginError, match="lr_robots failed"):
        registry(roles.Robot)


def test_the_block_list_leaves_plugins_out_quietly(discovered, monkeypatch, capsys) -> None:
    monkeypatch.setenv("LR_BLOCK_PLUGINS", "bad, other")
    host = discovered(entry("bad", raises(AssertionError("must not be loaded"))))
    assert host.statuses[0].error == "blocked by LR_BLOCK_PLUGINS"
    assert capsys.readouterr().err == ""


def test_a_disabled_plugin_is_not_loaded(discovered, capsys: pytest.CaptureFixture[str]) -> None:
    never = raises(AssertionError("must not be loaded"))
    preferences.put("Bad", "disabled")
    preferences.put("other_dist", "disabled")
    host = discovered(entry("bad", never), entry("x", never, "other-dist"), entry("good", lambda: module()))
    assert [status.error.partition(";")[0] for status in host.statuses] == ["disabled", "disabled", ""]
    assert capsys.readouterr().err == ""
    preferences.put("bad", "enabled")
    preferences.put("other-dist", "enabled")
    assert discovered(entry("bad", lambda: module()), entry("x", lambda: module(), "other-dist")).broken == []


def test_strict_mode_admits_only_what_was_enabled(discovered, monkeypatch: pytest.MonkeyPatch) -> None:
    never = raises(AssertionError("must not be loaded"))
    preferences.put("good", "enabled")
    assert discovered(entry("good", lambda: module()), entry("other", lambda: module())).broken == []
    monkeypatch.setenv("LR_STRICT_PLUGINS", "1")
    host = discovered(entry("good", lambda: module()), entry("other", never), entry("lerobot-core", never))
    assert [status.error.partition(",")[0] for status in host.statuses] == ["", "not enabled", "not enabled"]


def test_core_is_always_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LR_BLOCK_PLUGINS", "core")
    monkeypatch.setenv("LR_STRICT_PLUGINS", "1")
    preferences.put("something", "enabled")
    assert preferences.read().refusal("core", "lerobot_core") == ""


def test_a_line_of_the_users_file_that_says_nothing_is_named() -> None:
    preferences.put("bad", "disabled")
    preferences.path().write_text("disabled bad\n\nforbid worse\n")
    with pytest.raises(ConfigError, match=r"plugins.txt, line 3: .* got 'forbid worse'"):
        preferences.read()


def test_ctrl_c_while_loading_is_not_a_broken_plugin(discovered) -> None:
    with pytest.raises(KeyboardInterrupt):
        discovered(entry("slow", raises(KeyboardInterrupt())))


@pytest.mark.parametrize("name", ["plugins", "plugins show", "config", "info x"])
def test_commands_of_core_are_nobody_elses(host: PrivateHost, name: str) -> None:
    host.offer("lr_commands", Command(name, "core.parts:work", "Work"))
    assert list(host.call("lr_commands")) == []
    assert f"'{name}' is lerobot-core's own" in host.broken[0].error


def test_a_hook_is_called_once(host: PrivateHost) -> None:
    calls = []
    host.add(module(lr_robots=hookimpl(lambda: calls.append(1) or [ARM])))
    assert registry(roles.Robot).names() == registry(roles.Robot).names() == ["arm"]
    assert calls == [1]


def test_what_a_plugin_changes_is_undone_and_noted(host: PrivateHost, tmp_path: Path) -> None:
    before = os.getcwd(), dict(os.environ), list(sys.path)

    def act() -> list[Component]:
        os.chdir(tmp_path)
        os.environ["HOSTILE"] = "1"
        sys.path.insert(0, "hostile")
        return [ARM]

    host.add(module(lr_robots=hookimpl(act)))
    assert registry(roles.Robot).names() == ["arm"]
    assert (os.getcwd(), dict(os.environ), list(sys.path)) == before
    assert [note.split(" changed ")[1] for note in host.statuses[0].notes] == [
        "the working folder; undone",
        "os.environ; undone",
        "sys.path; undone",
    ]


def test_a_private_host_refuses_discovery(host: PrivateHost) -> None:
    with pytest.raises(RuntimeError, match="does not discover"):
        host.discover()


def test_a_single_file_is_a_plugin(host: PrivateHost, tmp_path: Path) -> None:
    file = tmp_path / "my_plugin.py"
    file.write_text(
        "from lerobot_core.components import Component, hookimpl\n"
        "@hookimpl\n"
        "def lr_robots():\n"
        "    return [Component('mine', 'my_plugin:Config', 'my_plugin:Robot', 'My robot')]\n"
    )
    host.add_file(file)
    assert registry(roles.Robot).get("mine").distribution == str(file)


def test_a_single_file_may_do_what_it_wants(host: PrivateHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LR_PLUGIN_SECONDS", "0.01")
    monkeypatch.delenv("OF_THE_FILE", raising=False)
    file = tmp_path / "slow_file.py"
    file.write_text("import os, time\ntime.sleep(0.05)\nos.environ['OF_THE_FILE'] = '1'\n")
    host.add_file(file)
    assert (host.statuses[0].error, host.statuses[0].notes) == ("", ())
    assert os.environ.pop("OF_THE_FILE") == "1"


@pytest.mark.parametrize(("text", "says"), [(None, "does not exist"), ("import no_such_thing_at_all", "is broken")])
def test_a_file_asked_for_by_name_must_work(host: PrivateHost, tmp_path: Path, text: str | None, says: str) -> None:
    file = tmp_path / "my_plugin.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(PluginError, match=says):
        host.add_file(file)


def test_a_module_is_given_by_its_name(host: PrivateHost) -> None:
    host.add_given("lerobot_core.testing.plugin")
    assert registry(roles.Robot).get("toy_arm").plugin == "lerobot_core.testing.plugin"
    assert host.given == ["lerobot_core.testing.plugin"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("no_such_package.plugin", "'no_such_package.plugin' is broken: ModuleNotFoundError"),
        ("my_arm.py", "plugin file 'my_arm.py' does not exist"),
        ("my_arm", "plugin file 'my_arm' does not exist"),
    ],
)
def test_what_is_given_must_be_there(host: PrivateHost, given: str, says: str) -> None:
    with pytest.raises(PluginError, match=re.escape(says)):
        host.add_given(given)
    assert host.given == []


def test_a_file_does_not_replace_an_imported_module(host: PrivateHost, tmp_path: Path) -> None:
    file = tmp_path / "json.py"
    file.write_text("")
    with pytest.raises(PluginError, match="'json'"):
        host.add_file(file)
    import json

    assert json.dumps(1) == "1"


def test_two_of_a_name_are_refused_with_both_distributions(host: PrivateHost) -> None:
    host.offer("lr_robots", ARM, name="one", distribution="dist-one")
    host.offer("lr_robots", ARM, name="two", distribution="dist-two")
    with pytest.raises(PluginError, match=r"'arm'.*'dist-one' and 'dist-two'"):
        registry(roles.Robot).get("arm")


def test_two_commands_of_a_name_are_refused_with_both_distributions(host: PrivateHost) -> None:
    from lerobot_core.cli.program import LazyGroup

    for dist in ("dist-one", "dist-two"):
        host.offer("lr_commands", Command("work", "core.parts:work", "Work"), name=dist, distribution=dist)
    group = LazyGroup(name="lr")
    assert group.list_commands(None) == ["work"]
    with pytest.raises(PluginError, match=r"'work'.*'dist-one' and 'dist-two'"):
        group.get_command(None, "work")


def test_entry_points_are_those_the_standard_library_finds() -> None:
    found = {(entry.distribution, entry.name, entry.target, entry.version) for entry in installed.entry_points()}
    wanted = {
        (dist.name, entry.name, entry.value, dist.version)
        for dist in metadata.distributions()
        for entry in dist.entry_points
        if entry.group == "lerobot"
    }
    assert found == wanted
    assert found


def test_entry_points_in_any_spelling(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, name, version in (
        (first, "a.dist-info", "1"),
        (second, "a.dist-info", "2"),
        (second, "b.egg-info", "3"),
    ):
        (folder / name).mkdir(parents=True)
        head = f"Metadata-Version: 2.1\nName: {name[0]}\nVersion: {version}\n\nName: of the long description\n"
        (folder / name / ("METADATA" if name.endswith("dist-info") else "PKG-INFO")).write_text(head)
        (folder / name / "entry_points.txt").write_text(
            f"[console_scripts]\nlerobot = x:y\n\n[lerobot]\n# a comment\n{name[0]}=mod.plugin\n two = mod:part.x\n[other]\nz = z\n"
        )
    found = installed.entry_points([str(tmp_path / "not there"), str(first), str(second), str(first)])
    assert [(entry.distribution, entry.version, entry.name, entry.target) for entry in found] == [
        ("a", "1", "a", "mod.plugin"),
        ("b", "3", "b", "mod.plugin"),
        ("a", "1", "two", "mod:part.x"),
        ("b", "3", "two", "mod:part.x"),
    ]


def test_damaged_metadata_names_its_distribution(tmp_path: Path) -> None:
    for name, text in (
        ("one-1", b"[lerobot]\nx\n"),
        ("two-2", b"[lerobot\ny = m\n"),
        ("three-3", b"[lerobot]\n\xff\x1b = m\n"),
    ):
        (tmp_path / f"{name}.dist-info").mkdir()
        (tmp_path / f"{name}.dist-info" / "entry_points.txt").write_bytes(text)
    (tmp_path / "four-4.dist-info").write_text("a file")
    assert installed.entry_points([str(tmp_path)]) == [
        ("x", "", "one", "1"),
        ("y", "m", "two", "2"),
        ("\ufffd?", "m", "three", "3"),
    ]


def test_an_entry_point_loads_a_module_or_a_part_of_it() -> None:
    import json

    assert installed.EntryPoint("j", "json", "d", "1").load() is json
    assert installed.EntryPoint("j", "json:JSONDecoder.decode", "d", "1").load() is json.JSONDecoder.decode


@pytest.mark.parametrize(
    ("declared", "version", "holds"),
    [
        (">=0.1,<0.2", "0.1", True),
        (">=0.1,<0.2", "0.2", False),
        (">=0.1", "0.1.3", True),
        ("==0.1", "0.1.0", True),
        (">0.1", "0.1", False),
        ("<=0.1, >0.0", "0.1", True),
        (">=0.9", "0.10", True),
    ],
)
def test_core_ranges(declared: str, version: str, holds: bool) -> None:
    assert plugins._admits(declared, version) is holds
