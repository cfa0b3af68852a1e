"""The robot: what the control loop talks to, and the motors under it.

Nothing is inherited: it has the methods of `lerobot_core.roles.Robot`, so it is one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lerobot_core.guard import check_action, check_connected

from {{ cookiecutter.name }}.robot_config import {{ cookiecutter.class_name }}RobotConfig


class Motors:
    """Stand-in for the hardware, in memory: each motor goes to its goal with a lag. Replace it with your driver.

    Like real ones, they keep their place and their power when the port is closed.
    """

    def __init__(self, names: Sequence[str], lag: float) -> None:
        self.is_open = False
        self.is_powered = False
        self._lag = lag
        self._at = dict.fromkeys(names, 0.0)
        self._goal = dict(self._at)
        self._moved = time.monotonic_ns()

    def open(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def power(self, on: bool) -> None:
        """Hold every motor where it is, or let it go."""
        self._move()
        self._goal = dict(self._at)
        self.is_powered = on

    def read(self) -> tuple[dict[str, float], int]:
        """Positions [deg] and when they were measured, monotonic [ns]."""
        self._move()
        return dict(self._at), self._moved

    def write(self, goals: Mapping[str, float]) -> None:
        """Go to these positions [deg]."""
        self._move()
        self._goal |= goals

    def _move(self) -> None:
        now = time.monotonic_ns()
        share = 1 - math.exp(-(now - self._moved) / 1e9 / self._lag)
        self._at = {name: at + share * (self._goal[name] - at) for name, at in self._at.items()}
        self._moved = now


class {{ cookiecutter.class_name }}Robot:
    """Positions of the joints [deg] out, goals of the same names in; goals are kept within the limits."""

    name = "{{ cookiecutter.name }}"

    def __init__(self, config: {{ cookiecutter.class_name }}RobotConfig) -> None:
        self.config = config
        self.motors = Motors(config.joints, config.lag)

    @property
    def observation_features(self) -> dict[str, Any]:
        return self.action_features

    @property
    def action_features(self) -> dict[str, Any]:
        return {f"{joint}.pos": float for joint in self.config.joints}

    @property
    def is_connected(self) -> bool:
        return self.motors.is_open

    def connect(self, calibrate: bool = True) -> None:
        """Open the port and hold the joints where they are; does nothing when it is open."""
        if self.is_connected:
            return
        self.motors.open()
        self.motors.power(True)  # gains and speeds of real ones are set before that

    def get_observation(self) -> dict[str, Any]:
        """Position of each joint [deg], and under `stamps` when it was measured, monotonic [ns].

        Raises:
            NotConnected: before `connect` or after `disconnect`.
        """
        check_connected(self)
        positions, stamp = self.motors.read()
        observation: dict[str, Any] = {f"{joint}.pos": position for joint, position in positions.items()}
        return observation | {"stamps": dict.fromkeys(observation, stamp)}

    def send_action(self, action: Mapping[str, float]) -> dict[str, float]:
        """Move towards the goals [deg]; joints that are not named keep theirs. Returns the goals within the limits.

        Raises:
            NotConnected: before `connect` or after `disconnect`.
            DeviceError: a key that is no joint, or a value that is no finite number; nothing moves then.
        """
        check_action(action, self)
        sent = {key: min(max(float(value), self.config.low), self.config.high) for key, value in action.items()}
        self.motors.write({key.removesuffix(".pos"): value for key, value in sent.items()})
        return sent

    def disconnect(self) -> None:
        """Leave the motors as `on_stop` says and close the port; does nothing when it is closed."""
        if not self.is_connected:
            return
        try:
            self.motors.power(self.config.on_stop == "hold")
        finally:
            self.motors.close()
