"""A toy task: push two joints to a place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from lerobot_core.errors import DeviceError, did_you_mean

JOINTS = ("shoulder.pos", "elbow.pos")


@attrs.frozen(kw_only=True)
class ToyEnvConfig:
    """Reach for a place within some steps.

    Attributes:
        fps: steps per second [Hz].
        steps: steps after which an episode is cut off.
        reach: distance from the place that counts as there [deg].
        speed: farthest a joint comes in a step [deg].
    """

    fps: float = 10.0
    steps: int = 40
    reach: float = 3.0
    speed: float = 10.0


class ToyEnv:
    """Joints go towards the action at a limited speed; the reward is minus the distance from the place."""

    def __init__(self, config: ToyEnvConfig) -> None:
        self.config = config
        self.fps = config.fps
        self._generator = np.random.default_rng(0)
        self._at = self._place = np.zeros(len(JOINTS))
        self._left: int | None = None

    @property
    def observation_features(self) -> dict[str, Any]:
        places = [f"place.{joint}" for joint in JOINTS]
        return {**self.action_features, **dict.fromkeys(places, float), "top": (32, 48, 3)}

    @property
    def action_features(self) -> dict[str, Any]:
        return dict.fromkeys(JOINTS, float)

    def reset(self, *, seed: int | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        self._at, self._place = self._generator.uniform(-60, 60, (2, len(JOINTS)))
        self._left = self.config.steps
        return self._seen(), {"is_success": False}

    def step(self, action: Mapping[str, float]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        if self._left is None:
            raise DeviceError("no episode is running", hint="call reset() first")
        for key in {**self.action_features, **action}:
            if key not in self.action_features or key not in action:
                what = "missing" if key not in action else f"unknown{did_you_mean(key, JOINTS)}"
                raise DeviceError(f"action '{key}' is {what} (known: {', '.join(JOINTS)})")
            if not math.isfinite(action[key]):
                raise DeviceError(f"action '{key}' is {action[key]}", hint="what made this action?")
        way = np.array([action[joint] for joint in JOINTS]) - self._at
        self._at = self._at + way.clip(-self.config.speed, self.config.speed)
        self._left -= 1
        distance = float(np.abs(self._place - self._at).max())
        there, late = distance < self.config.reach, self._left == 0
        if there or late:
            self._left = None
        return self._seen(), -distance, there, late and not there, {"is_success": there}

    def close(self) -> None:
        self._left = None

    def _seen(self) -> dict[str, Any]:
        """Joints, places and a picture (32, 48, 3) whose column and row of the joints are red."""
        picture = np.zeros((32, 48, 3), np.uint8)
        row, column = ((self._at / 180 + 0.5) * (31, 47)).round().clip(0, (31, 47)).astype(int)
        picture[row, :, 0] = picture[:, column, 0] = 255
        joints = dict(zip(JOINTS, self._at.tolist(), strict=True))
        places = {f"place.{joint}": at for joint, at in zip(JOINTS, self._place.tolist(), strict=True)}
        return {**joints, **places, "top": picture}
