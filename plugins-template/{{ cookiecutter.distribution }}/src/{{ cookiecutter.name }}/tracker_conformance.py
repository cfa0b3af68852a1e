"""What the conformance suite must know of the tracker. `lr plugins --check {{ cookiecutter.name }}` runs it, and so do the tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lerobot_core.testing import TrackerSuite

from {{ cookiecutter.name }}.tracker import {{ cookiecutter.class_name }}Tracker
from {{ cookiecutter.name }}.tracker_config import {{ cookiecutter.class_name }}TrackerConfig


class {{ cookiecutter.class_name }}TrackerSuite(TrackerSuite):
    """A file to write to, and how it is read."""

    @pytest.fixture
    def tracker(self, tmp_path: Path) -> Iterator[Any]:
        tracker = {{ cookiecutter.class_name }}Tracker({{ cookiecutter.class_name }}TrackerConfig(path=tmp_path / "numbers.jsonl"))
        yield tracker
        tracker.close()

    def logged(self, tracker: Any) -> list[tuple[int, dict[str, float]]]:
        rows = [json.loads(line) for line in tracker.config.path.read_text().splitlines()]
        return [(row.pop("step"), row) for row in rows]
