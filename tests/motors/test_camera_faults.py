"""What a camera does at its worst, provoked by the options of the pattern, and how soon it is noticed."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from lerobot_core.config import choose
from lerobot_core.errors import ConfigError, DeviceError, DeviceTimeout
from lerobot_core.loop import connected
from lerobot_core.roles import Camera, Robot
from lerobot_motors.cameras import rig
from lerobot_motors.cameras.pattern import decode

FPS = 50.0
PERIOD = 1 / FPS


@pytest.fixture
def camera_of(commands):
    made = []

    def make(**options):
        camera = choose(Camera, "pattern", fps=FPS, width=64, height=48, **options).build()
        made.append(camera)
        camera.connect()
        return camera

    yield make
    for camera in made:
        camera.disconnect()


def until_refused(camera, seconds=2.0):
    """Look as the loop does until the camera is refused: stamp of the last picture, time of the refusal, the error."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            camera.read_latest()
        except DeviceError as error:
            return camera.stamp, time.monotonic_ns(), error
        time.sleep(PERIOD / 10)
    pytest.fail("it was never refused")
    return None


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"freeze": 5}, r"'pattern': the same picture 3 times in a row: the source is frozen"),
        ({"unplug": 5}, r"'pattern': it was unplugged"),
        ({"slow_s": 0.1}, r"'pattern': no picture younger than 40 ms \(the newest is \d+ ms old\)"),
    ],
)
def test_a_fault_is_noticed_and_named(camera_of, fault, message):
    _, _, error = until_refused(camera_of(**fault))
    assert error.device == "pattern"
    with pytest.raises(DeviceError, match=message):
        raise error


def test_a_frozen_camera_gives_at_most_two_repeats(camera_of):
    camera, seen = camera_of(freeze=4, max_age_s=1.0), []

    def look():
        while len(seen) < 20:
            seen.append(decode(camera.async_read()))

    with pytest.raises(DeviceError, match="frozen"):
        look()
    assert seen.count(3) <= 2
    assert max(seen) == 3


def test_a_still_source_may_be_allowed(camera_of):
    camera = camera_of(freeze=2, freeze_frames=0, max_age_s=1.0)
    assert {decode(camera.read()) for _ in range(6)} <= {0, 1}


def test_missing_pictures_are_counted(camera_of):
    camera = camera_of(drop=3, max_age_s=1.0)
    numbers = [decode(camera.read()) for _ in range(8)]
    health = camera.health
    assert all(number % 3 != 2 for number in numbers)
    assert health.dropped >= 3
    assert f"{health.dropped} dropped" in health.line()
    camera.disconnect()
    assert camera.health.frames >= health.frames


def test_an_unplugged_camera_can_be_connected_again(camera_of):
    camera = camera_of(unplug=5)
    until_refused(camera)
    camera.disconnect()
    camera.connect()
    assert camera.health.failures == 0
    assert camera.read().shape == (48, 64, 3)


def test_a_robot_refuses_and_names_its_camera(commands):
    front = {"type": "pattern", "fps": FPS, "width": 64, "height": 48}
    options = {"front": front, "wrist": {**front, "unplug": 8}}
    robot = choose(Robot, "so101_follower", port="emulated://so101", cameras=options).build()
    with connected(robot):
        _, _, error = until_refused(robot.cameras["wrist"])
        with pytest.raises(DeviceError, match=r"camera 'wrist \(pattern\)': it was unplugged"):
            robot.get_observation()
    assert "wrist" in str(error)


def test_a_recording_ends_rather_than_storing_old_pictures(commands):
    with pytest.raises(DeviceError, match=r"wrist.*frozen"):
        commands(
            "record",
            "--robot.type=so101_follower",
            "--robot.port=emulated://so101",
            "--robot.cameras={wrist: {type: pattern, fps: 50, width: 64, height: 48, freeze: 20, max_age_s: 5}}",
            "--teleop.type=so101_leader",
            "--teleop.port=emulated://so101-leader?motion=sine",
            "--dataset.type=toy_store",
            "--dataset.repo_id=me/set",
            "--dataset.root=set",
            "--dataset.single_task=wave",
            "--dataset.fps=50",
            "--dataset.episode_time_s=3",
            "--dataset.num_episodes=1",
        )
    assert not list(Path("set").glob("*.npz"))


@pytest.mark.parametrize(
    "options", [{"freeze": -1}, {"drop": 1}, {"max_age_s": 0.0}, {"freeze_frames": -1}, {"fps": 0.0}]
)
def test_faults_that_make_no_sense_are_refused(commands, options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        choose(Camera, "pattern", **options)


def test_a_rig_has_features_and_stamps_for_colour_and_depth():
    class Both:
        name, fps, width, height, stamp, use_depth = "X1", 30.0, 64, 48, 7, True

        def read_both(self):
            return np.zeros((48, 64, 3), np.uint8), np.ones((48, 64, 1), np.uint16)

    cameras = {"top": Both()}
    assert rig.features(cameras) == {"top": (48, 64, 3), "top_depth": (48, 64, 1)}
    pictures, stamps = rig.look(cameras)
    assert pictures["top_depth"].dtype == np.uint16
    assert stamps == {"top": 7, "top_depth": 7}


def test_a_wait_ends_in_a_timeout_that_says_how_old_the_newest_is(camera_of):
    camera = camera_of(slow_s=0.3, max_age_s=5.0)
    camera.read()
    with pytest.raises(DeviceTimeout, match="no new picture within 50 ms"):
        camera.async_read(50)
