"""Options of keyboards and gamepads. Plain data: naming one opens nothing."""

from __future__ import annotations

from typing import Literal

import attrs

from lerobot_motors.teleoperators import script

Listener = Literal["terminal", "display"]


@attrs.frozen(kw_only=True)
class KeyboardConfig:
    """The keys that are held down.

    Attributes:
        keys: the keys that matter, by name: letters, up, down, left, right, page_up, page_down, space, shift, ctrl_r.
        listener: where keys come from: the terminal the program runs in, which works over SSH; the whole display, which needs the
            extra [keyboard] and tells when keys are let go.
        hold_s: how long a key of a terminal counts as held after it was last heard: terminals tell of no letting go, they repeat [s].
        script: keys that are pressed instead, as "up*10 left+x*5": each for so many actions.
    """

    keys: list[str] = attrs.field(
        factory=lambda: ["up", "down", "left", "right", "page_up", "page_down", "space", *"wasdqerfx"]
    )
    listener: Listener = "terminal"
    hold_s: float = 0.2
    script: str | None = None

    def __attrs_post_init__(self) -> None:
        _check(self.hold_s, self.script)
        if not self.keys or len(set(self.keys)) < len(self.keys):
            raise ValueError(f"keys are at least one, each once, got {self.keys}")


@attrs.frozen(kw_only=True)
class KeyboardEeConfig:
    """Keys that move a gripper: up and down forward and back, left and right, page_up and page_down (or shift_r and shift)
    up and down, o opens and c closes (or ctrl_r and ctrl_l); s says success, q failure, r to record again.

    Attributes:
        use_gripper: whether the action has a gripper: 0 closes, 1 stays, 2 opens.
        listener: where keys come from: the terminal the program runs in, which works over SSH; the whole display, which needs the
            extra [keyboard] and tells when keys are let go.
        hold_s: how long a key of a terminal counts as held after it was last heard: terminals tell of no letting go, they repeat [s].
        script: keys that are pressed instead, as "up*10 left+o*5": each for so many actions.
    """

    use_gripper: bool = True
    listener: Listener = "terminal"
    hold_s: float = 0.2
    script: str | None = None

    def __attrs_post_init__(self) -> None:
        _check(self.hold_s, self.script)


@attrs.frozen(kw_only=True)
class KeyboardRoverConfig:
    """Keys that drive a rover: w and s forward and back, a and d turn while driving, q and e turn on the spot, x stops, + and -
    change the speed.

    Attributes:
        linear_speed: speed forward at first [the robot's unit, mostly m/s].
        angular_speed: speed of turning at first, to the left above 0 [the robot's unit, mostly rad/s].
        speed_increment: change of the linear speed by one press of + or -.
        turn_assist_ratio: part of the linear speed it drives with when only a or d is held.
        angular_speed_ratio: change of the angular speed by + or -, as a part of that of the linear one.
        min_linear_speed: - goes no lower.
        min_angular_speed: - goes no lower.
        listener: where keys come from: the terminal the program runs in, which works over SSH; the whole display, which needs the
            extra [keyboard] and tells when keys are let go.
        hold_s: how long a key of a terminal counts as held after it was last heard: terminals tell of no letting go, they repeat [s].
        script: keys that are pressed instead, as "w*10 w+a*5": each for so many actions.
    """

    linear_speed: float = 1.0
    angular_speed: float = 1.0
    speed_increment: float = 0.1
    turn_assist_ratio: float = 0.3
    angular_speed_ratio: float = 0.6
    min_linear_speed: float = 0.1
    min_angular_speed: float = 0.05
    listener: Listener = "terminal"
    hold_s: float = 0.2
    script: str | None = None

    def __attrs_post_init__(self) -> None:
        _check(self.hold_s, self.script)


@attrs.frozen(kw_only=True)
class GamepadConfig:
    """A gamepad of the Linux kernel. Left stick: forward, back, left and right; right stick: up and down; the triggers close
    (left) and open (right). Y says success, A failure, X to record again; while the right bumper is held a person intervenes.

    Attributes:
        use_gripper: whether the action has a gripper: 0 closes, 1 stays, 2 opens.
        device: the pad's device node.
        deadzone: part of a stick's travel around its middle that counts as none.
        axes: number of each axis on this pad: left_x, left_y, right_y, left_trigger, right_trigger; `jstest` shows them.
        buttons: number of each button on this pad: a, x, y, right_bumper.
        script: what is held instead, as "left_y=-1*10 right_trigger+y*5": each for so many actions.
    """

    use_gripper: bool = True
    device: str = "/dev/input/js0"
    deadzone: float = 0.1
    axes: dict[str, int] = attrs.field(factory=dict)
    buttons: dict[str, int] = attrs.field(factory=dict)
    script: str | None = None

    def __attrs_post_init__(self) -> None:
        _check(1.0, self.script)
        if not 0 <= self.deadzone < 1:
            raise ValueError(f"deadzone is 0 or more and below 1, got {self.deadzone:g}")


def _check(hold_s: float, text: str | None) -> None:
    if hold_s <= 0:
        raise ValueError(f"hold_s is above 0, got {hold_s:g}")
    script.parse(text or "")
