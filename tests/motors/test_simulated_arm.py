"""The simulated arm as a model: lengths, axes, ranges and the cube's places. Nothing is started."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_motors.emulators.profiles import SO101
from lerobot_motors.envs import picker, scene, so101

DEGREES = st.tuples(*(st.floats(low, high) for low, high in so101.RANGES)).map(np.array)
SEEDS = st.integers(0, 2**31)

#: joints [deg] → tip [m], by hand: base to shoulder 0.0692 and 0.1166, upper arm (0.028, 0.1126), forearm (0.1349, 0.0052),
#: wrist to tip (0.1592, -0.0079), each (forward, up) where its joint is at 0
BY_HAND = {
    (0, 0, 0, 0, 0, 0): (0.3913, 0, 0.2265),
    (90, 0, 0, 0, 0, 0): (0.0388, -0.3525, 0.2265),  # pan: clockwise from above, about x = 0.0388
    (0, 90, 0, 0, 0, 0): (0.0692 + 0.1126 + 0.0052 - 0.0079, 0, 0.1166 - 0.028 - 0.1349 - 0.1592),
    (0, 0, 90, 0, 0, 0): (0.0972 + 0.0052 - 0.0079, 0, 0.2292 - 0.1349 - 0.1592),
    (0, 0, 0, 90, 0, 0): (0.0972 + 0.1349 - 0.0079, 0, 0.2292 + 0.0052 - 0.1592),
    (0, 0, 0, 0, 180, 0): (0.3913, 0.0001 - 0.0003, 0.2265 + 2 * 0.0079),  # the tip is below the axis of the roll
}


@pytest.mark.parametrize("joints", BY_HAND, ids=str)
def test_the_tip_is_where_a_ruler_says(joints):
    assert so101.tip(np.radians(joints)) == pytest.approx(BY_HAND[joints], abs=3e-4)


def test_links_are_as_long_as_the_arms():
    elbow, wrist = np.array(so101.OFFSETS[2]), np.array(so101.OFFSETS[3])
    assert np.linalg.norm(elbow) == pytest.approx(0.116, abs=0.001)
    assert np.linalg.norm(wrist) == pytest.approx(0.135, abs=0.001)


@given(DEGREES)
def test_ticks_and_angles_are_those_of_the_emulated_servos(degrees):
    """Ends of the travel in the servos' EEPROM are ends of the model's ranges; the middle is its zero."""
    ticks = [
        joint.range_min + (value + 10) / 110 * (joint.range_max - joint.range_min)
        if joint.name == "gripper"
        else (joint.range_min + joint.range_max) / 2 + value * 4095 / 360
        for joint, value in zip(SO101, degrees, strict=True)
    ]
    assert np.degrees(so101.angles(np.array(ticks))) == pytest.approx(degrees, abs=1e-6)


@pytest.mark.parametrize("joint", SO101, ids=lambda joint: joint.name)
def test_ranges_are_those_of_the_emulated_servos(joint):
    low, high = so101.RANGES[so101.JOINTS.index(joint.name)]
    assert (joint.range_max - joint.range_min) * 360 / 4095 == pytest.approx(high - low, abs=0.5)


def test_the_gripper_closes_at_the_end_of_its_range():
    assert math.degrees(so101.opening(0.0)) == pytest.approx(-10)
    assert so101.opening(0.05) > so101.opening(0.025) > so101.opening(0.0)


@given(st.floats(0.13, 0.23), st.floats(-1.0, 1.0), st.floats(-0.7, 0.7), st.floats(0.005, 0.04))
def test_the_arm_gets_where_it_is_sent(distance, direction, turn, height):
    place = np.array([0.0388 + distance * math.cos(direction), distance * math.sin(direction), height])
    joints = so101.joints_above(place, direction + turn, 0.0)
    assert so101.tip(joints) == pytest.approx(place, abs=4e-4)
    assert joints[1:4].sum() == pytest.approx(math.pi / 2), "it points straight down"


@pytest.mark.parametrize("place", [(0.6, 0.0, 0.0), (0.2, 0.0, 0.2)], ids=["too far", "wrist beyond its range"])
def test_a_place_out_of_reach_is_refused(place):
    with pytest.raises(ValueError, match=r"m (is out of|needs a joint)"):
        so101.joints_above(np.array(place), 0.0, 0.0)


@given(SEEDS)
def test_every_cube_can_be_picked(seed):
    """What the picker plans stays in the servos' ranges, and no cube begins in the zone."""
    placed = scene.placement(seed)
    cube = np.array([placed.x, placed.y, scene.HALF])
    low, high = so101.user(np.radians(so101.RANGES).T[0]), so101.user(np.radians(so101.RANGES).T[1])
    for joints in [picker.start(seed), *(point.joints for point in picker.plan(cube, placed.turn))]:
        assert np.all((joints >= low - 1e-6) & (joints <= high + 1e-6))
    assert not scene.in_zone(cube, np.zeros(3))


def test_a_seed_is_a_place():
    assert scene.placement(3) == scene.placement(3) != scene.placement(4)


@pytest.mark.parametrize(
    ("place", "speed", "inside"),
    [
        ((*scene.ZONE, scene.HALF), 0.0, True),
        ((scene.ZONE[0] + 0.04, scene.ZONE[1], scene.HALF), 0.0, False),
        ((*scene.ZONE, scene.HALF + 0.01), 0.0, False),
        ((*scene.ZONE, scene.HALF), 0.2, False),
    ],
    ids=["lies there", "beside it", "is held over it", "slides through it"],
)
def test_in_the_zone_means_lying_there(place, speed, inside):
    assert scene.in_zone(np.array(place), np.array([speed, 0, 0])) is inside
