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
from typing import Any

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

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import pytest  # the fakes beside the suites are used without it

        homes = [f"{__name__}.{home}" for home in _HOMES[name]]
        pytest.register_assert_rewrite(*[home for home in homes if home not in sys.modules])
        return getattr(import_module(homes[0]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
