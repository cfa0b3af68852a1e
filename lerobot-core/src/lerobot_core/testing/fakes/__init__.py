"""Toys that are real components: an arm and its leader, a camera, a bus, a policy, an environment and more, without
hardware and without torch.

The plugin beside this folder offers them by name:
`lr teleoperate --plugin lerobot_core.testing.plugin --robot.type=toy_arm --teleop.type=toy_leader`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "JOINTS": "devices",
    "ToyCamera": "devices",
    "ToyCameraConfig": "devices",
    "ToyBus": "devices",
    "ToyBusConfig": "devices",
    "ToyArm": "arm",
    "ToyArmConfig": "arm",
    "ToyLeader": "arm",
    "ToyLeaderConfig": "arm",
    "TinyConfig": "tiny",
    "TinyPolicy": "tiny",
    "TinySession": "tiny",
    "ToyEnv": "env",
    "ToyEnvConfig": "env",
    "Mean": "software",
    "MeanConfig": "software",
    "Delta": "software",
    "DeltaConfig": "software",
    "ToyTracker": "software",
    "ToyTrackerConfig": "software",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
