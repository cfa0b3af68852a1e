from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lerobot_core.config import choose
from lerobot_core.errors import ConfigError, DeviceError, NotConnected
from lerobot_core.loop import connected
from lerobot_core.roles import Camera, Robot, Teleoperator
from lerobot_motors import catalogue, emulators, plugin
from lerobot_motors.emulators import EmulatorState
from lerobot_motors.robots.arms import SoFollower
from lerobot_motors.robots.configs import SoFollowerConfig
from lerobot_motors.teleoperators.arms import SoLeader
from lerobot_motors.teleoperators.configs import SoLeaderConfig

pytestmark = pytest.mark.usefixtures("emulator_folder")

#: What an emulator shows is at most so old [s], with the time the machine may take.
SHOWN = 0.02
KEYS = [f"{joint}.pos" for joint in catalogue.SIX]


@pytest.fixture
def watched() -> Iterator[EmulatorState]:
    """An emulated chain that outlives the device on it."""
    opened = emulators.open_port("emulated://so101?seed=5")
    yield emulators.state()
    opened.close()


def follower(**options: Any) -> SoFollower:
    return SoFollower(SoFollowerConfig(port="emulated://so101", **options))


def test_features_are_known_before_connecting() -> None:
    robot = follower()
    assert isinstance(robot, Robot)
    assert list(robot.action_features) == list(robot.observation_features) == KEYS
    assert not robot.is_connected
    for call in (robot.get_observation, lambda: robot.send_action({KEYS[0]: 0.0})):
        with pytest.raises((NotConnected, DeviceError)):
            call()
    robot.disconnect()


def test_it_observes_acts_and_lets_go(watched: EmulatorState) -> None:
    robot = follower()
    robot.connect()
    assert robot.is_connected
    assert robot.is_calibrated
    before = watched.positions
    time.sleep(SHOWN)
    assert watched.torque.all()
    goal = dict.fromkeys(KEYS, 10.0)
    assert robot.send_action(goal) == goal
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        observation = robot.get_observation()
        stamps = observation.pop("stamps")
        if all(abs(observation[key] - 10) < 0.2 for key in KEYS):
            break
    assert observation == pytest.approx(goal, abs=0.2)
    assert not np.allclose(before, watched.positions, atol=20)
    assert set(stamps) == set(KEYS)
    assert 0 <= time.monotonic_ns() - stamps[KEYS[0]] < 1e9
    assert robot.health.errors == 0
    assert robot.on_stop == "release"
    robot.disconnect()
    robot.disconnect()
    time.sleep(SHOWN)
    assert not watched.torque.any()


def test_connecting_never_makes_it_jump(watched: EmulatorState) -> None:
    watched.hand[:] = 2300  # its servos were last told to go elsewhere
    deadline = time.monotonic() + 5
    while (watched.positions != 2300).any() and time.monotonic() < deadline:
        time.sleep(0.005)
    watched.hand[:] = math.nan
    robot = follower()
    robot.connect()
    time.sleep(0.1)
    assert watched.positions == pytest.approx([2300.0] * 6, abs=1)
    robot.disconnect()


def test_it_can_hold_at_the_end(watched: EmulatorState) -> None:
    robot = follower(disable_torque_on_disconnect=False)
    assert robot.on_stop == "hold"
    robot.connect()
    robot.disconnect()
    time.sleep(SHOWN)
    assert watched.torque.all()


