"""Conformance kit: suites to subclass, one per role; fakes that are real components; pytest fixtures.

    from lerobot_core.testing import RobotSuite

    class TestMyArm(RobotSuite):
        @pytest.fixture
        def robot(self):
            return MyArm(MyArmConfig())

Needs the extra `lerobot-core[testing]`. Pin the version you test against: a new minor release may add checks.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "RobotSuite": "robots",
    "TeleoperatorSuite": "robots",
    "CameraSuite": "cameras",
    "MotorBusSuite": "buses",
    "DatasetBackendSuite": "datasets",
    "PolicySuite": "policies",
    "AggregatorSuite": "aggregators",
    "ProcessorStepSuite": "steps",
}

#: role → its suite
SUITES = {name.removesuffix("Suite"): name for name in _HOMES}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import pytest  # the fakes beside the suites are used without it

        home = f"{__name__}.{_HOMES[name]}"
        pytest.register_assert_rewrite(home)
        return getattr(import_module(home), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
