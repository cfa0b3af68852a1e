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


def test_a_time_limit_that_is_none_is_one_error(tmp_path: Path) -> None:
    ran = lr(tmp_path, "--help", LR_PLUGIN_SECONDS="long")
    assert (ran.returncode, ran.stderr) == (
        1,
        "error: LR_PLUGIN_SECONDS is a number of seconds such as 5, got 'long'\n",
    )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good plugin, which keeps what the user says about it beside it."""
    install(tmp_path, "good", GOOD)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def state(folder: Path, **environment: str) -> str:
    rows = json.loads(lr(folder, "plugins", "--json", **environment).stdout)
    return next(row["state"] for row in rows if row["name"] == "good")


@pytest.mark.parametrize("name", ["good", "Good_Dist"])
def test_a_plugin_is_disabled_and_enabled_by_its_name_or_its_distributions(site: Path, name: str) -> None:
    (site / "good_plugin.py").write_text("raise SystemExit")
    done = lr(site, "plugins", "disable", name)
    assert (done.returncode, "plugin 'good' of good-dist 3.2 is disabled" in done.stdout) == (0, True)
    (site / "good_plugin.py").write_text("import os; os._exit(9)  # a disabled plugin is not imported")
    assert state(site).startswith("disabled; `lr plugins enable good`")
    ran = lr(site, "foreign")
    assert (ran.returncode, "'good' (disabled; `lr plugins enable good`" in ran.stderr) == (1, True)
    assert lr(site, "plugins", "enable", name).returncode == 0
    (site / "good_plugin.py").write_text(GOOD)
    assert state(site) == "ok"


def test_strict_mode_refuses_what_is_not_enabled(site: Path) -> None:
    for name in ("motors", "lerobot-serve"):
        assert lr(site, "plugins", "enable", name).returncode == 0
    assert state(site) == "ok"
    assert state(site, LR_STRICT_PLUGINS="1").startswith("not enabled, and LR_STRICT_PLUGINS=1")
    assert "serve" in lr(site, "--help", LR_STRICT_PLUGINS="1").stdout


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("disable", "goood"), "no plugin or distribution is called 'goood'; did you mean 'good'?"),
        (("enable", "lerobot-motor"), "did you mean 'lerobot-motors'?"),
        (("disable", "core"), "'core' is part of lr itself"),
        (("show", "foreign_amr"), "nothing installed is called 'foreign_amr'; did you mean 'foreign_arm'?"),
        (("shwo", "x"), "unknown command 'lr plugins shwo'; did you mean 'show'?"),
        (("--check", "god"), "did you mean 'good'?"),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest(site: Path, args: tuple[str, ...], says: str) -> None:
    ran = lr(site, "plugins", *args)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (1, 2)
    assert says in ran.stderr


PARTS = """
import attrs

@attrs.frozen(kw_only=True)
class Config:
    '''An arm.

    Attributes:
        reach: how far it reaches [m].
    '''

    reach: float = 0.8

class Robot:
    def __init__(self, config):
        self.name = "foreign"
        self.observation_features = {"joint.pos": float, "front": (4, 6, 3)}
        self.action_features = {"joint.pos": float}
"""


def test_show_tells_all_there_is_to_know(site: Path) -> None:
    (site / "foreign").mkdir()
    for name in ("__init__", "config", "robot"):
        (site / "foreign" / f"{name}.py").write_text(PARTS)
    about = site / "good_dist-3.2.dist-info" / "METADATA"
    about.write_text(about.read_text() + "Summary: Arms of elsewhere\nProject-URL: Docs, https://example.org/arms\n")
    shown = lr(site, "plugins", "show", "foreign_arm")
    assert shown.returncode == 0, shown.stderr
    text = " ".join(shown.stdout.split())
    for part in (
        "robot foreign_arm: A foreign arm",
        "config foreign.config:Config",
        "plugin good distribution good-dist 3.2 summary Arms of elsewhere documentation Docs: https://example.org/arms",
        "reach NUMBER how far it reaches [m]. [default 0.8]",
        "observation joint.pos: float observation front: (4, 6, 3) action joint.pos: float",
    ):
        assert part in text
    for name in ("good", "good-dist"):
        assert "offers robot foreign_arm A foreign arm" in " ".join(lr(site, "plugins", "show", name).stdout.split())


def test_show_names_the_readme_where_there_is_no_place_for_docs(site: Path) -> None:
    assert "documentation none; ask its author" in " ".join(lr(site, "plugins", "show", "good").stdout.split())
    info = site / "good_dist-3.2.dist-info"
    (info / "METADATA").write_text((info / "METADATA").read_text() + "\n# Arms of elsewhere\n")
    (info / "RECORD").write_text("good_dist-3.2.dist-info/METADATA,,\n")
    shown = " ".join(lr(site, "plugins", "show", "good").stdout.split())
    assert f"documentation README in {info / 'METADATA'}" in shown


def test_show_of_a_broken_plugin_says_why(site: Path) -> None:
    install(site, "broken", "import no_such_library_anywhere")
    assert "state ModuleNotFoundError" in " ".join(lr(site, "plugins", "show", "broken-dist").stdout.split())


def test_show_of_a_file_says_where_it_is(site: Path) -> None:
    file = site / "loose.py"
    file.write_text(GOOD.replace("foreign_arm", "loose_arm"))
    shown = lr(site, "plugins", "show", "loose_arm", f"--plugin={file}")
    assert (shown.returncode, str(file) in shown.stdout) == (0, True), shown.stderr
