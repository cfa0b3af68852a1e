"""Keyboards through a pseudo-terminal, gamepads through a pipe with the kernel's events, and both through the steps to an arm."""

from __future__ import annotations

import contextlib
import os
import pty
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_core.config import choose
from lerobot_core.errors import ConfigError, DeviceError, FeatureError, NotConnected
from lerobot_core.guard import Guard, GuardConfig
from lerobot_core.loop import TeleoperatorSource, connected, run_loop
from lerobot_core.roles import ProcessorStep, Robot
from lerobot_core.steps import Steps
from lerobot_motors.demo import scene
from lerobot_motors.keyboard import Keyboard
from lerobot_motors.teleoperators import keys, script
from lerobot_motors.teleoperators.desk_configs import (
    GamepadConfig,
    KeyboardConfig,
    KeyboardEeConfig,
    KeyboardRoverConfig,
)
from lerobot_motors.teleoperators.gamepad import EVENT, Gamepad, Pad
from lerobot_motors.teleoperators.keyboard import KeyboardEe, KeyboardRover, KeyboardTeleoperator


class Held:
    """Keys that a test holds."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def held(self) -> set[str]:
        return set(self.keys)

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def hands(monkeypatch):
    held = Held()
    monkeypatch.setattr("lerobot_motors.teleoperators.keyboard.listen", lambda config, name: held)
    return held


@pytest.fixture
def terminal():
    ours, theirs = pty.openpty()
    yield ours, theirs
    for descriptor in (ours, theirs):
        with contextlib.suppress(OSError):
            os.close(descriptor)


@given(st.lists(st.tuples(st.lists(st.sampled_from(["up", "a", "x_1"]), unique=True), st.integers(1, 4)), max_size=5))
def test_a_script_says_what_is_held_in_each_action(parts):
    text = " ".join(f"{'+'.join(held) or '-'}*{times}" for held, times in parts)
    assert script.parse(text) == [dict.fromkeys(held, 1.0) for held, times in parts for _ in range(times)]
    assert script.parse("x=0.5*2 y") == [{"x": 0.5}, {"x": 0.5}, {"y": 1.0}]


@pytest.mark.parametrize("text", ["up*x", "up*2+o*1", "x=fast", "up+*3", "x=nan", "=1"])
def test_a_script_with_a_slip_is_refused_with_the_options(text):
    with pytest.raises(ValueError, match="of a script is not as in"):
        KeyboardConfig(script=text)


def test_a_key_of_a_terminal_is_held_until_it_is_not_heard(terminal):
    ours, theirs = terminal
    now = [0.0]
    source = keys.TerminalKeys("keyboard", 0.2, theirs, clock=lambda: now[0])
    os.write(ours, b"\x1b[A\x1b[5~W ")
    assert source.held() == {"up", "page_up", "w", "space"}
    now[0] = 0.15
    os.write(ours, b"w")
    assert source.held() == {"up", "page_up", "w", "space"}
    now[0] = 0.3
    assert source.held() == {"w"}
    now[0] = 0.5
    assert source.held() == set()
    source.close()


def test_a_terminal_that_drives_is_not_read_by_the_recording(terminal):
    _, theirs = terminal
    source = keys.TerminalKeys("keyboard", 0.2, theirs)
    with Keyboard(theirs) as other:
        assert not other.enabled
    with pytest.raises(DeviceError, match="is none or is read already"):
        keys.TerminalKeys("keyboard", 0.2, theirs)
    source.close()
    with Keyboard(theirs) as other:
        assert other.enabled


def test_without_a_terminal_it_says_what_to_do(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(DeviceError, match="'keyboard_ee' needs a terminal") as refused:
        KeyboardEe(KeyboardEeConfig()).connect()
    assert "--teleop.script" in refused.value.hint


def test_the_display_needs_its_library(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DeviceError, match="pynput") as refused:
        KeyboardEe(KeyboardEeConfig(listener="display")).connect()
    assert "lerobot-motors[keyboard]" in refused.value.hint


def test_keys_of_the_display_have_the_same_names():
    class Letter:
        char = "W"

    class Named:
        char, name = None, "page_up"

    assert [keys.named(Letter()), keys.named(Named())] == ["w", "page_up"]


def test_each_key_is_an_element_of_the_action(hands):
    board = KeyboardTeleoperator(KeyboardConfig(keys=["up", "x"]))
    board.connect()
    hands.keys = {"x", "z"}
    assert board.get_action() == {"up.pressed": 0.0, "x.pressed": 1.0}


@pytest.mark.parametrize(
    ("held", "action"),
    [
        ({"up"}, (1, 0, 0, 1)),
        ({"down", "left"}, (-1, 1, 0, 1)),
        ({"right", "shift_r"}, (0, -1, 1, 1)),
        ({"page_down", "o"}, (0, 0, -1, 2)),
        ({"shift", "ctrl_l"}, (0, 0, -1, 0)),
        ({"up", "down", "o", "c"}, (0, 0, 0, 1)),
        ({"page_up", "shift_r"}, (0, 0, 1, 1)),
    ],
)
def test_keys_move_the_gripper(hands, held, action):
    board = KeyboardEe(KeyboardEeConfig())
    board.connect()
    hands.keys = held
    assert board.get_action() == dict(zip(("delta_x", "delta_y", "delta_z", "gripper"), action, strict=True))
    assert "gripper" not in KeyboardEe(KeyboardEeConfig(use_gripper=False)).action_features


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("s", {"success", "terminate_episode"}),
        ("q", {"failure", "terminate_episode"}),
        ("r", {"rerecord_episode"}),
        ("up", set()),
    ],
)
def test_keys_tell_of_the_episode(hands, key, said):
    board = KeyboardEe(KeyboardEeConfig())
    board.connect()
    hands.keys = {key}
    board.get_action()
    assert {event for event, holds in board.get_events().items() if holds} == said


@pytest.mark.parametrize(
    ("held", "linear", "angular"),
    [
        ({"w"}, 2.0, 0.0),
        ({"s"}, -2.0, 0.0),
        ({"w", "a"}, 2.0, 1.5),
        ({"d"}, 0.6, -1.5),
        ({"q", "w"}, 0.0, 1.5),
        ({"e"}, 0.0, -1.5),
        ({"w", "x"}, 0.0, 0.0),
        (set(), 0.0, 0.0),
    ],
)
def test_keys_drive_a_rover(hands, held, linear, angular):
    rover = KeyboardRover(KeyboardRoverConfig(linear_speed=2.0, angular_speed=1.5))
    rover.connect()
    hands.keys = held
    assert rover.get_action() == pytest.approx({"linear_velocity": linear, "angular_velocity": angular})


def test_the_speed_of_a_rover_changes_once_per_press_and_never_to_zero(hands):
    rover = KeyboardRover(KeyboardRoverConfig())
    rover.connect()

    def press(key):
        hands.keys = {key, "w", "a"}
        rover.get_action()
        action = rover.get_action()
        hands.keys = {"w"}
        rover.get_action()
        return action

    assert press("+") == pytest.approx({"linear_velocity": 1.1, "angular_velocity": 1.06})
    for _ in range(40):
        slowest = press("-")
    assert slowest == pytest.approx({"linear_velocity": 0.1, "angular_velocity": 0.05 + 0.41}, abs=0.42)
    assert slowest["linear_velocity"] == pytest.approx(0.1)
    assert slowest["angular_velocity"] == pytest.approx(0.05)


# --- gamepad ----------------------------------------------------------------------------------------------------------


def axis(number: int, value: float) -> bytes:
    return EVENT.pack(1, round(value * 32767), 2, number)


def button(number: int, down: bool = True) -> bytes:
    return EVENT.pack(1, int(down), 1, number)


@pytest.fixture
def pad(tmp_path):
    """A gamepad on a pipe, and what writes to it."""
    path = tmp_path / "js0"
    os.mkfifo(path)
    pad = Gamepad(GamepadConfig(device=str(path)))
    pad.connect()
    writer = os.open(path, os.O_WRONLY)
    yield pad, lambda data: os.write(writer, data)
    pad.disconnect()
    os.close(writer)


def test_an_event_is_as_the_kernel_writes_it():
    assert EVENT.size == 8
    assert struct.pack("<IhBB", 1, -32767, 0x82, 4) == bytes.fromhex("01000000 0180 82 04")


def test_sticks_move_the_gripper_and_triggers_close_and_open_it(pad):
    gamepad, write = pad
    assert gamepad.get_action() == {"delta_x": 0.0, "delta_y": 0.0, "delta_z": 0.0, "gripper": 1.0}
    write(axis(1, -1.0) + axis(0, 0.55) + axis(4, 1.0) + axis(5, 1.0))
    action = gamepad.get_action()
    assert action == pytest.approx({"delta_x": 1.0, "delta_y": -0.5, "delta_z": -1.0, "gripper": 2.0}, abs=1e-3)
    write(axis(5, -1.0) + axis(2, 1.0) + axis(1, 0.05))
    action = gamepad.get_action()
    assert action["gripper"] == 0.0
    assert action["delta_x"] == 0.0, "in the dead zone"


@given(st.floats(-1, 1), st.floats(0, 0.9))
def test_beyond_the_dead_zone_a_stick_has_no_step(value, dead):
    pad = Gamepad(GamepadConfig(deadzone=dead))
    out = pad._beyond_deadzone(value)
    assert abs(out) <= 1
    assert (out == 0) == (abs(value) <= dead)
    assert out * value >= 0
    assert pad._beyond_deadzone(1.0) == pytest.approx(1.0)


def test_buttons_tell_of_the_episode(pad):
    gamepad, write = pad
    write(button(3) + button(5))
    gamepad.get_action()
    assert gamepad.get_events() == {
        "success": True,
        "failure": False,
        "rerecord_episode": False,
        "terminate_episode": True,
        "is_intervention": True,
    }
    write(button(3, False) + button(5, False) + button(2))
    gamepad.get_action()
    assert [event for event, holds in gamepad.get_events().items() if holds] == ["rerecord_episode"]


@given(st.lists(st.integers(1, 30), max_size=8))
def test_events_may_be_split_anywhere(cuts):
    stream = axis(0, 0.5) + button(1) + axis(1, -1.0) + EVENT.pack(1, -32768, 0x82, 2) + button(0)
    pad, at = Pad({"x": 0, "y": 1, "left_trigger": 2}, {"a": 0}), 0
    for cut in [*cuts, len(stream)]:
        pad.feed(stream[at : at + cut])
        at += cut
    assert pad.state == pytest.approx({"x": 0.5, "y": -1.0, "left_trigger": -1.0, "a": 1.0}, abs=1e-4)


def test_another_pad_has_other_numbers(tmp_path):
    config = GamepadConfig(axes={"left_y": 7}, script="left_y=-1")
    assert Gamepad(config)._pad._names[(2, 7)] == "left_y"
    with pytest.raises(ConfigError, match="no axis 'left_z'; did you mean"):
        Gamepad(GamepadConfig(axes={"left_z": 3}))
    with pytest.raises(ConfigError, match="no 'leftx'; did you mean 'left_x'"):
        Gamepad(GamepadConfig(script="leftx=1")).connect()


def test_a_pad_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DeviceError, match="js7' cannot be opened") as refused:
        Gamepad(GamepadConfig(device=str(tmp_path / "js7"))).connect()
    assert "/dev/input/js" in refused.value.hint


def test_a_pad_that_is_unplugged_is_named(pad, monkeypatch):
    gamepad, _ = pad

    def gone(descriptor, size):
        raise OSError(19, "No such device")

    with monkeypatch.context() as patch:
        patch.setattr("lerobot_motors.teleoperators.gamepad.os.read", gone)
        with pytest.raises(NotConnected, match="was unplugged: No such device"):
            gamepad.get_action()


# --- to the arm -------------------------------------------------------------------------------------------------------

BOUNDS = {"min": [0.15, -0.05, 0.10], "max": [0.40, 0.05, 0.30]}


def steps_of(**reference):
    sizes = {"x": 0.004, "y": 0.004, "z": 0.004}
    options = [
        ("map_delta_action_to_robot_action", {}),
        ("ee_reference_and_delta", {"end_effector_step_sizes": sizes, "use_latched_reference": False, **reference}),
        ("ee_bounds_and_safety", {"end_effector_bounds": BOUNDS, "max_ee_step_m": 0.05, "on_jump": "shorten"}),
        ("gripper_velocity_to_joint", {}),
        ("inverse_kinematics_ee_to_joints", {}),
    ]
    return [choose(ProcessorStep, name, **given) for name, given in options]


class Watch:
    def __init__(self) -> None:
        self.observed, self.sent = [], []

    def add(self, tick) -> None:
        names = [f"{joint}.pos" for joint in scene.JOINTS]
        self.observed.append(scene.tip(np.array([tick.observation[name] for name in names])))
        self.sent.append(scene.tip(np.array([tick.action[name] for name in names])))

    def add_sample(self, key, value, stamp) -> None:
        """There are none."""


@pytest.mark.parametrize(
    ("keys_held", "axis_moved", "end"),
    [("left*60", 1, 0.05), ("right*60", 1, -0.05), ("page_down*70", 2, 0.10)],
)
def test_keys_drive_the_emulated_arm_within_its_box(commands, keys_held, axis_moved, end):
    robot = choose(Robot, "so101_follower", port="emulated://so101").build()
    board = KeyboardEe(KeyboardEeConfig(script=f"-*5 {keys_held} o*1 -*20"))
    steps, watch = Steps([], steps_of()), Watch()
    steps.check_actions(board.action_features, robot, "the keyboard")
    with connected(robot, board):
        run_loop(
            robot,
            TeleoperatorSource(board),
            fps=60,
            sinks=[watch],
            action_steps=steps.action,
            guard=Guard(60, GuardConfig(ramp_speed=300.0)),
            duration=1.6,
        )
    sent = np.array(watch.sent)
    low, high = np.array(BOUNDS["min"]), np.array(BOUNDS["max"])
    assert np.all(sent[-60:] >= low - 1e-3)
    assert np.all(sent[-60:] <= high + 1e-3)
    assert sent[-1][axis_moved] == pytest.approx(end, abs=0.01), "it went to the side of the box"
    assert np.abs(np.diff(sent, axis=0)).max() < 0.06


def test_the_command_takes_the_steps_from_a_file(commands, tmp_path, capsys):
    text = "action_steps:\n" + "".join(
        f"  - {{type: {choice.type}{', use_latched_reference: false' if 'reference' in choice.type else ''}}}\n"
        for choice in steps_of()
    )
    Path("desk.yaml").write_text(text)
    commands(
        "teleoperate",
        "--config_path=desk.yaml",
        "--robot.type=so101_follower",
        "--robot.port=emulated://so101",
        "--teleop.type=gamepad",
        "--teleop.script=left_y=-0.5*10 -*5",
        "--fps=50",
        "--teleop_time_s=0.4",
    )
    assert "20 ticks" in capsys.readouterr().out


def test_a_robot_in_percent_is_refused(commands):
    with pytest.raises(FeatureError, match=r"'shoulder_pan\.pos' is in deg, needed is %"):
        Steps([], steps_of()).check_actions(
            KeyboardEe(KeyboardEeConfig()).action_features,
            choose(Robot, "so101_follower", port="emulated://so101", use_degrees=False).build(),
            "the keyboard",
        )


def test_reading_keys_waits_for_nothing(terminal):
    _, theirs = terminal
    source = keys.TerminalKeys("keyboard", 0.2, theirs)
    began = time.monotonic()
    for _ in range(100):
        source.held()
    assert time.monotonic() - began < 1.0
    source.close()
