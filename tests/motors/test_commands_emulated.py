"""The commands on emulated servos: the bytes, the timing and the faults of a real bus."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from lerobot_core.errors import DeviceError
from lerobot_motors import emulators
from lerobot_motors.cameras.pattern import decode

CAMERA = "--robot.cameras={top: {type: pattern, width: 64, height: 48, fps: 25}}"


@pytest.fixture
def pair(emulator_folder):
    """A follower and a leader that moves, on emulators of this test's own."""
    robot = ("--robot.type=so101_follower", "--robot.port=emulated://so101?name=follower")
    return robot, ("--teleop.type=so101_leader", "--teleop.port=emulated://so101-leader?motion=sine&name=leader")


def test_the_follower_follows_at_its_rate_though_its_camera_is_slower(commands, pair, capsys):
    robot, teleop = pair
    commands("teleoperate", *robot, CAMERA, *teleop, "--fps=60", "--teleop_time_s=2", "--output_file=report.json")
    report = json.loads(Path("report.json").read_text())
    assert report["ticks"] == 120
    assert report["period_error_p50_ms"] < 1.0, "a camera of 25 Hz does not hold it up"
    assert report["devices"]["robot"]["transactions"] >= 240
    assert "bus errors" in capsys.readouterr().out


def test_a_recording_is_replayed(commands, pair, monkeypatch):
    robot, teleop = pair
    dataset = ("--dataset.type=toy_store", "--dataset.repo_id=me/set", "--dataset.root=set")
    commands(
        "record", *robot, CAMERA, *teleop, *dataset, "--dataset.single_task=wave", "--dataset.fps=50",
        "--dataset.num_episodes=1", "--dataset.episode_time_s=1", "--output_file=report.json",
    )  # fmt: skip
    with np.load("set/0.npz") as stored:
        recorded, pictures = stored["action"], stored["observation.images.top"]
    numbers = [decode(picture) for picture in pictures]
    assert numbers == sorted(numbers)
    seconds = json.loads(Path("report.json").read_text())["episodes"][0]["seconds"]
    assert abs(numbers[-1] - numbers[0] - 25 * seconds) <= 2, "25 pictures per second, whatever the loop does"
    sent = []
    monkeypatch.setattr("lerobot_motors.robots.arms.SoFollower.send_action", _recording(sent))
    # per tick 2.4 units, more than an arm may be away from the first frame when the rest is begun
    commands("replay", *robot, *dataset, "--guard.ramp_speed=120")
    assert np.allclose([list(action.values()) for action in sent[-len(recorded) :]], recorded, atol=1e-4)
    steps = np.abs(np.diff([list(action.values()) for action in sent[: -len(recorded)]], axis=0))
    assert steps.max(initial=0) <= 120 / 50 + 1e-6, "120 units/s up to the first frame"


def _recording(sent):
    from lerobot_motors.robots.arms import SoFollower

    send = SoFollower.send_action

    def record(self, action):
        sent.append(send(self, action))
        return sent[-1]

    return record


def test_a_missing_servo_is_named_and_nothing_stays_open(commands, pair):
    robot, teleop = pair
    with pytest.raises(DeviceError, match=r"'elbow_flex' \(id 3\) does not answer"):
        commands("teleoperate", robot[0], f"{robot[1]}&dead=3", *teleop)
    assert not emulators.address._children


def test_a_port_that_does_not_exist_is_named(commands, pair):
    with pytest.raises(DeviceError, match="'/dev/no-arm'"):
        commands("teleoperate", pair[0][0], "--robot.port=/dev/no-arm", *pair[1])


def test_a_calibration_is_checked_against_the_servos_and_the_pose(commands, pair, capsys):
    robot, _ = pair
    kept = emulators.open_port(robot[1].partition("=")[2])
    try:
        commands("calibrate", *robot, "--check=true")
        assert "is calibrated" in capsys.readouterr().out
        state = emulators.state("follower")
        state.hand[2] = 3500  # where its elbow cannot be
        moved_there(state, 2, 3500)
        with pytest.raises(DeviceError, match=r"'elbow_flex' stands at 3500, its range is 946 to 3148$"):
            commands("calibrate", *robot, "--check=true")
    finally:
        kept.close()


def moved_there(state, joint, place):
    """Wait until the hand has moved a joint."""
    deadline = time.monotonic() + 5
    while abs(state.positions[joint] - place) > 0.5 and time.monotonic() < deadline:
        time.sleep(0.005)


def test_joint_limits_are_found_with_a_leader_and_by_hand(commands, pair, capsys):
    robot, teleop = pair
    commands("find-joint-limits", *robot, *teleop, "--teleop_time_s=1", "--output_file=limits.json")
    limits = json.loads(Path("limits.json").read_text())
    assert limits["shoulder_pan.pos"]["max"] - limits["shoulder_pan.pos"]["min"] > 5
    assert "shoulder_pan.pos" in capsys.readouterr().out
    kept = emulators.open_port(robot[1].partition("=")[2])
    try:
        state = emulators.state("follower")
        state.hand[0] = 2600
        moved_there(state, 0, 2600)
        commands("find-joint-limits", *robot, "--teleop_time_s=0.5", "--output_file=limits.json")
    finally:
        kept.close()
    assert json.loads(Path("limits.json").read_text())["shoulder_pan.pos"]["max"] == pytest.approx(48.6, abs=0.2)
