"""What a camera does at its worst, provoked by the options of the pattern, and how soon it is noticed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import attrs
import numpy as np
import pytest

from lerobot_core.config import choose
from lerobot_core.errors import ConfigError, DeviceError, DeviceTimeout
from lerobot_core.loop import connected
from lerobot_core.roles import Camera, Robot
from lerobot_motors.cameras import reconnecting, rig
from lerobot_motors.cameras.configs import PatternConfig
from lerobot_motors.cameras.pattern import FaultyPattern, decode

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


def recorded(commands, camera="", *options):
    """`lr record` of two short episodes with a camera on the wrist: the picture numbers of each episode stored, and the report."""
    commands(
        "record", "--robot.type=so101_follower", "--robot.port=emulated://so101", "--dataset.num_episodes=2",
        f"--robot.cameras={{wrist: {{type: pattern, fps: 50, width: 64, height: 48, max_age_s: 5, {camera}}}}}",
        "--teleop.type=so101_leader", "--teleop.port=emulated://so101-leader?motion=sine", "--dataset.single_task=wave",
        "--dataset.type=toy_store", "--dataset.repo_id=me/set", "--dataset.root=set", "--dataset.undoes=true",
        "--dataset.fps=50", "--dataset.episode_time_s=0.2", "--dataset.reset_time_s=0.2", "--output_file=report.json", *options,
    )  # fmt: skip
    episodes = []
    for path in sorted(Path("set").glob("*.npz")):
        with np.load(path) as episode:
            episodes.append([decode(picture) for picture in episode["observation.images.wrist"]])
    return episodes, json.loads(Path("report.json").read_text())


@pytest.fixture
def pulled(monkeypatch):
    """Has a camera unplugged once, in the second episode or in the reset before it; its numbers then begin at 1000."""
    grab, open_, when = FaultyPattern._grab, FaultyPattern._open, {"in": "", "done": False}

    def grabbed(camera):
        running = Path("set/running")
        now = (
            "episode"
            if running.exists() and (running.read_text() or "0") >= "5"
            else "reset"
            if not running.exists()
            else ""
        )
        if Path("set/0.npz").exists() and now == when["in"] and not when["done"]:
            when["done"] = True
            raise OSError("it was unplugged")
        return grab(camera)

    def opened(camera):
        if when["done"]:
            camera.config = attrs.evolve(camera.config, start=1000)
        open_(camera)

    monkeypatch.setattr(FaultyPattern, "_grab", grabbed)
    monkeypatch.setattr(FaultyPattern, "_open", opened)
    return when


@pytest.mark.parametrize(("phase", "discarded"), [("episode", 1), ("reset", 0)])
def test_a_camera_that_comes_back_costs_the_episode_it_was_lost_in(commands, pulled, capsys, phase, discarded):
    pulled["in"] = phase
    (first, second), report = recorded(commands, "drop: 1000")
    assert report["discarded"] == discarded
    assert max(first) < 1000 <= min(second), "what was stored is as it was, and nothing of the damaged one is stored"
    said = capsys.readouterr().err
    assert "camera 'wrist (pattern)': it was unplugged" in said
    assert said.index("waiting 30 s for 'wrist' to come back") < said.index("back again: 'wrist'")
    assert ("episode 2/2: discarded" in said) == bool(discarded)


def test_a_camera_that_fails_again_and_again_ends_the_recording(commands, capsys):
    with pytest.raises(DeviceError, match=r"'wrist \(pattern\)': it was unplugged"):
        recorded(commands, "unplug: 3")
    assert capsys.readouterr().err.count("back again") == 3
    assert not list(Path("set").glob("*.npz"))


@pytest.mark.parametrize("wait", ["0", "0.05"])
def test_a_camera_that_stays_away_ends_the_recording(commands, monkeypatch, capsys, wait):
    start = FaultyPattern._start

    def gone(camera):
        if camera._counted.frames:  # it was connected before
            raise DeviceError("there is no camera any more", device=camera.name)
        start(camera)

    monkeypatch.setattr(FaultyPattern, "_start", gone)
    with pytest.raises(DeviceError, match=r"'wrist \(pattern\)': it was unplugged"):
        recorded(commands, "unplug: 3", f"--reconnect_time_s={wait}")
    assert ("waiting" in capsys.readouterr().err) == (wait != "0")


def test_waiting_for_a_camera_ends_when_the_person_says_so(monkeypatch):
    camera = FaultyPattern(PatternConfig(fps=FPS, width=64, height=48))
    tries = []

    def gone():
        tries.append(camera)
        raise DeviceError("there is no camera any more", device=camera.name)

    monkeypatch.setattr(camera, "connect", gone)
    assert not reconnecting.reconnect({"wrist": camera}, 60.0, stop=lambda: bool(tries))
    assert len(tries) == 1


def test_what_is_no_camera_is_not_waited_for(camera_of):
    broken, fine = camera_of(unplug=2), camera_of(max_age_s=5.0)
    until_refused(broken)
    robot = type("Robot", (), {"cameras": {"wrist": broken, "front": fine}})()
    broken.name, fine.name = "wrist (pattern)", "front (pattern)"
    servo = DeviceError("servo 3 does not answer", device="/dev/ttyACM0")
    assert list(reconnecting.lost(robot, servo)) == ["wrist"], "it gives nothing now"
    assert list(reconnecting.lost(robot, DeviceError("late", device="front (pattern)"))) == ["wrist", "front"]
    del robot.cameras["wrist"]
    assert not reconnecting.lost(robot, servo)


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
