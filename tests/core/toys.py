"""Suites of the toys with everything declared, and the few toys that need torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core.features import PolicyFeature
from lerobot_core.roles import ActionChunk
from lerobot_core.testing import MotorBusSuite, PolicySuite, RobotSuite
from lerobot_core.testing.fakes import JOINTS


class ToyArmSuite(RobotSuite):
    settle_seconds = 0.5
    limits: ClassVar[dict[str, tuple[float, float]]] = {f"{joint}.pos": (-90.0, 90.0) for joint in JOINTS}

    def torque(self, robot: Any) -> bool:
        return any(memory["Torque_Enable"] for memory in robot.bus.memory.values())

    def devices(self, robot: Any) -> list[Any]:
        return list(robot.devices)


class ToyBusSuite(MotorBusSuite):
    roundtrips: ClassVar[dict[str, tuple[int, ...]]] = {"Goal_Position": (0, 4095, 2048), "Homing_Offset": (-2047, 5)}
    torque_register = "Torque_Enable"

    def silence(self, bus: Any, motor: str) -> bool:
        bus.unplugged.add(motor)
        return True


def mean(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The aggregator that takes half of each."""
    return old + np.float32(0.5) * (new - old)


class Delta:
    """The step that adds how far a scalar has come since the last call."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def features(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {**given, **{f"{key}.delta": float for key, value in given.items() if value is float}}

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        scalars = {key: value for key, value in values.items() if np.ndim(value) == 0}
        deltas = {f"{key}.delta": value - self.last.get(key, value) for key, value in scalars.items()}
        self.last = scalars
        return {**values, **deltas}

    def reset(self) -> None:
        self.last = {}


class TorchPolicySuite(PolicySuite):
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
            return (error.square() * ~pad[..., None]).sum() / (~pad).sum()

        def forward(self, batch: Any) -> Any:
            error = self.chunk(batch["observation.state"]) - batch["action"]
            loss = self.loss(error, batch["action_is_pad"])
            return loss, {"mse": loss.item()}

        def session(self, seed: int = 0) -> Session:
            return Session(torch.Generator().manual_seed(seed))

        @torch.no_grad()
        def infer(self, sessions: Any, observations: Any, executed_steps: Any) -> list[ActionChunk]:
            self.eval()
            state = torch.stack([torch.from_numpy(one["observation.state"]) for one in observations])
            chunks = []
            for session, chunk, step in zip(sessions, self.chunk(state), executed_steps, strict=True):
                chunk = chunk + 0.1 * torch.randn(chunk.shape, generator=session.generator)
                chunk = chunk if session.previous is None else (chunk + session.previous) / 2
                session.previous = chunk
                chunks.append(ActionChunk(actions=chunk.numpy(), step=step, observed=step))
            return chunks

        def save_pretrained(self, directory: Path) -> None:
            from safetensors.torch import save_file

            directory.mkdir(parents=True)
            save_file(self.state_dict(), directory / "model.safetensors")

    made = type("Changed", (TorchPolicy,), changes)()
    if path is not None:
        from safetensors.torch import load_file

        made.load_state_dict(load_file(path / "model.safetensors"))
    else:
        with torch.no_grad():
            made.net.weight.add_(0.1)
    return made
