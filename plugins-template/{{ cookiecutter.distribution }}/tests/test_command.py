"""The command passes the suite that every command has to pass, and works on a toy robot."""

from __future__ import annotations

from typing import Any

import pytest
from lerobot_core.cli import main
from lerobot_core.testing import CommandSuite
from lerobot_core.testing import plugin as toys

from {{ cookiecutter.name }} import plugin


@pytest.fixture(autouse=True)
def _toys(host: Any) -> None:
    host.add(toys, "toys", "lerobot-core")


class Test{{ cookiecutter.class_name }}Command(CommandSuite):
    component = plugin.lr_commands()[0]


def run(*options: str) -> int:
    """Exit status of `lr {{ cookiecutter.distribution }} …`."""
    with pytest.raises(SystemExit) as ended:
        main(["{{ cookiecutter.distribution }}", *options])
    return int(ended.value.code or 0)


def test_every_number_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--robot.type=toy_arm", "--robot.camera=false", "--samples=3") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["shoulder.pos", "elbow.pos", "gripper.pos"]


def test_options_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    assert "how often it is asked" in capsys.readouterr().out


def test_options_that_cannot_be_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--robot.type=toy_arm", "--samples=0") == 2
    assert "samples is at least 1, got 0" in capsys.readouterr().err
