"""The policy that keeps the present pose: to try a robot, a network and a server without a model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import attrs
import numpy as np

from lerobot_core.errors import CheckpointError, FeatureError
from lerobot_core.features import ACTION, IMAGES, STATE, PolicyFeature
from lerobot_core.roles import ActionChunk, Observation


@attrs.frozen(kw_only=True)
class HoldConfig:
    """Sends the observed joint values back as actions.

    Attributes:
        joints: number of joints, in the state and in the action alike.
        chunk_size: actions per chunk.
        drift: added to every joint with each step of a chunk [robot units].
        cameras: camera name → [height, width] of pictures to ask for; they are not looked at.
        delay_s: how long an inference takes, to stand for a real model [s].
    """

    joints: int = 6
    chunk_size: int = 50
    drift: float = 0.0
    cameras: dict[str, tuple[int, int]] = attrs.field(factory=dict)
    delay_s: float = 0.0


class Hold:
    """A Policy with no weights. Its sessions have nothing to remember."""

    action_names: Sequence[str] | None = None

    def __init__(self, config: HoldConfig) -> None:
        self.config = config
        self.input_features: Mapping[str, PolicyFeature] = {
            STATE: PolicyFeature(type="STATE", shape=(config.joints,))
        } | {IMAGES + name: PolicyFeature(type="VISUAL", shape=(3, *size)) for name, size in config.cameras.items()}
        self.output_features: Mapping[str, PolicyFeature] = {
            ACTION: PolicyFeature(type="ACTION", shape=(config.joints,))
        }

    def session(self, seed: int = 0) -> HoldSession:
        return HoldSession()

    def infer(
        self, sessions: Sequence[HoldSession], observations: Sequence[Observation], executed_steps: Sequence[int]
    ) -> list[ActionChunk]:
        """One chunk (T, A) per session: the state, plus `drift` per step.

        Raises:
            FeatureError: an observation lacks something, or has another shape.
        """
        time.sleep(self.config.delay_s)
        drift = self.config.drift * np.arange(1, self.config.chunk_size + 1, dtype=np.float32)[:, None]  # (T, 1)
        return [
            ActionChunk(actions=self._state(observation) + drift, step=step, observed=step)
            for _, observation, step in zip(sessions, observations, executed_steps, strict=True)
        ]

    def _state(self, observation: Observation) -> np.ndarray:
        """The joints (A,) of an observation that has everything asked for."""
        for key, feature in self.input_features.items():
            shape = feature.shape if feature.type == "STATE" else (*feature.shape[1:], feature.shape[0])
            found = np.shape(observation[key]) if key in observation else None
            if found != shape:
                raise FeatureError(
                    f"'hold' needs '{key}' of {list(shape)}, found {'nothing' if found is None else list(found)}",
                    hint="--policy.joints and --policy.cameras say what it needs",
                )
        return np.asarray(observation[STATE], dtype=np.float32)

    def forward(self, batch: Mapping[str, Any]) -> NoReturn:
        raise CheckpointError("'hold' has nothing to train", hint="pick another --policy.type")

    def save_pretrained(self, directory: str | Path) -> NoReturn:
        raise CheckpointError("'hold' has no weights to save", hint="pick another --policy.type")


@attrs.define
class HoldSession:
    """What a session must have.

    Attributes:
        task: what the robot is to do; not looked at.
    """

    task: str = ""

    def reset(self) -> None:
        """Nothing to forget."""
