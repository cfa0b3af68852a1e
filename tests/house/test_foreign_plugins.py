"""Real plugins of other people, found through real metadata, in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from house.distributions import install, lr

GOOD = """
from lerobot_core.components import Command, Component, hookimpl

LR_CORE = ">=0.1,<0.2"

@hookimpl
def lr_robots():
    return [Component("foreign_arm", "foreign.config:Config", "foreign.robot:Robot", "A foreign arm")]

@hookimpl
def lr_commands():
    return [Command("foreign", "foreign.command:run", "Do something foreign.")]
"""


@pytest.mark.parametrize(
    "text",
    [
        "import no_such_library_anywhere",
        "raise SystemExit(7)",
        "def broken(:",
        GOOD.replace(">=0.1,<0.2", ">=9"),
        GOOD.replace("def lr_robots", "def lr_robotics"),
        GOOD.replace('Command("foreign", "foreign.command:run", "Do something foreign.")', "1 / 0"),
    ],
    ids=["import", "exit", "syntax", "range", "hook name", "raising hook"],
)
def test_a_broken_plugin_costs_one_line(tmp_path: Path, text: str) -> None:
    install(tmp_path, "broken", text)
    ran = lr(tmp_path, "--help")
    assert ran.returncode == 0
    assert len(ran.stderr.splitlines()) == 1, ran.stderr
    assert "'broken' of broken-dist 3.2 is left out" in ran.stderr
    assert "plugins" in ran.stdout


def test_a_broken_plugin_is_named_where_it_may_be_missed(tmp_path: Path) -> None:
    install(tmp_path, "broken", "import no_such_library_anywhere")
    ran = lr(tmp_path, "no-such-command")
    assert (ran.returncode, "'broken' (ModuleNotFoundError" in ran.stderr.splitlines()[-1]) == (1, True)


def test_strict_and_blocked(tmp_path: Path) -> None:
    install(tmp_path, "broken", "import no_such_library_anywhere")
    strict = lr(tmp_path, "--help", LR_STRICT_PLUGINS="1")
    assert (strict.returncode, "'broken' of broken-dist 3.2" in strict.stderr) == (1, True)
    blocked = lr(tmp_path, "--help", LR_STRICT_PLUGINS="1", LR_BLOCK_PLUGINS="broken")
    assert (blocked.returncode, blocked.stderr) == (0, "")


def test_a_good_plugin_is_found_and_not_imported(tmp_path: Path) -> None:
    install(tmp_path, "good", GOOD)
    ran = lr(tmp_path, "--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Do something foreign." in ran.stdout
    listed = json.loads(lr(tmp_path, "plugins", "--json").stdout)
    (good,) = [row for row in listed if row["name"] == "good"]
    assert (good["distribution"], good["version"], good["state"]) == ("good-dist", "3.2", "ok")
    assert good["components"] == ["robot foreign_arm"]
    used = lr(tmp_path, "foreign")
    assert (used.returncode, used.stderr.splitlines()[0].startswith("error: 'foreign.command:run'")) == (1, True)
