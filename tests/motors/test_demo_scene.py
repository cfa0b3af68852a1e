"""The demo's world: kinematics, goals, the rule of success, pictures."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_motors.demo import scene
from lerobot_motors.demo.picture import VIEWS, Painter
from lerobot_motors.demo.stage import _HOMES

places = st.tuples(
    st.floats(*scene.BOARD_X), st.floats(*scene.BOARD_Y), st.floats(scene.BOARD_Z, scene.BOARD_Z + scene.LIFT[1])
)


@given(places)
def test_the_tip_is_where_the_joints_were_asked_to_put_it(place: tuple[float, float, float]) -> None:
    assert scene.tip(scene.joints_at(np.array(place))) == pytest.approx(place, abs=1e-9)


@given(places)
def test_every_place_over_the_board_is_within_the_joints_ranges(place: tuple[float, float, float]) -> None:
    joints = scene.joints_at(np.array(place))
    half = [(home.range_max - home.range_min) / 2 * 360 / 4095 for home in _HOMES.values()]
    assert (np.abs(joints[:5]) < half[:5]).all()


def test_links_keep_their_lengths() -> None:
    joints = np.random.default_rng(0).uniform(-90, 90, (100, 6))
    lengths = np.linalg.norm(np.diff(scene.points(joints), axis=1), axis=-1)
    assert lengths == pytest.approx(np.tile([scene.UPPER_ARM, scene.FOREARM, scene.TOOL], (100, 1)))


def test_out_of_reach_is_refused() -> None:
    with pytest.raises(ValueError, match="out of the arm's reach"):
        scene.joints_at(np.array([0.8, 0.0, 0.02]))


def test_the_goals_span_20_cm_and_runs_get_goals_of_their_own() -> None:
    recorded = [draw.goal for draw in itertools.islice(scene.draws(0), 50)]
    unseen = [draw.goal for draw in itertools.islice(scene.draws(0, unseen=True), 50)]
    assert np.ptp(unseen, axis=0)[1] > 0.20
    assert np.ptp(recorded, axis=0)[1] > np.ptp(unseen, axis=0)[1]
    assert not {tuple(goal) for goal in recorded} & {tuple(goal) for goal in unseen}
    again = [draw.goal for draw in itertools.islice(scene.draws(0, unseen=True), 50)]
    assert np.array_equal(unseen, again)


def test_at_most_one_random_pose_in_twenty_meets_the_rule() -> None:
    random = np.random.default_rng(0)
    draws = list(itertools.islice(scene.draws(0, unseen=True), 1000))
    starts = scene.tip(np.array([draw.start for draw in draws]))
    somewhere = np.array(
        [[random.uniform(*scene.BOARD_X), random.uniform(*scene.BOARD_Y), scene.BOARD_Z] for _ in draws]
    )
    goals = np.array([draw.goal for draw in draws])
    for tips in (starts, somewhere):
        assert (np.linalg.norm(tips - goals, axis=1) <= scene.RADIUS).mean() <= 0.05


def test_a_goal_is_reached_after_half_a_second_without_a_break() -> None:
    rule = scene.ReachRule()
    assert not rule.add(0.0, 0.010)
    assert not rule.add(0.49, 0.015)
    assert not rule.add(0.495, 0.016)  # left it
    assert not rule.add(0.60, 0.010)
    assert not rule.add(1.09, 0.010)
    assert rule.add(1.11, 0.010)
    rule.reset()
    assert not rule.add(1.2, 0.0)


@given(st.lists(st.floats(-80, 80), min_size=6, max_size=6), st.lists(st.floats(-80, 80), min_size=6, max_size=6))
def test_an_approach_keeps_its_speed_and_comes_nearer(start: list[float], target: list[float]) -> None:
    here, there = np.array(start), np.array(target)
    after = scene.approach(here, there, speed=80, gain=6, period=1 / 30)
    assert np.abs(after - here).max() <= 80 / 30 + 1e-9
    assert np.linalg.norm(there - after) <= np.linalg.norm(there - here) + 1e-12


@pytest.mark.parametrize("view", VIEWS)
def test_pictures_are_a_function_of_seed_pose_and_goal(view: str) -> None:
    draw = next(scene.draws(5))
    first, second = (Painter(view, 64, 48, seed=1).draw(draw.start, draw.goal) for _ in range(2))
    assert first.shape == (48, 64, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)
    assert not np.array_equal(first, Painter(view, 64, 48, seed=2).draw(draw.start, draw.goal))
    assert not np.array_equal(first, Painter(view, 64, 48, seed=1).draw(draw.start, draw.goal + 0.01))
    assert not np.array_equal(first, Painter(view, 64, 48, seed=1).draw(draw.start + 5, draw.goal))


def test_every_goal_and_its_tip_are_in_the_policy_s_picture() -> None:
    painter = Painter("front", 64, 48)
    empty = painter.draw(np.array([90.0, -90, 90, 90, 0, 0]), None).astype(int)
    for draw in itertools.islice(scene.draws(1), 60):
        shown = painter.draw(np.array([90.0, -90, 90, 90, 0, 0]), draw.goal).astype(int)
        red = (shown - empty)[..., 0] > 60
        assert red.sum() > 20
        assert not red[:, [0, -1]].any()
        assert not red[[0, -1]].any()
