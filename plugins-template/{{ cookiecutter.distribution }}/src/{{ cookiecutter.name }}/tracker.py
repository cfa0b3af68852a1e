"""The tracker: a line of JSON for each time that numbers are logged.

Nothing is inherited: it has the methods of `lerobot_core.roles.Tracker`, so it is one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TextIO

from lerobot_core.errors import LeRobotError

from {{ cookiecutter.name }}.tracker_config import {{ cookiecutter.class_name }}TrackerConfig


class {{ cookiecutter.class_name }}Tracker:
    """Opens its file at the first number; every line is on the disk when `log` returns."""

    def __init__(self, config: {{ cookiecutter.class_name }}TrackerConfig) -> None:
        self.config = config
        self._file: TextIO | None = None
        self._is_closed = False

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Add one line.

        Raises:
            LeRobotError: after `close`.
        """
        if self._is_closed:
            raise LeRobotError(f"'{self.config.path}' is closed", hint="make a new tracker to go on in the same file")
        if self._file is None:
            self.config.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.config.path.open("a", encoding="utf-8")
        numbers = {key: float(value) for key, value in values.items()}
        self._file.write(json.dumps({"step": int(step), **numbers}) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file; does nothing when it is closed."""
        self._is_closed = True
        if self._file is not None:
            self._file.close()
            self._file = None
