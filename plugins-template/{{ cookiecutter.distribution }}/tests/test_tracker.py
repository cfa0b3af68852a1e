"""The tracker passes the suite that every tracker has to pass, and its lines are JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lerobot_core.config import choose
from lerobot_core.errors import ConfigError
from lerobot_core.roles import Tracker

from {{ cookiecutter.name }} import plugin
from {{ cookiecutter.name }}.tracker_conformance import {{ cookiecutter.class_name }}TrackerSuite


class Test{{ cookiecutter.class_name }}Tracker({{ cookiecutter.class_name }}TrackerSuite):
    component = plugin.lr_trackers()[0]


def test_every_step_is_a_line(tmp_path: Path) -> None:
    file = tmp_path / "runs" / "numbers.jsonl"
    for step in (1, 2):  # a second run goes on in the same file
        tracker = choose(Tracker, "{{ cookiecutter.name }}", path=str(file)).build()
        tracker.log({"loss": 1 / step}, step=step)
        tracker.close()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}]


def test_another_kind_of_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="jsonl"):
        choose(Tracker, "{{ cookiecutter.name }}", path="numbers.csv")
