"""The toys pass the suites that everybody's parts have to pass, and the suites cannot be thinned out quietly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import toys
from lerobot_core import config, plugins
from lerobot_core.components import Command
from lerobot_core.registry import ROLES, registry, resolve
from lerobot_core.testing import (
    AggregatorSuite,
    CameraSuite,
    CommandSuite,
    DatasetBackendSuite,
    EnvSuite,
    MotorBusSuite,
    PolicySuite,
    ProcessorStepSuite,
    RobotSuite,
    TeleoperatorSuite,
    TrackerSuite,
    plugin,
)
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
from lerobot_core.testing.memory import MemoryBackend, MemoryConfig


class TestToyArm(suites.ToyArmSuite):
    @pytest.fixture(params=["release", "hold"])
    def robot(self, request: pytest.FixtureRequest) -> ToyArm:
        return ToyArm(ToyArmConfig(on_stop=request.param))


class TestToyLeader(suites.ToyLeaderSuite):
    @pytest.fixture
    def teleoperator(self) -> ToyLeader:
        return ToyLeader(ToyLeaderConfig())


class TestToyCamera(suites.ToyCameraSuite):
    @pytest.fixture
    def camera(self) -> ToyCamera:
        return ToyCamera(ToyCameraConfig())


class TestToyBus(suites.ToyBusSuite):
    @pytest.fixture
    def bus(self) -> ToyBus:
        return ToyBus(ToyBusConfig())


class TestMemoryBackend(suites.MemorySuite):
    pass


class TestTinyPolicy(suites.TinySuite):
    @pytest.fixture
    def policy(self) -> TinyPolicy:
        return TinyPolicy(TinyConfig())


class TestTorchPolicy(toys.TorchPolicySuite):
    @pytest.fixture
    def policy(self) -> Any:
        return toys.torch_policy()


class TestToyEnv(suites.ToyEnvSuite):
    @pytest.fixture
    def env(self) -> ToyEnv:
        return ToyEnv(ToyEnvConfig())


class TestToyTracker(suites.ToyTrackerSuite):
    @pytest.fixture
    def tracker(self) -> ToyTracker:
        return ToyTracker(ToyTrackerConfig())


class TestMean(AggregatorSuite):
    @pytest.fixture
    def aggregator(self) -> Mean:
        return Mean(MeanConfig())


class TestDelta(ProcessorStepSuite):
    @pytest.fixture
    def step(self) -> Delta:
        return Delta(DeltaConfig())


class TestTurns(CommandSuite):
    component = plugin.lr_commands()[0]


# --- the guard --------------------------------------------------------------------------------------------------------


def replaced(*marks: pytest.MarkDecorator) -> Any:
    """A check that checks nothing, with these marks."""

    def check(self: Any) -> None:
        """Nothing."""

    for mark in marks:
        check = mark(check)
    return check


@pytest.mark.parametrize(
    "replacement",
    [
        None,
        replaced(),
        replaced(pytest.mark.xfail),
        replaced(pytest.mark.xfail(reason="")),
        replaced(pytest.mark.skip(reason="no")),
    ],
)
def test_a_check_cannot_be_replaced_without_a_reason(replacement: Any) -> None:
    with pytest.raises(TypeError, match="replaces the check 'test_no_overlap_is_no_steps'"):
        type("TestMine", (AggregatorSuite,), {"test_no_overlap_is_no_steps": replacement})


def test_a_check_can_be_excused_with_a_reason() -> None:
    excused = replaced(pytest.mark.xfail(reason="it cannot"))
    mine = type("TestMine", (AggregatorSuite,), {"test_no_overlap_is_no_steps": excused, "test_of_mine": replaced()})
    with pytest.raises(TypeError, match="replaces the check"):
        type("TestMore", (mine,), {"test_no_overlap_is_no_steps": replaced()})


#: suite → fewest checks it has
SUITES = {
    RobotSuite: 40,
    PolicySuite: 35,
    DatasetBackendSuite: 40,
    TeleoperatorSuite: 20,
    CameraSuite: 20,
    MotorBusSuite: 20,
    EnvSuite: 20,
    TrackerSuite: 12,
    CommandSuite: 9,
    AggregatorSuite: 8,
    ProcessorStepSuite: 9,
}


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.__name__)
def test_every_check_says_why_and_how(suite: type) -> None:
    checks = [name for name in dir(suite) if name.startswith("test_")]
    assert len(checks) >= SUITES[suite], len(checks)
    for name in checks:
        text = getattr(suite, name).__doc__ or ""
        assert "Fix: " in text, f"{suite.__name__}.{name}"


def test_every_role_has_a_suite_and_a_toy(host) -> None:
    assert {suite.role for suite in SUITES} == set(ROLES) | {Command}
    host.add_file(Path(plugins.__file__).parent / "testing" / "plugin.py")
    for role in ROLES:
        (component,) = (listed.component for listed in registry(role).listed)
        assert isinstance(config.choose(role, component.name, **component.example).build(), role)
        assert not component.suite or resolve(component.suite).role is role


def test_the_toy_arm_is_taught_by_the_toy_leader(clock) -> None:
    from lerobot_core import features
    from lerobot_core.loop import DatasetSink, TeleoperatorSource, connected, run_loop

    arm, leader, backend = ToyArm(ToyArmConfig()), ToyLeader(ToyLeaderConfig()), MemoryBackend(MemoryConfig())
    wanted = features.observation_features(arm.observation_features) | features.action_features(arm.action_features)
    writer = backend.create(wanted, 60)
    with connected(arm, leader):
        sink = DatasetSink(writer, wanted, "wave")
        run_loop(arm, TeleoperatorSource(leader), fps=60, duration=0.3, sinks=[sink])
    writer.save_episode()
    columns = backend.open().columns(0)
    backend.forget()
    assert len(columns["index"]) == 18
    assert np.ptp(columns["observation.state"][:, 0]) > 1