@pytest.mark.parametrize("at", [2, 8, 14], ids=["finding the calibration", "configuring", "powering"])
def test_an_interrupted_connect_leaves_no_arm_half_on(
    watched: EmulatorState, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    held = follower(disable_torque_on_disconnect=False)
    held.connect()
    held.disconnect()
    robot, writes = follower(), []
    write = robot.bus._write

    def interrupted(register: str, *args: Any) -> Any:
        writes.extend([register] * (register == "Torque_Enable"))
        if len(writes) == at:
            writes.append("interrupted")
            raise KeyboardInterrupt
        return write(register, *args)

    monkeypatch.setattr(robot.bus, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        robot.connect()
    time.sleep(SHOWN)
    assert not watched.torque.any()


def test_it_goes_to_its_park_pose_before_it_lets_go(watched: EmulatorState) -> None:
    robot = follower(park={"elbow_flex": 30.0})
    assert robot.park == {"elbow_flex.pos": 30.0}
    with connected(robot):
        before = robot.get_observation()
    time.sleep(SHOWN)
    assert not watched.torque.any()
    robot.connect()
    after = robot.get_observation()
    robot.disconnect()
    assert after["elbow_flex.pos"] == pytest.approx(30, abs=2)
    assert after["gripper.pos"] == pytest.approx(before["gripper.pos"], abs=1)


def test_a_lost_reply_is_seen_by_its_stamp(watched: EmulatorState) -> None:
    """Every third reply of one servo is dropped: its value stays and its stamp stands still, the others go on."""
    robot = follower(num_read_retries=0)
    robot.connect()
    watched.inject("drop:every=3:id=3")
    observations = [robot.get_observation() for _ in range(13)]
    robot.disconnect()
    aged = {
        key: sum(late["stamps"][key] == early["stamps"][key] for early, late in pairwise(observations)) for key in KEYS
    }
    assert aged.pop("elbow_flex.pos") >= 4
    assert max(aged.values()) <= 1, "a busy machine may lose one more"


def test_settings_are_in_the_servos_afterwards() -> None:
    robot = follower(position_p_coefficient=20)
    robot.connect()
    assert set(robot.bus.sync_read("P_Coefficient").values()) == {20}
    assert set(robot.bus.sync_read("Return_Delay_Time").values()) == {0}
    assert robot.bus.read("Protection_Current", "gripper") == 250
    assert robot.bus.read("Protection_Current", "elbow_flex") == 0
    robot.disconnect()


def test_actions_stay_in_range_and_near(caplog: pytest.LogCaptureFixture) -> None:
    robot = follower(max_relative_target={"shoulder_pan": 5.0})
    robot.connect()
    sent = robot.send_action({"shoulder_pan.pos": 90.0, "gripper.pos": 250.0, "elbow_flex.pos": -400.0})
    assert sent["shoulder_pan.pos"] == pytest.approx(5.0, abs=0.2)
    assert sent["gripper.pos"] == 100
    assert sent["elbow_flex.pos"] == pytest.approx(-96.8, abs=0.1)
    assert "'shoulder_pan' asked to go to 90.00" in caplog.text
    for bad in (math.nan, math.inf):
        with pytest.raises(DeviceError, match=r"'gripper\.pos' cannot be sent"):
            robot.send_action({"gripper.pos": bad})
    with pytest.raises(DeviceError, match=r"did you mean 'gripper\.pos'"):
        robot.send_action({"griper.pos": 1.0})
    robot.disconnect()


def test_options_that_cannot_be_right() -> None:
    with pytest.raises(TypeError, match="integer 5"):
        follower(max_relative_target=5)
    with pytest.raises(ValueError, match="above 0"):
        follower(max_relative_target=-1.0)
    with pytest.raises(ConfigError, match="did you mean 'gripper'"):
        follower(max_relative_target={"griper": 1.0})
    with pytest.raises(ConfigError, match="park: no joint 'griper'; did you mean 'gripper'"):
        follower(park={"griper": 1.0})


def test_cameras_are_part_of_the_observation(host: Any) -> None:
    host.add(plugin)
    if "pattern" not in [item.name for item in getattr(plugin, "lr_cameras", list)()]:
        pytest.skip("this build has no pattern camera")
    front = choose(Camera, "pattern", width=64, height=48, fps=60.0)
    robot = follower(cameras={"front": front})
    assert robot.observation_features["front"] == (48, 64, 3)
    robot.connect()
    observation = robot.get_observation()
    assert observation["front"].shape == (48, 64, 3)
    assert observation["stamps"]["front"] > 0
    robot.disconnect()
    assert not robot.cameras["front"].is_connected


class BrokenCamera:
    fps, width, height, stamp, is_connected = 30.0, 4, 4, 0, True

    def connect(self) -> None:
        raise NotConnected("no camera there")

    def disconnect(self) -> None:
        raise DeviceError("camera is stuck")


def test_a_failing_camera_leaves_nothing_on(watched: EmulatorState) -> None:
    robot = follower()
    robot.cameras = {"front": BrokenCamera()}
    with pytest.raises(DeviceError):
        robot.connect()
    time.sleep(SHOWN)
    assert not watched.torque.any()
    assert not robot.bus.is_connected


class Person:
    """Moves every joint of the emulated arm between two places as the prompt asks, and rests at each."""

    def __init__(self, answers: Sequence[str] = ("",)) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.table: Sequence[str] = ()
        self._moves: Iterator[float] = iter(())

    def ask(self, text: str) -> str:
        self.asked.append(text)
        return self.answers.pop(0)

    def watch(self, text: str) -> None:
        self.asked.append(text)
        self._moves = iter([1500.0] * 3 + [2600.0] * 3 + [math.nan])

    def show(self, lines: Sequence[str]) -> None:
        self.table = lines

    def end(self) -> None:
        """The table stays, to be looked at."""

    def done(self) -> bool:
        place = next(self._moves)
        state = emulators.state()
        state.hand[:] = place
        deadline = time.monotonic() + 5
        while not math.isnan(place) and abs(state.positions - place).max() > 0 and time.monotonic() < deadline:
            time.sleep(0.005)
        return math.isnan(place)


def test_a_person_calibrates_it_and_the_file_is_used(tmp_path: Path, watched: EmulatorState) -> None:
    person = Person()
    config = SoFollowerConfig(port="emulated://so101", id="mine", calibration_dir=tmp_path)
    robot = SoFollower(config, prompt=person)
    robot.connect()
    robot.calibrate()
    assert robot.is_calibrated
    assert len(person.table) == 1 + len(catalogue.SIX)
    robot.disconnect()
    stored = json.loads((tmp_path / "mine.json").read_text())
    assert list(stored) == list(catalogue.SIX)
    assert (stored["wrist_roll"]["range_min"], stored["wrist_roll"]["range_max"]) == (0, 4095)
    assert (stored["gripper"]["range_min"], stored["gripper"]["range_max"]) == (1497, 2597), "in the middle of the turn"

    stored["gripper"]["range_max"] = 2500
    (tmp_path / "mine.json").write_text(json.dumps(stored))
    again = SoFollower(config, prompt=Person([""]))
    again.connect()
    assert again.is_calibrated
    assert again.bus.calibration["gripper"].range_max == 2500
    again.calibrate()
    assert again.bus.calibration["gripper"].range_max == 2500
    again.disconnect()


def test_joints_that_were_not_moved_are_named() -> None:
    class Lazy(Person):
        def done(self) -> bool:
            return True

    robot = SoFollower(SoFollowerConfig(port="emulated://so101"), prompt=Lazy())
    robot.connect()
    with pytest.raises(DeviceError, match=r"not moved far enough: shoulder_pan \(0 of .* gripper \("):
        robot.calibrate()
    robot.disconnect()


def test_a_file_of_another_arm_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(
        json.dumps({"pan": {"id": 1, "drive_mode": 0, "homing_offset": 0, "range_min": 0, "range_max": 9}})
    )
    robot = follower(id="mine", calibration_dir=tmp_path)
    with pytest.raises(DeviceError, match="is of pan, this arm has"):
        robot.connect()
    assert not robot.is_connected


def test_nobody_at_the_terminal_is_said() -> None:
    robot = follower()
    robot.connect()
    with pytest.raises(DeviceError, match=r"nobody can answer: Move every joint"):
        robot.calibrate()
    robot.disconnect()


def test_a_leader_is_moved_by_hand() -> None:
    leader = SoLeader(SoLeaderConfig(port="emulated://so101-leader"))
    assert isinstance(leader, Teleoperator)
    leader.connect()
    state = emulators.state("so101-leader")
    time.sleep(SHOWN)
    assert not state.torque.any()
    state.hand[0] = 3298
    deadline = time.monotonic() + 5
    while leader.get_action()["shoulder_pan.pos"] < 109.9 and time.monotonic() < deadline:
        pass
    action = leader.get_action()
    assert list(action) == KEYS
    assert action["shoulder_pan.pos"] == pytest.approx(110, abs=0.1)
    leader.send_feedback({"gripper.pos": 100.0})
    assert leader.bus.read("Goal_Position", "gripper") == 100
    leader.disconnect()
    leader.disconnect()


def test_percent_units() -> None:
    robot = follower(use_degrees=False)
    robot.connect()
    assert robot.send_action({"shoulder_pan.pos": -130.0, "gripper.pos": 30.0}) == {
        "shoulder_pan.pos": -100.0,
        "gripper.pos": 30.0,
    }
    robot.disconnect()


def test_the_plugin_lists_them(host: Any) -> None:
    host.add(plugin)
    for name in ("so100_follower", "so101_follower"):
        assert choose(Robot, name, port="emulated://so101").build().name == "so_follower"
    for name in ("so100_leader", "so101_leader"):
        assert choose(Teleoperator, name, port="emulated://so101-leader").build().name == "so_leader"
