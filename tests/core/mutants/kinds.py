"""What a mutant is, and the good parts they are made from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from core import toys
from lerobot_core.testing import AggregatorSuite, CommandSuite, ProcessorStepSuite, plugin
from lerobot_core.testing.fakes import (
    Delta,
    DeltaConfig,
    Mean,
    MeanConfig,
    TinyConfig,
    TinyPolicy,
    ToyArm,
    ToyArmConfig,
    ToyBus,
    ToyBusConfig,
    ToyCamera,
    ToyCameraConfig,
    ToyEnv,
    ToyEnvConfig,
    ToyLeader,
    ToyLeaderConfig,
    ToyTracker,
    ToyTrackerConfig,
    suites,
)
from lerobot_core.testing.memory import MemoryBackend, MemoryConfig, MemoryReader, MemoryWriter


class Good(NamedTuple):
    """A part that passes: its suite, the fixture that gives it, and what makes it."""

    suite: type
    fixture: str
    make: Callable[[], Any]


class Mutant(NamedTuple):
    """A fault: the good part's name, what makes the faulty one in its place, and words of the check that must notice."""

    good: str
    make: Callable[[], Any]
    noticed: str


class StepSuite(ProcessorStepSuite):
    @pytest.fixture
    def given(self) -> dict[str, Any]:
        return {"a.pos": float, "front": (8, 8, 3)}


class Backend(MemoryBackend):
    """A memory backend with its own writer and reader."""

    def __init__(self, writer: type = MemoryWriter, reader: type = MemoryReader) -> None:
        super().__init__(MemoryConfig(repo_id="mutants/set"))
        self.forget()
        self._writer, self._reader = writer, reader

    def create(self, features: Any, fps: int, **options: Any) -> Any:
        made = super().create(features, fps, **options)
        made.__class__ = self._writer
        return made

    def open(self, episodes: Any = None) -> Any:
        made = super().open(episodes)
        made.__class__ = self._reader
        return made


GOODS = {
    "robot": Good(suites.ToyArmSuite, "robot", lambda: ToyArm(ToyArmConfig())),
    "patient robot": Good(suites.ToyArmSuite, "robot", lambda: toys.PatientArm(ToyArmConfig())),
    "teleoperator": Good(suites.ToyLeaderSuite, "teleoperator", lambda: ToyLeader(ToyLeaderConfig())),
    "camera": Good(suites.ToyCameraSuite, "camera", lambda: ToyCamera(ToyCameraConfig())),
    "motor bus": Good(suites.ToyBusSuite, "bus", lambda: ToyBus(ToyBusConfig())),
    "policy": Good(suites.TinySuite, "policy", lambda: TinyPolicy(TinyConfig())),
    "policy in torch": Good(toys.TorchPolicySuite, "policy", toys.torch_policy),
    "dataset backend": Good(suites.MemorySuite, "backend", Backend),
    "environment": Good(suites.ToyEnvSuite, "env", lambda: ToyEnv(ToyEnvConfig())),
    "tracker": Good(suites.ToyTrackerSuite, "tracker", lambda: ToyTracker(ToyTrackerConfig())),
    "aggregator": Good(AggregatorSuite, "aggregator", lambda: Mean(MeanConfig())),
    "processor step": Good(StepSuite, "step", lambda: Delta(DeltaConfig())),
    "command": Good(CommandSuite, "command", lambda: plugin.lr_commands()[0]),
}
