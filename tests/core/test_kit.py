"""The toys pass the suites that everybody's parts have to pass, and the suites cannot be thinned out quietly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import toys
from lerobot_core import config, plugins, roles
from lerobot_core.registry import ROLES, registry, resolve
from lerobot_core.testing import (
    AggregatorSuite,
    CameraSuite,
    DatasetBackendSuite,
    MotorBusSuite,
    PolicySuite,
    ProcessorStepSuite,
    RobotSuite,
    TeleoperatorSuite,
)
from lerobot_core.testing.fakes import (
    TinyConfig,
    TinyPolicy,
    ToyArm,
    ToyArmConfig,
    ToyBus,
    ToyBusConfig,
    ToyCamera,
    ToyCameraConfig,
    ToyLeader,
    ToyLeaderConfig,
)
from lerobot_core.testing.memory import MemoryBackend, MemoryConfig


class TestToyArm(toys.ToyArmSuite):
    @pytest.fixture(params=["release", "hold"])
    def robot(self, request: pytest.FixtureRequest) -> ToyArm:
        return ToyArm(ToyArmConfig(on_stop=request.param))


class TestToyLeader(TeleoperatorSuite):
    @pytest.fixture
    def teleoperator(self) -> ToyLeader:
        return ToyLeader(ToyLeaderConfig())


class TestToyCamera(CameraSuite):
    @pytest.fixture
    def camera(self) -> ToyCamera:
        return ToyCamera(ToyCameraConfig())


class TestToyBus(toys.ToyBusSuite):
    @pytest.fixture
    def bus(self) -> ToyBus:
        return ToyBus(ToyBusConfig())


class TestMemoryBackend(DatasetBackendSuite):
    lossy = False

    @pytest.fixture
    def backend(self) -> Iterator[MemoryBackend]:
        backend = MemoryBackend(MemoryConfig())
        yield backend
        backend.forget()


class TestTinyPolicy(PolicySuite):
    trains = False

    @pytest.fixture
    def policy(self) -> TinyPolicy:
        return TinyPolicy(TinyConfig())

    def load(self, path: Path) -> TinyPolicy:
        return TinyPolicy.from_pretrained(path)


class TestTorchPolicy(toys.TorchPolicySuite):
    @pytest.fixture
    def policy(self) -> Any:
        return toys.torch_policy()


class TestMean(AggregatorSuite):
    @pytest.fixture
    def aggregator(self) -> Any:
        return toys.mean


class TestDelta(ProcessorStepSuite):
    @pytest.fixture
    def step(self) -> toys.Delta:
        return toys.Delta()

    @pytest.fixture
    def given(self) -> dict[str, Any]:
        return {"a.pos": float, "front": (8, 8, 3)}


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


def test_every_check_says_why_and_how() -> None:
    for suite in (
        RobotSuite,
        TeleoperatorSuite,
        CameraSuite,
        MotorBusSuite,
        DatasetBackendSuite,
        PolicySuite,
        AggregatorSuite,
        ProcessorStepSuite,
    ):
        checks = [name for name in dir(suite) if name.startswith("test_")]
        assert len(checks) >= 5
        for name in checks:
            text = getattr(suite, name).__doc__ or ""
            assert "Fix: " in text or name.endswith("has_the_role"), f"{suite.__name__}.{name}"


def test_every_role_of_the_robot_side_has_a_toy(host) -> None:
    host.add_file(Path(plugins.__file__).parent / "testing" / "plugin.py")
    toyless = {roles.ProcessorStep, roles.Aggregator, roles.Env, roles.Tracker}
    for role in set(ROLES) - toyless:
        for name in registry(role).names():
            assert isinstance(config.choose(role, name).build(), role)
            assert resolve(registry(role).get(name).component.build)


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
