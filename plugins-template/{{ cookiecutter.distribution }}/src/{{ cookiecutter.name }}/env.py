"""The environment: an arm without mass that is to bring every joint to a goal.

Nothing is inherited: it has the methods of `lerobot_core.roles.Env`, so it is one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from lerobot_core.errors import LeRobotError, did_you_mean

from {{ cookiecutter.name }}.env_config import {{ cookiecutter.class_name }}EnvConfig


class {{ cookiecutter.class_name }}Env:
    """Observes positions and goals [deg], takes positions to go to. The reward is minus the mean distance [deg]."""

    def __init__(self, config: {{ cookiecutter.class_name }}EnvConfig) -> None:
        self.config = config
        self.fps = config.fps
        self._rng = np.random.default_rng()
        self._at: dict[str, float] = {}
        self._goal: dict[str, float] = {}
        self._steps = 0
        self._is_running = False

    @property
    def observation_features(self) -> dict[str, Any]:
        goals = {f"{joint}.goal": float for joint in self.config.joints}
        return self.action_features | goals

    @property
    def action_features(self) -> dict[str, Any]:
        return {f"{joint}.pos": float for joint in self.config.joints}

    def reset(self, *, seed: int | None = None) -> tuple[dict[str, float], dict[str, Any]]:
        """A new episode: (observation, info). The same seed gives the same episodes from here on."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        limit = self.config.limit
        self._at, self._goal = (
            {joint: float(self._rng.uniform(-limit, limit)) for joint in self.config.joints} for _ in range(2)
        )
        self._steps, self._is_running = 0, True
        return self._observe(), {}

    def step(self, action: Mapping[str, float]) -> tuple[dict[str, float], float, bool, bool, dict[str, Any]]:
        """One step: (observation, reward, terminated, truncated, info).

        Raises:
            LeRobotError: before `reset` or after the end of an episode, a joint that is missing or unknown, or a value that
                is no finite number.
        """
        self._check(action)
        config = self.config
        for joint in config.joints:
            goal = min(max(float(action[f"{joint}.pos"]), -config.limit), config.limit)
            self._at[joint] += min(max(goal - self._at[joint], -config.speed), config.speed)
        self._steps += 1
        distances = [abs(self._goal[joint] - self._at[joint]) for joint in config.joints]
        terminated = max(distances) <= config.tolerance
        truncated = not terminated and self._steps >= config.max_steps
        self._is_running = not (terminated or truncated)
        return self._observe(), -sum(distances) / len(distances), terminated, truncated, {"is_success": terminated}

    def close(self) -> None:
        """Nothing to release; a simulator's window is closed here."""
        self._is_running = False

    def _observe(self) -> dict[str, float]:
        positions = {f"{joint}.pos": position for joint, position in self._at.items()}
        return positions | {f"{joint}.goal": goal for joint, goal in self._goal.items()}

    def _check(self, action: Mapping[str, float]) -> None:
        if not self._is_running:
            raise LeRobotError("no episode is running", hint="call reset() first")
        for key in {**self.action_features, **action}:
            if key not in action or key not in self.action_features:
                what = "is missing" if key not in action else f"is unknown{did_you_mean(key, self.action_features)}"
                raise LeRobotError(f"action '{key}' {what} (needed: {', '.join(self.action_features)})")
        for key, value in action.items():
            if not math.isfinite(value):
                raise LeRobotError(f"action '{key}' is {value}", hint="check what gives the actions")
