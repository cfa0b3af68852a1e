"""The teleoperator: what a person holds, and the sensors in it.

Nothing is inherited: it has the methods of `lerobot_core.roles.Teleoperator`, so it is one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from lerobot_core.guard import check_connected

from {{ cookiecutter.name }}.teleoperator_config import {{ cookiecutter.class_name }}TeleoperatorConfig


class Handle:
    """Stand-in for the hardware, in memory: each joint swings by itself. Replace it with your driver."""

    def __init__(self, config: {{ cookiecutter.class_name }}TeleoperatorConfig) -> None:
        self.is_open = False
        self._config = config
        self._opened = 0.0

    def open(self) -> None:
        self.is_open = True
        self._opened = time.monotonic()

    def close(self) -> None:
        self.is_open = False

    def read(self) -> dict[str, float]:
        """Positions of the joints [deg]."""
        phase = (time.monotonic() - self._opened) / self._config.period
        return dict.fromkeys(self._config.joints, self._config.amplitude * math.sin(2 * math.pi * phase))


class {{ cookiecutter.class_name }}Teleoperator:
    """Positions of the joints [deg], as actions for a robot with joints of the same names."""

    name = "{{ cookiecutter.name }}"

    def __init__(self, config: {{ cookiecutter.class_name }}TeleoperatorConfig) -> None:
        self.config = config
        self.handle = Handle(config)

    @property
    def action_features(self) -> dict[str, Any]:
        return {f"{joint}.pos": float for joint in self.config.joints}

    @property
    def is_connected(self) -> bool:
        return self.handle.is_open

    def connect(self, calibrate: bool = True) -> None:
        """Open the port; does nothing when it is open."""
        if not self.is_connected:
            self.handle.open()

    def get_action(self) -> dict[str, float]:
        """Position of each joint [deg].

        Raises:
            NotConnected: before `connect` or after `disconnect`.
        """
        check_connected(self)
        return {f"{joint}.pos": position for joint, position in self.handle.read().items()}

    def send_feedback(self, feedback: Mapping[str, Any]) -> None:
        """It feels nothing; forces for motors in the handle arrive here."""

    def disconnect(self) -> None:
        """Close the port; does nothing when it is closed."""
        self.handle.close()
