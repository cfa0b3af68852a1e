"""The motion guard: no command makes an arm jump."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lerobot_core import guard
from lerobot_core.errors import ConfigError, DeviceError, DeviceTimeout, NotConnected
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


FPS = 50.0
KEYS = ("a.pos", "b.pos", "c.pos")


def fuzzed(ticks: int, chance: np.random.Generator) -> np.ndarray:
    """Actions (T, 3): jumps of every size, wanderings and standing still, in turns."""
    scale = 10.0 ** chance.integers(-2, 5, (ticks // 50 + 1, 3)).repeat(50, axis=0)[:ticks]
    steps = chance.normal(size=(ticks, 3)) * (chance.random((ticks, 3)) < 0.3)
    return np.where(chance.random((ticks, 3)) < 0.9, np.cumsum(steps, axis=0), scale * chance.normal(size=(ticks, 3)))


def driven(config: GuardConfig, actions: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """What a new guard makes (T, 3) of actions (T, 3) for a robot that stands at `seen` (3,)."""
    limit, at = Guard(FPS, config), dict(zip(KEYS, seen.tolist(), strict=True))
    return np.array([list(limit(dict(zip(KEYS, row, strict=True)), at).values()) for row in actions.tolist()])


def check_kept(config: GuardConfig, actions: np.ndarray, sent: np.ndarray, seen: np.ndarray) -> None:
    low, high, speed, change = np.array([config.of(key) for key in KEYS]).T
    steps = np.diff(sent, axis=0, prepend=seen[None])
    near = 1e-9 * (1 + abs(sent))
    assert np.isfinite(sent).all()
    assert (abs(steps[0]) <= config.ramp_speed / FPS + near[0]).all(), "the first frame"
    assert (abs(steps) <= np.maximum(speed, 0) / FPS + near).all(), "speed"
    assert (abs(np.diff(steps, axis=0, prepend=0)) <= change / FPS**2 + 4 * near).all(), "acceleration"
    inside = (seen >= low) & (seen <= high)
    assert (sent >= np.where(inside, low, np.minimum(seen, low)) - near).all(), "lowest position"
    assert (sent <= np.where(inside, high, np.maximum(seen, high)) + near).all(), "highest position"
    if not np.isfinite(change).any():
        ends = np.sort(np.stack([np.clip(actions, low, high), sent - steps]), axis=0)
        assert (sent >= ends[0] - near).all(), "towards the goal"
        assert (sent <= ends[1] + near).all(), "not past the goal"


def fuzz(total: int, each: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    for _ in range(total // each):
        with_change, ramp = chance.random() < 0.5, float(10 ** chance.uniform(0, 3))
        config = GuardConfig(
            ramp_speed=ramp,
            max_speed=[None, float(10 ** chance.uniform(0, 4)), {"a": 20.0, "b": 3000.0}][chance.integers(3)],
            max_acceleration={"a": 500.0, "b": 1e4, "c": float(10 ** chance.uniform(0, 5))} if with_change else None,
            min_position=[None, -100.0, {"b": -50.0}][chance.integers(3)],
            max_position=[None, 100.0, {"b": 50.0}][chance.integers(3)],
        )
        actions, seen = fuzzed(each, chance), chance.uniform(-120, 120, 3)
        check_kept(config, actions, driven(config, actions, seen), seen)


def test_no_action_breaks_a_limit() -> None:
    fuzz(100_000, 2_000, seed=1)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_no_action_breaks_a_limit_in_ten_million() -> None:
    fuzz(10_000_000, 10_000, seed=2)


def test_a_joint_brakes_for_its_goal() -> None:
    config = GuardConfig(ramp_speed=100, max_acceleration=50)
    limit = Guard(10, config)
    sent = [limit({"a.pos": 12.0}, {"a.pos": 0.0})["a.pos"] for _ in range(14)]
    steps = np.diff(sent, prepend=0.0)
    assert sent[-1] == 12.0
    assert limit.arrived
    assert (np.diff(steps) >= -0.5 - 1e-9).all(), "50 units/s² at 10 Hz"
    assert max(sent) <= 12.0 + 1e-9, "not past it"
    assert max(steps) > 1.9, "and no slower than it has to be"


def test_a_pause_is_a_stand() -> None:
    limit = Guard(10, GuardConfig(ramp_speed=100, max_acceleration=50))
    first = [limit({"a.pos": 50.0}, {"a.pos": 0.0})["a.pos"] for _ in range(3)]
    limit.pause()
    assert limit({"a.pos": 50.0}, {"a.pos": 0.0})["a.pos"] - first[-1] == pytest.approx(0.5)


def test_a_first_frame_too_far_away_is_refused_and_a_near_one_ramped() -> None:
    limit = Guard(10, GuardConfig(ramp_speed=50, refuse_beyond=20))
    with pytest.raises(DeviceError, match=r"'b\.pos' at 60\.0, it stands at 10\.0: more than 20 away"):
        limit({"a.pos": 0.0, "b.pos": 60.0}, {"a.pos": 0.0, "b.pos": 10.0})
    assert limit({"a.pos": 0.0, "b.pos": 29.0}, {"a.pos": 0.0, "b.pos": 10.0})["b.pos"] == 15.0
    assert limit({"a.pos": 0.0, "b.pos": 90.0}, {"a.pos": 0.0, "b.pos": 10.0})["b.pos"] == 20.0, "only the first"


@pytest.mark.parametrize("seen", [{}, {"a.pos": math.nan}])
def test_a_joint_whose_place_is_not_known_is_not_moved(seen: dict[str, float]) -> None:
    with pytest.raises(DeviceError, match=r"'a\.pos' is observed at nan"):
        Guard(10)({"a.pos": 1.0}, seen)


class Two:
    name, action_features = "two", {"pan.pos": float, "lift.pos": float, "wheel.vel": float}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_speed": {"pen": 1.0}}, r"guard\.max_speed: no joint 'pen'; did you mean 'pan'"),
        ({"min_position": {"wheel": 1.0}}, "no joint 'wheel'"),
        ({"min_position": 5.0, "max_position": {"lift": 4.0}}, "'lift' cannot move from 5.0 to 4.0"),
        ({"max_acceleration": 0.0}, "'pan' cannot move"),
    ],
)
def test_limits_that_cannot_be_are_refused(options: dict[str, Any], told: str) -> None:
    GuardConfig(max_speed={"pan": 1.0, "lift": 2.0}).check(Two())
    with pytest.raises(ConfigError, match=told):
        GuardConfig(**options).check(Two())


@pytest.mark.parametrize("name", ["ramp_speed", "stale_ms"])
def test_times_and_speeds_are_above_zero(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        GuardConfig(**{name: 0.0})


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


def test_move_to_waits_until_the_joints_are_there(clock: FakeClock) -> None:
    arm = Arm(share=0.3)
    guard.move_to(arm, {"a.pos": 10.0}, speed=300, fps=30, clock=clock)
    assert abs(arm.at["a.pos"] - 10) < 2.5
    held_up = Arm(share=0.0)
    guard.move_to(held_up, {"a.pos": 10.0}, speed=300, fps=30, clock=clock)
    assert len(held_up.sent) <= 32, "a second, then it is taken as it is"


def test_move_to_stops_where_it_is_when_told(clock: FakeClock) -> None:
    arm = Arm(share=1.0)
    guard.move_to(arm, {"a.pos": 10.0}, speed=30, fps=10, clock=clock, stop=lambda: len(arm.sent) == 2)
    assert arm.sent == [3, 6]


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
