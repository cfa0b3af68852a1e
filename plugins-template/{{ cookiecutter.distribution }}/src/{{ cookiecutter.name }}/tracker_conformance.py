"""What the conformance suite must know of the tracker. `lr plugins --check {{ cookiecutter.name }}` runs it, and so do the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lerobot_core.testing import TrackerSuite

from {{ cookiecutter.name }}.tracker import {{ cookiecutter.class_name }}Tracker
from {{ cookiecutter.name }}.tracker_config import {{ cookiecutter.class_name }}TrackerConfig


class {{ cookiecutter.class_name }}TrackerSuite(TrackerSuite):
    """A file to write to, and how it is read."""

    @pytest.fixture
    def tracker(self, tmp_path: Path) -> Any:
        return {{ cookiecutter.class_name }}Tracker({{ cookiecutter.class_name }}TrackerConfig(path=tmp_path / "numbers.jsonl"))
