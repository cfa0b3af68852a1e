"""`lr plugins --check`: what a stranger's plugin is told, whatever becomes of its checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lerobot_core import plugins
from lerobot_core.errors import PluginError
from lerobot_core.testing import check
from lerobot_core.testing import plugin as toys

PLUGIN = """
import ctypes
import attrs
import pytest
from lerobot_core.components import Component, hookimpl
from lerobot_core.testing import AggregatorSuite

@attrs.frozen
class Config:
    drift: float = 0.0

class Mix:
    def __init__(self, config):
        self.drift = config.drift

    def __call__(self, old, new):
        return (old + new) / 2 + old.dtype.type(self.drift)

class Crashing(AggregatorSuite):
    def test_own(self, aggregator):
        \"\"\"It dies.\"\"\"
        ctypes.string_at(0)

class Hanging(AggregatorSuite):
    def test_own(self, aggregator):
        import time
        time.sleep(60)

class Excusing(AggregatorSuite):
    @pytest.mark.xfail(reason="an average of one and one half")
    def test_what_both_say_is_kept_exactly(self, aggregator, chunks):
        super().test_what_both_say_is_kept_exactly(aggregator, chunks)

def part(name, **more):
    return Component(name, "strange:Config", "strange:Mix", "Mixes", **more)

@hookimpl
def lr_aggregators():
    return [
        part("good"),
        part("drifting", example={"drift": 0.5}),
        part("crashing", suite="strange:Crashing"),
        part("hanging", suite="strange:Hanging"),
        part("excused", example={"drift": 0.5}, suite="strange:Excusing"),
        part("lacking", needs=("no_such_library=driver[usb]",)),
        part("misbuilt", example={"drfit": 1}),
        part("suiteless", suite="strange:NoSuite"),
    ]
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A single-file plugin with parts of every kind."""
    written = tmp_path_factory.mktemp("plugin") / "strange.py"
    written.write_text(PLUGIN)
    return written


@pytest.fixture
def strange(host: Any, file: Path) -> None:
    """The host with that plugin."""
    host.add_file(file)


def checked(name: str, capsys: pytest.CaptureFixture[str]) -> tuple[bool, dict[str, Any]]:
    good = check.check_plugin(name, as_json=True)
    found = json.loads(capsys.readouterr().out)
    (part,) = found["parts"]
    return good, part


@pytest.mark.usefixtures("strange")
def test_a_good_part_gets_a_table_and_a_badge(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert check.check_plugin("good", badge=tmp_path / "badge.json")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["passed", "failed", "skipped", "excused", "seconds"]
    assert lines[1].startswith("aggregator good ")
    badge = json.loads((tmp_path / "badge.json").read_text())
    assert json.loads(lines[-1]) == badge
    assert (badge["color"], badge["schemaVersion"]) == ("brightgreen", 1)


@pytest.mark.usefixtures("strange")
def test_a_failure_says_what_why_and_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert not check.check_plugin("drifting")
    said = capsys.readouterr().out
    assert "FAILED aggregator drifting: what both say is kept exactly" in said
    assert "Agreement must not make an arm creep. Fix: weights that add up to one" in said
    assert '"color": "red"' in said


@pytest.mark.usefixtures("strange")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("crashing", "died of SIGSEGV"),
        ("hanging", "no answer within 3 s"),
        ("misbuilt", "drfit: unknown option; did you mean 'drift'?"),
    ],
)
def test_a_part_that_cannot_be_checked_has_failed(
    name: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "CHECK_SECONDS", 3.0)
    good, part = checked(name, capsys)
    assert not good
    assert any(words in failure["message"] for failure in part["failed"]), part["failed"]


@pytest.mark.usefixtures("strange")
def test_a_missing_suite_has_failed(capsys: pytest.CaptureFixture[str]) -> None:
    good, part = checked("suiteless", capsys)
    assert not good
    assert "'strange:NoSuite' cannot be imported" in part["failed"][0]["message"]


@pytest.mark.usefixtures("strange")
def test_excused_and_skipped_checks_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    good, part = checked("excused", capsys)
    assert (good, len(part["excused"])) == (False, 1)
    good, part = checked("lacking", capsys)
    assert (good, part["passed"], len(part["failed"])) == (False, 0, 0)
    assert {skipped["message"] for skipped in part["skipped"]} == {"not installed: no_such_library"}


def test_the_toys_pass(host: Any, capsys: pytest.CaptureFixture[str]) -> None:
    host.add_file(Path(toys.__file__))
    good, part = checked("toy_leader", capsys)
    assert (good, part["name"]) == (True, "teleoperator toy_leader")


def test_nothing_of_that_name(host: Any) -> None:
    host.add_file(Path(toys.__file__))
    with pytest.raises(PluginError, match="nothing called 'toy_am' is installed; did you mean 'toy_arm'"):
        check.check_plugin("toy_am")
    assert plugins.host() is host
