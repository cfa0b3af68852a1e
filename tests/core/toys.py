"""A toy policy that needs torch, with its suite, and an arm that has patience."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lerobot_core.errors import FeatureError
from lerobot_core.features import PolicyFeature
from lerobot_core.roles import ActionChunk
from lerobot_core.testing import PolicySuite
from lerobot_core.testing.fakes import ToyArm


class TorchPolicySuite(PolicySuite):
    stochastic = True

    @pytest.fixture
    def batch(self, policy: Any) -> dict[str, Any]:
        import torch

        generator = torch.Generator().manual_seed(0)
        pad = torch.zeros(4, 5, dtype=torch.bool)
        pad[1, 3:] = True
        return {
            "observation.state": torch.randn(4, 3, generator=generator),
            "action": torch.randn(4, 5, 2, generator=generator),
            "action_is_pad": pad,
            "task": ["a", "b", "c", "d"],
        }

    def load(self, path: Path) -> Any:
        return torch_policy(path)


class Session:
    def __init__(self, generator: Any) -> None:
        self.generator, self.task = generator, ""
        self.previous: Any = None

    def reset(self) -> None:
        self.previous = None


def torch_policy(path: Path | None = None, **changes: Any) -> Any:
    """A linear torch policy that mixes in its session's last chunk; `changes` replace its methods."""
    import torch
    from torch import nn

    class TorchPolicy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.config = None
            self.input_features = {"observation.state": PolicyFeature(type="STATE", shape=(3,))}
            self.output_features = {"action": PolicyFeature(type="ACTION", shape=(2,))}
            self.action_names = None
            self.norm = nn.BatchNorm1d(3)
            self.net = nn.Linear(3, 10)

        def chunk(self, state: Any) -> Any:
            return self.net(self.norm(state)).reshape(-1, 5, 2)

        def loss(self, error: Any, pad: Any) -> Any:
            return (error.square() * ~pad[..., None]).sum() / (~pad).sum().clamp(min=1)

        def forward(self, batch: Any) -> Any:
            error = self.chunk(batch["observation.state"]) - batch["action"]
            loss = self.loss(error, batch["action_is_pad"])
            return loss, {"mse": loss.item()}

        def session(self, seed: int = 0) -> Session:
            return Session(torch.Generator().manual_seed(seed))

        @torch.no_grad()
        def infer(self, sessions: Any, observations: Any, executed_steps: Any) -> list[ActionChunk]:
            self.eval()
            if not sessions:
                return []
            state = torch.stack([self.state(observation) for observation in observations])
            chunks = []
            for session, chunk, step in zip(sessions, self.chunk(state), executed_steps, strict=True):
                chunk = chunk + 0.1 * torch.randn(chunk.shape, generator=session.generator)
                chunk = chunk if session.previous is None else (chunk + session.previous) / 2
                session.previous = chunk
                chunks.append(ActionChunk(actions=chunk.numpy().copy(), step=step, observed=step))
            return chunks

        def state(self, observation: Any) -> Any:
            value = np.array(observation.get("observation.state", ()), np.float32)
            if value.shape != (3,):
                raise FeatureError(f"'observation.state' is (3,), got {value.shape}")
            return torch.from_numpy(value)

        def save_pretrained(self, directory: Path) -> None:
            from safetensors.torch import save_file

            directory.mkdir(parents=True, exist_ok=True)
            save_file(self.state_dict(), directory / "model.safetensors")

    made = type("Changed", (TorchPolicy,), changes)()
    if path is not None:
        from safetensors.torch import load_file

        made.load_state_dict(load_file(path / "model.safetensors"))
    else:
        with torch.no_grad():
            made.net.weight.add_(0.1)
    return made


class PatientArm(ToyArm):
    """For a moment it gives the last observation of a device that fails, which its stamps tell."""

    patience = 0.05

    def get_observation(self):
        try:
            self.last = super().get_observation()
        except OSError:
            if time.monotonic_ns() - self.last["stamps"]["elbow.pos"] > self.patience * 1e9:
                raise
        return self.told()

    def told(self):
        return {**self.last, "stamps": dict(self.last["stamps"])}
