"""The tracker: a line of JSON for each time that numbers are logged.

Nothing is inherited: it has the methods of `lerobot_core.roles.Tracker`, so it is one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TextIO

from {{ cookiecutter.name }}.tracker_config import {{ cookiecutter.class_name }}TrackerConfig


class {{ cookiecutter.class_name }}Tracker:
    """Opens its file at the first number; every line is on the disk when `log` returns."""

    def __init__(self, config: {{ cookiecutter.class_name }}TrackerConfig) -> None:
        self.config = config
        self._file: TextIO | None = None

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Add one line."""
        if self._file is None:
            self.config.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.config.path.open("a", encoding="utf-8")
        numbers = {key: float(value) for key, value in values.items()}
        self._file.write(json.dumps({"step": step, **numbers}) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file; does nothing when it is closed."""
        if self._file is not None:
            self._file.close()
            self._file = None
