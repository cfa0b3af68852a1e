"""Gamepads through the joystick interface of the Linux kernel, which needs no library and no display.

Source: Linux kernel, Joystick API (struct js_event); the numbers of axes and buttons are those of its driver xpad.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Mapping
from typing import Any

from lerobot_core.errors import ConfigError, DeviceError, NotConnected, did_you_mean
from lerobot_core.guard import check_connected
from lerobot_motors.teleoperators import script
from lerobot_motors.teleoperators.desk_configs import GamepadConfig
from lerobot_motors.teleoperators.keyboard import STAY

AXES = {"left_x": 0, "left_y": 1, "left_trigger": 2, "right_y": 4, "right_trigger": 5}
BUTTONS = {"a": 0, "x": 2, "y": 3, "right_bumper": 5}
#: time [ms], value, type, number
EVENT = struct.Struct("<IhBB")
BUTTON, AXIS, INITIAL = 0x01, 0x02, 0x80
#: Largest value of an axis.
FULL = 32767
#: A trigger counts from half of its travel on.
PULLED = 0.0
TRIGGERS = ("left_trigger", "right_trigger")


class Pad:
    """The state of a pad from its events. *Pure.*

    Args:
        axes: name → number.
        buttons: name → number.
    """

    def __init__(self, axes: Mapping[str, int], buttons: Mapping[str, int]) -> None:
        self._names = {(AXIS, number): name for name, number in axes.items()}
        self._names |= {(BUTTON, number): name for name, number in buttons.items()}
        # a trigger that was never touched says nothing; let go is its lowest value
        self.state = dict.fromkeys((*axes, *buttons), 0.0) | {name: -1.0 for name in TRIGGERS if name in axes}
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take events, whole or split anywhere; axes become -1 to 1, buttons 0 or 1."""
        data = self._rest + data
        whole = len(data) - len(data) % EVENT.size
        self._rest = data[whole:]
        for _, value, kind, number in EVENT.iter_unpack(data[:whole]):
            kind &= ~INITIAL  # how things stood when it was opened
            if (name := self._names.get((kind, number))) is not None:
                self.state[name] = max(value / FULL, -1.0) if kind == AXIS else float(bool(value))


class Gamepad:
    """Two sticks, two triggers and four buttons that move a gripper.

    Attributes:
        name: of the teleoperator, for messages and folders.
    """

    name = "gamepad"

    def __init__(self, config: GamepadConfig) -> None:
        self.config = config
        gripper = ("gripper",) if config.use_gripper else ()
        self.action_features = dict.fromkeys(("delta_x", "delta_y", "delta_z", *gripper), float)
        self._axes, self._buttons = _numbers("axis", AXES, config.axes), _numbers("button", BUTTONS, config.buttons)
        self._pad = Pad(self._axes, self._buttons)
        self._descriptor: int | None = None
        self._script: Any = None

    @property
    def is_connected(self) -> bool:
        return self._descriptor is not None or self._script is not None

    def connect(self, calibrate: bool = True) -> None:
        """Open the pad.

        Raises:
            DeviceError: connected already, or there is no such pad.
        """
        if self.is_connected:
            raise DeviceError(f"'{self.name}' is connected already", device=self.name)
        self._pad = Pad(self._axes, self._buttons)
        if self.config.script is not None:
            steps = script.parse(self.config.script)
            known = [*self._axes, *self._buttons]
            for name in {name for step in steps for name in step} - set(known):
                raise ConfigError(f"a pad has no '{name}'{did_you_mean(name, known)} (it has {', '.join(known)})")
            self._script = iter(steps)
            return
        try:
            self._descriptor = os.open(self.config.device, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise DeviceError(
                f"the gamepad '{self.config.device}' cannot be opened: {error.strerror}",
                device=self.name,
                hint="plug it in; `ls /dev/input/js*` lists pads, give one as --teleop.device; be in the group input",
            ) from error

    def get_action(self) -> dict[str, float]:
        """What the sticks say now: deltas from -1 to 1, the gripper 0, 1 or 2.

        Raises:
            NotConnected: not connected, or the pad was unplugged.
        """
        check_connected(self)
        self._update()
        state = self._pad.state
        action = {
            "delta_x": -self._beyond_deadzone(state["left_y"]),  # pads have down and right above 0
            "delta_y": -self._beyond_deadzone(state["left_x"]),
            "delta_z": -self._beyond_deadzone(state["right_y"]),
        }
        if self.config.use_gripper:
            close, open_ = (state[name] > PULLED for name in TRIGGERS)
            action["gripper"] = STAY + open_ - close
        return {key: value + 0.0 for key, value in action.items()}

    def get_events(self) -> dict[str, bool]:
        """What the buttons said of the episode at the last action."""
        held = {name for name in self._buttons if self._pad.state[name]}
        return {
            "success": "y" in held,
            "failure": "a" in held,
            "rerecord_episode": "x" in held,
            "terminate_episode": bool(held & {"a", "y"}),
            "is_intervention": "right_bumper" in held,
        }

    def send_feedback(self, feedback: Mapping[str, Any]) -> None:
        """It feels nothing."""

    def disconnect(self) -> None:
        """Close the pad. Idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        self._script = None
        if descriptor is not None:
            os.close(descriptor)

    def _update(self) -> None:
        """Take what happened since the last action."""
        if self._script is not None:
            self._pad = Pad(self._axes, self._buttons)
            self._pad.state |= next(self._script, {})
            return
        try:
            while self._descriptor is not None:
                if not (data := os.read(self._descriptor, 64 * EVENT.size)):
                    raise OSError(errno.ENODEV, "it hung up")
                self._pad.feed(data)
        except BlockingIOError:
            return  # that was all
        except OSError as error:
            raise NotConnected(
                f"the gamepad '{self.config.device}' was unplugged: {error.strerror}",
                device=self.name,
                hint="plug it in and start again",
            ) from error

    def _beyond_deadzone(self, value: float) -> float:
        """A stick's value, 0 within the dead zone and from there on growing to 1 without a step."""
        dead = self.config.deadzone
        size = max(0.0, abs(value) - dead) / (1 - dead)
        return size if value > 0 else -size


def _numbers(what: str, usual: Mapping[str, int], given: Mapping[str, int]) -> dict[str, int]:
    for name in given:
        if name not in usual:
            raise ConfigError(f"a pad has no {what} '{name}'{did_you_mean(name, usual)} (it has {', '.join(usual)})")
    return {**usual, **given}
