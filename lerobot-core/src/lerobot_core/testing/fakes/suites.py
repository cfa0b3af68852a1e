"""What is known of the toys, for their suites: limits, torque, devices, how a servo is unplugged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core.testing import (
    CameraSuite,
    DatasetBackendSuite,
    EnvSuite,
    MotorBusSuite,
    PolicySuite,
    RobotSuite,
    TeleoperatorSuite,
    TrackerSuite,
)
from lerobot_core.testing.fakes.devices import JOINTS
from lerobot_core.testing.fakes.tiny import TinyPolicy
from lerobot_core.testing.memory import MemoryBackend, MemoryConfig


class ToyArmSuite(RobotSuite):
    settle_seconds = 0.5
    limits: ClassVar[dict[str, tuple[float, float]]] = {f"{joint}.pos": (-90.0, 90.0) for joint in JOINTS}

    def torque(self, robot: Any) -> bool:
        return any(memory["Torque_Enable"] for memory in robot.bus.memory.values())

    def devices(self, robot: Any) -> list[Any]:
        return list(robot.devices)


class ToyLeaderSuite(TeleoperatorSuite):
    moves = True


class ToyCameraSuite(CameraSuite):
    changes = True

    def looks_right(self, picture: np.ndarray) -> bool:
        """Green grows down the rows and blue along the columns."""
        green, blue = picture[..., 1].astype(int), picture[..., 2].astype(int)
        return bool((np.diff(green, axis=0) > 0).all() and (np.diff(blue, axis=1) > 0).all())


class ToyBusSuite(MotorBusSuite):
    roundtrips: ClassVar[dict[str, tuple[int, ...]]] = {"Goal_Position": (0, 4095, 2048), "Homing_Offset": (-2047, 5)}
    too_large: ClassVar[dict[str, tuple[int, ...]]] = {"Goal_Position": (1 << 16, -(1 << 16))}
    calibrated = "Homing_Offset"
    torque_register = "Torque_Enable"
    silent_seconds = 0.2

    def silence(self, bus: Any, motor: str) -> bool:
        bus.unplugged.add(motor)
        return True


class MemorySuite(DatasetBackendSuite):
    lossy = False

    @pytest.fixture
    def backend(self) -> Iterator[MemoryBackend]:
        backend = MemoryBackend(MemoryConfig())
        backend.forget()
        yield backend
        backend.forget()


class TinySuite(PolicySuite):
    trains = False
    stochastic = True

    def load(self, path: Path) -> TinyPolicy:
        return TinyPolicy.from_pretrained(path)


class ToyEnvSuite(EnvSuite):
    steps = 60


class ToyTrackerSuite(TrackerSuite):
    def logged(self, tracker: Any) -> list[tuple[int, dict[str, float]]]:
        return list(tracker.rows)
