"""The motion guard: no command makes an arm jump."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_core import guard
from lerobot_core.errors import DeviceError, DeviceTimeout, NotConnected
from lerobot_core.guard import Guard, GuardConfig
from lerobot_core.testing.clocks import FakeClock


def test_the_first_actions_ramp_from_where_the_robot_stands() -> None:
    limit = Guard(10, GuardConfig(ramp_speed=50))
    seen = {"a.pos": 0.0, "b.pos": 100.0}
    sent = [limit({"a.pos": 12.0, "b.pos": 100.0}, seen) for _ in range(4)]
    assert [action["a.pos"] for action in sent] == [5, 10, 12, 12]
    assert limit.caught_up
    assert limit({"a.pos": 90.0, "b.pos": 0.0}, seen) == {"a.pos": 90.0, "b.pos": 0.0}


def test_after_catching_up_a_joint_moves_at_its_limit() -> None:
    limit = Guard(10, GuardConfig(ramp_speed=50, max_speed=200))
    limit({"a.pos": 0.0}, {"a.pos": 0.0})
    assert limit({"a.pos": -100.0}, {"a.pos": 0.0}) == {"a.pos": -20.0}
    assert limit({"a.pos": -100.0}, {"a.pos": 0.0}) == {"a.pos": -40.0}


def test_reset_ramps_again() -> None:
    limit = Guard(10, GuardConfig(ramp_speed=50))
    limit({"a.pos": 0.0}, {"a.pos": 0.0})
    limit.reset()
    assert limit({"a.pos": 90.0}, {"a.pos": 30.0}) == {"a.pos": 35.0}


def test_a_joint_that_joins_later_starts_where_it_is_seen() -> None:
    limit = Guard(10, GuardConfig(ramp_speed=50, max_speed=50))
    limit({"a.pos": 0.0}, {"a.pos": 0.0, "b.pos": 40.0})
    assert limit({"a.pos": 0.0, "b.pos": 90.0}, {"a.pos": 0.0, "b.pos": 40.0})["b.pos"] == 45.0


def test_what_is_no_position_passes_through() -> None:
    action = {"a.pos": 1.0, "wheel.vel": 900.0, "grip.effort": -5.0}
    assert Guard(10, GuardConfig(ramp_speed=50))(action, {"a.pos": 1.0, "wheel.vel": 0.0}) == action


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("key", ["a.pos", "a.vel"])
def test_no_number_is_refused_before_anything_is_remembered(value: float, key: str) -> None:
    limit = Guard(10, GuardConfig(ramp_speed=50))
    with pytest.raises(DeviceError, match=f"action '{key}'"):
        limit({"b.pos": 50.0, key: value}, {"a.pos": 0.0, "b.pos": 0.0})
    assert limit({"b.pos": 50.0}, {"b.pos": 0.0}) == {"b.pos": 5.0}


def test_the_action_given_is_not_changed() -> None:
    action = {"a.pos": 90.0}
    Guard(10, GuardConfig(ramp_speed=50))(action, {"a.pos": 0.0})
    assert action == {"a.pos": 90.0}


def test_hold_goes_by_unit() -> None:
    observation = {"a.pos": 1.0, "b.pos": 2.0, "wheel.vel": 3.0}
    keys = {"a.pos": float, "b.pos": float, "wheel.vel": float, "c.pos": float}
    assert guard.hold({"a.pos": 9.0}, observation, keys) == {"a.pos": 9.0, "b.pos": 2.0, "wheel.vel": 0.0}
    assert guard.hold(None, observation, keys)["a.pos"] == 1.0


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=30), st.floats(-1e4, 1e4))
def test_no_step_is_larger_than_the_limit(goals: list[float], start: float) -> None:
    limit = Guard(1, GuardConfig(ramp_speed=7, max_speed=11))
    at = start
    for goal in goals:
        sent = limit({"a.pos": goal}, {"a.pos": start})["a.pos"]
        assert abs(sent - at) <= 11 + 1e-6
        assert min(at, goal) - 1e-6 <= sent <= max(at, goal) + 1e-6
        at = sent


class Arm:
    """An arm that moves a share of the way each time it is sent somewhere."""

    name = "arm"

    def __init__(self, share: float) -> None:
        self.at, self.share, self.sent = {"a.pos": 0.0}, share, []

    def get_observation(self) -> dict[str, float]:
        return dict(self.at)

    def send_action(self, action: dict[str, float]) -> dict[str, float]:
        self.sent.append(action["a.pos"])
        self.at["a.pos"] += self.share * (action["a.pos"] - self.at["a.pos"])
        return action


def test_move_to_goes_there_at_a_bounded_speed(clock: FakeClock) -> None:
    arm = Arm(share=1.0)
    guard.move_to(arm, {"a.pos": 10.0}, speed=30, fps=10, clock=clock)
    assert arm.sent == [3, 6, 9, 10]


def test_move_to_that_takes_too_long_is_an_error(clock: FakeClock) -> None:
    with pytest.raises(DeviceTimeout, match="'arm'"):
        guard.move_to(Arm(share=1.0), {"a.pos": 1000.0}, speed=30, fps=10, timeout=1, clock=clock)


class Joint:
    name, is_connected, action_features = "joint", True, {"a.pos": float}


@pytest.mark.parametrize(
    ("action", "told"),
    [({"a.po": 1.0}, "no joint 'a.po'; did you mean 'a.pos'"), ({"a.pos": math.nan}, "'a.pos' cannot be sent to nan")],
)
def test_what_every_robot_refuses(action: dict[str, float], told: str) -> None:
    guard.check_action({"a.pos": 1.0}, Joint())
    with pytest.raises(DeviceError, match=told):
        guard.check_action(action, Joint())


def test_nothing_is_sent_to_what_is_not_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Joint, "is_connected", False)
    with pytest.raises(NotConnected, match="'joint' is not connected"):
        guard.check_action({"a.pos": 1.0}, Joint())
