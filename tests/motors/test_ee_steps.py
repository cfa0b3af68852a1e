"""The steps from deltas to joints, one by one and in a row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_core.errors import DeviceError, FeatureError
from lerobot_motors.demo import scene
from lerobot_motors.processors.configs import (
    Bounds,
    DeltaConfig,
    GripperConfig,
    KinematicsConfig,
    ReferenceConfig,
    SafetyConfig,
    Sizes,
)
from lerobot_motors.processors.deltas import (
    TARGETS,
    BoundsAndSafety,
    DeltaToMovement,
    GripperVelocity,
    ReferenceAndDelta,
)
from lerobot_motors.processors.poses import POSE, ForwardKinematics, InverseKinematics

BODY = ("shoulder_pan.pos", "shoulder_lift.pos", "elbow_flex.pos", "wrist_flex.pos", "wrist_roll.pos")
BENT = dict(zip(BODY, (0.0, 20.0, 20.0, 40.0, 0.0), strict=True)) | {"gripper.pos": 50.0}


def place(joints) -> np.ndarray:
    return scene.tip(np.array([joints[key] for key in (*BODY, "gripper.pos")]))


def movement(x=0.0, y=0.0, z=0.0, *, enabled=1.0, speed=0.0):
    return {
        "enabled": enabled,
        **dict.fromkeys(TARGETS, 0.0),
        "target_x": x,
        "target_y": y,
        "target_z": z,
        "gripper_vel": speed,
    }


def reference(latched: bool, **options) -> ReferenceAndDelta:
    sizes = Sizes(x=0.01, y=0.01, z=0.01)
    step = ReferenceAndDelta(ReferenceConfig(end_effector_step_sizes=sizes, use_latched_reference=latched, **options))
    step.observe(BENT)
    return step


def xyz(values) -> np.ndarray:
    return np.array([values[key] for key in POSE[:3]])


@pytest.mark.parametrize(
    ("given", "enabled", "speed"),
    [
        ({"delta_x": 1.0, "delta_y": 0.0, "delta_z": -1.0, "gripper": 2.0}, 1.0, 1.0),
        ({"delta_x": 0.0, "delta_y": 5e-4, "delta_z": 0.0, "gripper": 0.0}, 0.0, -1.0),
        ({"delta_x": 0.0, "delta_y": 0.0, "delta_z": 0.0}, 0.0, 0.0),
    ],
)
def test_deltas_are_a_movement_while_something_is_pressed(given, enabled, speed):
    out = DeltaToMovement(DeltaConfig(position_scale=2.0))(given)
    assert (out["enabled"], out["gripper_vel"]) == (enabled, speed)
    assert out["target_x"] == 2 * given["delta_x"]
    assert out["target_y"] == 0.0, "noise"


def test_a_latched_movement_counts_from_where_it_began():
    step = reference(latched=True)
    for x in (1.0, 2.0, 3.0):
        assert np.allclose(xyz(step(movement(x))) - place(BENT), [x * 0.01, 0, 0])
    held = xyz(step(movement(enabled=0.0)))
    assert np.allclose(held - place(BENT), [0.03, 0, 0]), "it stays when let go"
    assert np.allclose(xyz(step(movement(1.0))) - held, [0.01, 0, 0]), "and counts from there when pressed again"


def test_without_the_latch_each_turn_adds_up_to_the_lead():
    step = reference(latched=False, max_lead_m=0.03)
    away = [xyz(step(movement(z=1.0)))[2] - place(BENT)[2] for _ in range(8)]
    assert np.allclose(away[:3], [0.01, 0.02, 0.03])
    assert max(away) <= 0.04 + 1e-9, "one step beyond the lead, however long the key is held"
    back = xyz(step(movement(z=-1.0)))[2] - place(BENT)[2]
    assert back == pytest.approx(0.02), "it comes back at once"


def test_a_turn_is_about_the_grippers_own_axes():
    step = reference(latched=True)
    turned = step({**movement(), "target_wx": 0.2})
    assert np.allclose(xyz(turned), place(BENT))
    joints = inverse(turned)
    assert joints["wrist_roll.pos"] == pytest.approx(-np.degrees(0.2), abs=0.1), (
        "x is the axis of the gripper, against the roll"
    )


def inverse(values, start=BENT):
    step = InverseKinematics(KinematicsConfig())
    step.observe(start)
    return step({**{key: values[key] for key in POSE}, "ee.gripper_pos": 40.0})


@given(st.lists(st.tuples(*[st.floats(-3, 3)] * 3), min_size=1, max_size=20))
def test_the_pose_stays_in_its_box_and_its_steps_are_short(places):
    bounds = Bounds(min=[0.1, -0.2, 0.0], max=[0.4, 0.2, 0.3])
    step = BoundsAndSafety(SafetyConfig(end_effector_bounds=bounds, max_ee_step_m=0.05, on_jump="shorten"))
    former = None
    for at in places:
        out = step({**dict.fromkeys(POSE, 0.0), **dict(zip(POSE, at, strict=False))})
        assert np.all(xyz(out) >= np.array(bounds.min) - 1e-12)
        assert np.all(xyz(out) <= np.array(bounds.max) + 1e-12)
        if former is not None:
            assert np.linalg.norm(xyz(out) - former) <= 0.05 + 1e-12
        former = xyz(out)


def test_a_jump_is_refused_until_the_run_begins_anew():
    step, near, far = (
        BoundsAndSafety(SafetyConfig()),
        dict.fromkeys(POSE, 0.0),
        {**dict.fromkeys(POSE, 0.0), "ee.x": 0.06},
    )
    step(near)
    with pytest.raises(DeviceError, match="60 mm in one turn, 50 mm are allowed"):
        step(far)
    step.reset()
    step(far)


@given(st.floats(0, 100), st.lists(st.sampled_from([-1.0, 0.0, 1.0]), max_size=12))
def test_a_gripper_opens_and_closes_within_its_ends(start, speeds):
    step = GripperVelocity(GripperConfig(speed_factor=20.0))
    step.observe({"gripper.pos": start})
    opening = start
    for speed in speeds:
        opening = min(max(opening + 20 * speed, 0.0), 100.0)
        assert step({"ee.gripper_vel": speed}) == {"ee.gripper_pos": pytest.approx(opening)}


def test_joints_and_poses_are_inverse_to_each_other():
    pose = ForwardKinematics(KinematicsConfig())(BENT)
    assert np.allclose(xyz(pose), place(BENT))
    start = {**BENT, "shoulder_pan.pos": 10.0, "elbow_flex.pos": 30.0}
    back = inverse(pose, start)
    assert back["gripper.pos"] == 40.0
    assert np.allclose([back[key] for key in BODY], [BENT[key] for key in BODY], atol=0.05)


def test_out_of_reach_is_told_once(caplog):
    step = InverseKinematics(KinematicsConfig())
    step.observe(BENT)
    far = {**dict.fromkeys(POSE, 0.0), "ee.x": 0.9, "ee.gripper_pos": 0.0}
    for _ in range(3):
        step(far)
    assert len([line for line in caplog.messages if "beyond where the arm reaches" in line]) == 1


@pytest.mark.parametrize("kind", [ReferenceAndDelta, GripperVelocity, InverseKinematics])
def test_a_step_that_was_not_told_where_the_arm_is_refuses(kind):
    config = {ReferenceAndDelta: ReferenceConfig, GripperVelocity: GripperConfig, InverseKinematics: KinematicsConfig}
    with pytest.raises(FeatureError, match="has not been told"):
        kind(config[kind]())({**movement(), **dict.fromkeys(POSE, 0.0), "ee.gripper_vel": 0.0, "ee.gripper_pos": 0.0})


def test_another_robot_is_refused_by_the_joint_it_lacks():
    with pytest.raises(FeatureError, match="wrist_flex"):
        InverseKinematics(KinematicsConfig()).observe(
            {"shoulder_pan.pos": 0, "shoulder_lift.pos": 0, "elbow_flex.pos": 0}
        )


@pytest.mark.parametrize("bounds", [([0, 0], [1, 1]), ([0, 0, 1], [1, 1, 1]), ([0, 0, float("nan")], [1, 1, 1])])
def test_a_box_without_an_inside_is_refused(bounds):
    with pytest.raises(ValueError, match="min and max"):
        Bounds(min=bounds[0], max=bounds[1])
