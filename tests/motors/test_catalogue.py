from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lerobot_core.config import choose
from lerobot_core.errors import ConfigError, DeviceError
from lerobot_core.roles import Robot, Teleoperator
from lerobot_motors import catalogue, emulators, plugin, sides
from lerobot_motors.buses.choose import bus_for
from lerobot_motors.catalogue import ArmRow
from lerobot_motors.robots.bimanual import bi_so_follower
from lerobot_motors.robots.configs import BiSoFollowerConfig, SoFollowerConfig
from lerobot_motors.teleoperators.arms import OpenarmMini
from lerobot_motors.teleoperators.configs import OpenarmMiniConfig

pytestmark = pytest.mark.usefixtures("emulator_folder")

ROWS = {
    f"{name}{side}": row
    for name, found in vars(catalogue).items()
    for side, row in (found.items() if name in ("OPENARM_MINI", "HOPE_JR_HAND") else [("", found)])
    if isinstance(row, ArmRow)
}
EXAMPLES = [
    pytest.param(role, component, id=component.name)
    for role, components in ((Robot, plugin.lr_robots()), (Teleoperator, plugin.lr_teleoperators()))
    for component in components
    if component.example and not component.name.startswith("scripted_")  # which need an arm that runs
]


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_names_only_what_is_there(row: ArmRow) -> None:
    """Every servo and register a row speaks of exists, on every servo it is written to."""
    named = [*row.joints, *row.full_turn, *row.inverted, *row.apart]
    named += [source.motor for source in row.sources.values()] + ([row.trigger] if row.trigger else [])
    assert set(named) <= set(row.motors)
    assert len({motor.id for motor in row.motors.values()}) == len(row.motors)
    bus = bus_for("nowhere", row.motors)
    for register, values in [*row.written(), *((name, dict.fromkeys(row.seen(), 0)) for name in row.options)]:
        for motor in values:
            assert register in bus.family.models[row.motors[motor].model].registers, f"{motor} has no {register}"


def test_rows_differ_in_name() -> None:
    names = {(row.name, frozenset(row.motors)) for row in ROWS.values()}
    assert len({name for name, _ in names}) == len(names)


@pytest.mark.parametrize(("role", "component"), EXAMPLES)
def test_each_type_connects_reads_and_lets_go(role: type, component: Any, host: Any) -> None:
    host.add(plugin)
    device = choose(role, component.name, **component.example).build()
    before = dict(device.action_features)
    device.connect()
    assert getattr(device, "is_calibrated", True)
    if role is Robot:
        observation = device.get_observation()
        assert set(before) <= set(observation)
        here = {key: observation[key] for key in before}
        sent = device.send_action(here)
        assert sent == pytest.approx(here, abs=0.01)
    else:
        assert set(device.get_action()) <= set(before) or not before  # keys are names of their own
    device.disconnect()
    assert not device.is_connected


