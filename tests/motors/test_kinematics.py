"""Kinematics against the demo's own geometry, which shares no code with it, and there and back again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lerobot_core.errors import DataError
from lerobot_motors.demo import scene
from lerobot_motors.processors.chain import load, parse, rotation, rotation_vector

ARM = load("so101", "gripper_frame_link")
JOINTS = st.tuples(
    *(st.floats(low, high, allow_subnormal=False) for low, high in zip(ARM.low, ARM.high, strict=True))
).map(np.array)
NUDGE = st.tuples(*[st.floats(-0.3, 0.3)] * 5).map(np.array)


def test_the_arm_has_the_joints_of_the_robot_without_its_gripper():
    assert ARM.names == ["shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll"]
    assert np.allclose(np.degrees(ARM.high), [110, 100, 97, 95, 180], atol=0.01)


@given(JOINTS)
def test_the_tip_is_where_plane_geometry_has_it(joints):
    degrees = np.append(np.degrees(joints), 0.0)
    assert np.allclose(ARM.forward(joints)[:3, 3], scene.tip(degrees), atol=1e-12)


@given(JOINTS)
def test_the_jacobian_is_the_slope_of_the_pose(joints):
    step, here, slope = 1e-6, ARM.forward(joints), ARM.jacobian(joints)
    for index, column in enumerate(slope.T):
        there = ARM.forward(joints + np.eye(5)[index] * step)
        assert np.allclose(column[:3], (there - here)[:3, 3] / step, atol=1e-5)
        assert np.allclose(column[3:], rotation_vector(there[:3, :3] @ here[:3, :3].T) / step, atol=1e-4)


@settings(max_examples=150)
@given(JOINTS, NUDGE)
def test_a_pose_is_found_again_from_joints_nearby(joints, nudge):
    pose = ARM.forward(joints)
    found = ARM.inverse(pose, joints + nudge)
    assert np.all(found.joints >= ARM.low)
    assert np.all(found.joints <= ARM.high)
    there = ARM.forward(found.joints)
    assert np.linalg.norm(there[:3, 3] - pose[:3, 3]) < 5e-4
    assert found.distance == pytest.approx(np.linalg.norm(there[:3, 3] - pose[:3, 3]), abs=1e-9)


def test_the_turn_is_found_again_too_almost_everywhere():
    rng = np.random.default_rng(5)
    turned = []
    for joints in rng.uniform(ARM.low, ARM.high, (200, 5)):
        found = ARM.inverse(ARM.forward(joints), joints + rng.uniform(-0.3, 0.3, 5))
        turned.append(found.angle)
    assert np.mean(np.array(turned) < 1e-3) > 0.97


def test_out_of_reach_the_nearest_place_is_taken():
    pose = np.eye(4)
    pose[:3, 3] = 1.0, 0.0, scene.SHOULDER_HEIGHT
    found = ARM.inverse(pose, np.radians([0, 30, 30, 30, 0.0]))
    longest = scene.SHOULDER_OFFSET + scene.UPPER_ARM + scene.FOREARM + scene.TOOL
    assert np.linalg.norm(ARM.forward(found.joints)[:3, 3]) > 0.95 * longest
    assert found.distance == pytest.approx(1.0 - longest, abs=0.02)


@given(st.tuples(*[st.floats(-1.8, 1.8)] * 3).map(np.array))
def test_rotations_and_their_vectors(vector):
    matrix = rotation(vector)
    assert np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-9)
    assert np.allclose(rotation(rotation_vector(matrix)), matrix, atol=1e-7)


@pytest.mark.parametrize("axis", [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0, 0.8], [0, 0, 0]])
@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-5, np.pi - 1e-9, np.pi])
def test_small_and_half_turns(axis, angle):
    matrix = rotation(np.array(axis, float) * angle)
    assert np.allclose(rotation(rotation_vector(matrix)), matrix, atol=1e-7)


ONE = '<robot><joint name="a" type="{kind}"><parent link="base"/><child link="tip"/>{inside}</joint></robot>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ONE.format(kind="prismatic", inside=""), "only joints that turn"),
        (ONE.format(kind="revolute", inside='<limit lower="1" upper="-1"/>'), "limits in order"),
        (ONE.format(kind="fixed", inside='<origin xyz="1 2"/>'), "no three numbers"),
        (ONE.format(kind="fixed", inside='<origin xyz="1 2 nan"/>'), "no three numbers"),
        (ONE.replace("base", "tip").format(kind="fixed", inside=""), "circle"),
        ("<robot/>", "no link 'tip'"),
        ("<robot", "no URDF"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused(tmp_path, text, message):
    path = tmp_path / "arm.urdf"
    path.write_text(text)
    with pytest.raises(DataError) as refused:
        load(str(path), "tip")
    assert message in f"{refused.value} {refused.value.hint}"
    assert "arm.urdf" in str(refused.value)


def test_a_description_that_is_not_there_is_said():
    with pytest.raises(DataError, match="'so102'"):
        load("so102", "tip")


def test_origins_are_turned_about_fixed_axes():
    turn = '<origin xyz="1 2 3" rpy="0.1 0.2 0.3"/>'
    pose = parse(ONE.format(kind="fixed", inside=turn), "tip").forward(np.empty(0))
    cos, sin = np.cos, np.sin
    about = [
        np.array([[1, 0, 0], [0, cos(0.1), -sin(0.1)], [0, sin(0.1), cos(0.1)]]),
        np.array([[cos(0.2), 0, sin(0.2)], [0, 1, 0], [-sin(0.2), 0, cos(0.2)]]),
        np.array([[cos(0.3), -sin(0.3), 0], [sin(0.3), cos(0.3), 0], [0, 0, 1]]),
    ]
    assert np.allclose(pose[:3, :3], about[2] @ about[1] @ about[0])
    assert pose[:3, 3].tolist() == [1, 2, 3]
