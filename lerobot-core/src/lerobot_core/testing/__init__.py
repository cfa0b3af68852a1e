"""Conformance kit: suites to subclass, one per role; fakes that are real components; pytest fixtures.

    from lerobot_core.testing import RobotSuite

    class TestMyArm(RobotSuite):
        @pytest.fixture
        def robot(self):
            return MyArm(MyArmConfig())

Needs the extra `lerobot-core[testing]`. Pin the version you test against: a new minor release may add checks.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what a type checker sees; at run time the names below are imported on use
    from lerobot_core.testing.aggregators import AggregatorSuite as AggregatorSuite
    from lerobot_core.testing.buses import MotorBusSuite as MotorBusSuite
    from lerobot_core.testing.cameras import CameraSuite as CameraSuite
    from lerobot_core.testing.commands import CommandSuite as CommandSuite
    from lerobot_core.testing.datasets import DatasetBackendSuite as DatasetBackendSuite
    from lerobot_core.testing.envs import EnvSuite as EnvSuite
    from lerobot_core.testing.policies import PolicySuite as PolicySuite
    from lerobot_core.testing.robots import RobotSuite as RobotSuite
    from lerobot_core.testing.steps import ProcessorStepSuite as ProcessorStepSuite
    from lerobot_core.testing.teleoperators import TeleoperatorSuite as TeleoperatorSuite
    from lerobot_core.testing.trackers import TrackerSuite as TrackerSuite

#: suite → module, and the modules its checks come from
_HOMES = {
    "RobotSuite": ("robots", "devices"),
    "TeleoperatorSuite": ("teleoperators", "devices"),
    "CameraSuite": ("cameras",),
    "MotorBusSuite": ("buses",),
    "DatasetBackendSuite": ("datasets", "recordings", "loading"),
    "PolicySuite": ("policies", "learning"),
    "AggregatorSuite": ("aggregators",),
    "ProcessorStepSuite": ("steps",),
    "EnvSuite": ("envs",),
    "TrackerSuite": ("trackers",),
    "CommandSuite": ("commands",),
}

#: role → its suite
SUITES = {name.removesuffix("Suite"): name for name in _HOMES}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import pytest  # the fakes beside the suites are used without it

        homes = [f"{__name__}.{home}" for home in _HOMES[name]]
        pytest.register_assert_rewrite(*[home for home in homes if home not in sys.modules])
        return getattr(import_module(homes[0]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