def wait_for(condition: Any, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def pair(**options: Any) -> BiSoFollowerConfig:
    left, right = (SoFollowerConfig(port=f"emulated://so101?name={side}") for side in ("left", "right"))
    return BiSoFollowerConfig(left_arm_config=left, right_arm_config=right, **options)


def test_two_arms_move_on_their_own() -> None:
    robot = bi_so_follower(pair())
    robot.connect()
    start = robot.get_observation()
    robot.send_action({"right_elbow_flex.pos": 20.0})
    wait_for(lambda: abs(robot.get_observation()["right_elbow_flex.pos"] - 20) < 0.5)
    assert robot.get_observation()["left_elbow_flex.pos"] == pytest.approx(start["left_elbow_flex.pos"], abs=0.5)
    with pytest.raises(DeviceError, match=r"no joint 'middle_gripper\.pos'"):
        robot.send_action({"middle_gripper.pos": 0.0})
    robot.disconnect()


def test_the_sides_have_files_of_their_own(tmp_path: Path) -> None:
    robot = bi_so_follower(pair(id="mine", calibration_dir=tmp_path))
    paths = [arm._arm.path for arm in (robot.left, robot.right)]
    assert paths == [tmp_path / "mine_left.json", tmp_path / "mine_right.json"]


def test_a_camera_has_one_place(host: Any) -> None:
    host.add(plugin)
    camera = {"type": "pattern", "width": 64, "height": 48}
    arm = {"port": "emulated://so101"}
    with pytest.raises(ConfigError, match="camera 'front' is there twice"):
        choose(
            Robot,
            "bi_so_follower",
            left_arm_config={**arm, "cameras": {"front": camera}},
            right_arm_config=arm,
            cameras={"front": camera},
        ).build()


def test_two_arms_end_alike(host: Any) -> None:
    host.add(plugin)
    arm = {"type": "so101_follower", "port": "emulated://so101"}
    with pytest.raises(ConfigError, match="ends in 'hold' and the right one in 'release'"):
        choose(Robot, "bimanual", left={**arm, "disable_torque_on_disconnect": False}, right=arm).build()


def test_an_arm_that_fails_closes_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    robot = bi_so_follower(pair())

    def fail(*_: Any) -> None:
        raise DeviceError("no right arm")

    monkeypatch.setattr(robot.right, "connect", fail)
    with pytest.raises(DeviceError, match="no right arm"):
        robot.connect()
    assert not robot.left.is_connected


def test_names_of_two_sides_come_apart_again() -> None:
    left, right = {"a": 1, "right_b": 2}, {"left_a": 3}
    assert sides.parted(sides.joined(left, right)) == (left, right)


@pytest.fixture
def mini() -> Iterator[OpenarmMini]:
    opened = emulators.open_port("emulated://openarm_mini")
    leader = OpenarmMini(OpenarmMiniConfig(port="emulated://openarm_mini", side="right"))
    leader.connect()
    yield leader
    leader.disconnect()
    opened.close()


def test_openarm_mini_speaks_the_big_arms_language(mini: OpenarmMini) -> None:
    """Joints 6 and 7 change places, a whole opening of the gripper is -65°, and right joint 1 counts the other way."""
    state = emulators.state("openarm_mini")
    servos = mini.bus.calibration
    state.hand[:] = [servos[name].range_max for name in mini.bus.motors]
    high = {name: (place.range_max - place.range_min) / 2 * 360 / 4095 for name, place in servos.items()}
    wanted = {"joint_1.pos": -high["joint_1"], "joint_6.pos": -high["joint_7"], "joint_7.pos": high["joint_6"]}
    wait_for(lambda: mini.get_action()["gripper.pos"] == pytest.approx(-65, abs=0.2))
    wait_for(lambda: {key: mini.get_action()[key] for key in wanted} == pytest.approx(wanted, abs=0.2))
    assert mini.action_features["gripper.pos"].unit == "deg"


def test_what_is_built_in_needs_nobody(tmp_path: Path, host: Any) -> None:
    """An OMX is calibrated by how it is built: connecting asks nobody, and `calibrate` writes the file."""
    host.add(plugin)
    arm = choose(Robot, "omx_follower", port="emulated://omx", id="mine", calibration_dir=str(tmp_path)).build()
    arm.connect(calibrate=False)
    assert arm.is_calibrated
    arm.calibrate()
    arm.disconnect()
    assert json.loads((tmp_path / "mine.json").read_text())["gripper"]["range_max"] == 4095


def test_the_second_servo_of_an_axle_follows(host: Any) -> None:
    host.add(plugin)
    arm = choose(Robot, "viperx_follower", port="emulated://viperx").build()
    assert "shoulder_shadow.pos" not in arm.action_features
    powered = emulators.open_port("emulated://viperx")
    arm.bus.connect()
    arm.bus.write("Secondary_ID", "elbow_shadow", 255, normalize=False)  # as a new servo has it: it follows nobody
    arm.bus.disconnect()
    arm.connect()
    assert arm.bus.read("Secondary_ID", "elbow_shadow", normalize=False) == 4
    arm.send_action({"elbow.pos": 40.0})
    wait_for(lambda: arm.get_observation()["elbow.pos"] == pytest.approx(40, abs=1))
    both = arm.bus.sync_read("Present_Position", ["elbow", "elbow_shadow"], normalize=False)
    assert both["elbow"] == pytest.approx(both["elbow_shadow"], abs=30)
    arm.disconnect()
    powered.close()


def test_a_gripper_that_springs_back(host: Any) -> None:
    host.add(plugin)
    leader = choose(Teleoperator, "koch_leader", port="emulated://koch-leader", gripper_open_pos=70.0).build()
    leader.connect()
    assert leader.bus.sync_read("Drive_Mode") == dict.fromkeys(leader.bus.motors, 0) | {"elbow_flex": 1}
    assert leader.bus.calibration["elbow_flex"].drive_mode == 1
    wait_for(lambda: emulators.state("koch-leader").torque.tolist() == [False] * 5 + [True])
    wait_for(lambda: leader.get_action()["gripper.pos"] == pytest.approx(70, abs=1))
    leader.disconnect()
