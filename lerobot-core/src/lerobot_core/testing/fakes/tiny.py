"""A policy without torch: linear, in numpy, with everything a policy has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from lerobot_core.errors import FeatureError
from lerobot_core.features import STATE, PolicyFeature
from lerobot_core.roles import ActionChunk


@attrs.frozen(kw_only=True)
class TinyConfig:
    """A linear policy in numpy.

    Attributes:
        state_size: elements of the state.
        action_size: elements of an action.
        chunk_size: actions per inference.
        noise: spread of what is added to each action.
    """

    state_size: int = 3
    action_size: int = 3
    chunk_size: int = 8
    noise: float = 0.01


class TinySession:
    """Generator, task and last state of one client."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)
        self.task = ""
        self.last: np.ndarray | None = None

    def reset(self) -> None:
        self.last = None


class TinyPolicy:
    """actions = state and its change times a matrix, plus noise from the session's generator."""

    FILE = "tiny.json"

    def __init__(self, config: TinyConfig) -> None:
        self.config = config
        self.input_features = {STATE: PolicyFeature(type="STATE", shape=(config.state_size,))}
        self.output_features = {"action": PolicyFeature(type="ACTION", shape=(config.action_size,))}
        self.action_names: Sequence[str] | None = None
        shape = (2 * config.state_size, config.chunk_size * config.action_size)
        self.weight = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    def session(self, seed: int = 0) -> TinySession:
        return TinySession(seed)

    def infer(
        self, sessions: Sequence[TinySession], observations: Sequence[Mapping[str, Any]], executed_steps: Sequence[int]
    ) -> list[ActionChunk]:
        chunks = []
        for session, observation, step in zip(sessions, observations, executed_steps, strict=True):
            state = self._state(observation)
            change = np.zeros_like(state) if session.last is None else state - session.last
            session.last = state
            actions = np.concatenate([state, change]) @ self.weight  # (T A)
            actions = actions + self.config.noise * session.generator.normal(size=actions.shape)
            actions = actions.reshape(self.config.chunk_size, self.config.action_size).astype(np.float32)  # (T, A)
            chunks.append(ActionChunk(actions=actions, step=step, observed=step))
        return chunks

    def _state(self, observation: Mapping[str, Any]) -> np.ndarray:
        """A copy (S,) of the state."""
        if STATE not in observation:
            raise FeatureError(f"the policy needs '{STATE}', found {', '.join(observation) or 'nothing'}")
        state = np.array(observation[STATE], np.float32)
        if state.shape != (self.config.state_size,):
            raise FeatureError(f"'{STATE}' has shape {list(state.shape)}, needed is [{self.config.state_size}]")
        return state

    def forward(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, float]]:
        """Squared error of the chunk; without a gradient, as numpy has none."""
        state = np.asarray(batch[STATE], np.float32)  # (B, S)
        seen = np.concatenate([state, np.zeros_like(state)], axis=1)  # (B, 2 S)
        error = (seen @ self.weight).reshape(np.shape(batch["action"])) - np.asarray(batch["action"])  # (B, T, A)
        loss = float(np.mean(error**2))
        return loss, {"mse": loss}

    def save_pretrained(self, directory: str | Path) -> None:
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        data = {"type": "tiny", **attrs.asdict(self.config)}
        (folder / "config.json").write_text(json.dumps(data))
        (folder / self.FILE).write_text(json.dumps(self.weight.tolist()))

    @classmethod
    def from_pretrained(cls, path: str | Path, config: TinyConfig | None = None) -> TinyPolicy:
        if config is None:
            data = json.loads(Path(path, "config.json").read_text())
            config = TinyConfig(**{key: value for key, value in data.items() if key != "type"})
        policy = cls(config)
        policy.weight = np.array(json.loads(Path(path, cls.FILE).read_text()), np.float32)
        return policy
