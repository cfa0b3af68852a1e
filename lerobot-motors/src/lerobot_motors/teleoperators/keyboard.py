"""Keyboards as teleoperators: the keys themselves, the gripper they move, the rover they drive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lerobot_core.errors import DeviceError
from lerobot_core.guard import check_connected
from lerobot_motors.teleoperators.desk_configs import KeyboardConfig, KeyboardEeConfig, KeyboardRoverConfig
from lerobot_motors.teleoperators.keys import HeldConfig, HeldKeys, listen

CLOSE, STAY, OPEN = 0.0, 1.0, 2.0

#: What moves the gripper: axis, direction, keys. Those after the first are for a display, which tells shift and control apart.
MOVES = (
    ("delta_x", 1.0, {"up"}),
    ("delta_x", -1.0, {"down"}),
    ("delta_y", 1.0, {"left"}),
    ("delta_y", -1.0, {"right"}),
    ("delta_z", 1.0, {"page_up", "shift_r"}),
    ("delta_z", -1.0, {"page_down", "shift", "shift_l"}),
)
OPENS, CLOSES = {"o", "ctrl_r"}, {"c", "ctrl_l", "ctrl"}
#: What a key says of the episode.
EVENTS = {"s": ("success", "terminate_episode"), "q": ("failure", "terminate_episode"), "r": ("rerecord_episode",)}


class Keys:
    """A connection to the keys, shared by the teleoperators below.

    Attributes:
        name: of the teleoperator, for messages and folders.
    """

    name = "keyboard"

    def __init__(self, config: HeldConfig) -> None:
        self._options = config
        self._keys: HeldKeys | None = None

    @property
    def is_connected(self) -> bool:
        return self._keys is not None

    def connect(self, calibrate: bool = True) -> None:
        """Listen.

        Raises:
            DeviceError: connected already; no terminal, or the display's library is missing.
        """
        if self._keys is not None:
            raise DeviceError(f"'{self.name}' is connected already", device=self.name)
        self._keys = listen(self._options, self.name)

    def send_feedback(self, feedback: Mapping[str, Any]) -> None:
        """Keys give none."""

    def disconnect(self) -> None:
        """Stop listening; the terminal is as before. Idempotent."""
        keys, self._keys = self._keys, None
        if keys is not None:
            keys.close()

    def held(self) -> set[str]:
        """The keys held now.

        Raises:
            NotConnected: not connected.
        """
        check_connected(self)
        return self._keys.held() if self._keys is not None else set()


class KeyboardTeleoperator(Keys):
    """Each key as an element of the action: 1 while it is held, else 0."""

    def __init__(self, config: KeyboardConfig) -> None:
        super().__init__(config)
        self.action_features = {f"{key}.pressed": float for key in config.keys}

    def get_action(self) -> dict[str, float]:
        held = self.held()
        return {key: float(key.removesuffix(".pressed") in held) for key in self.action_features}


class KeyboardEe(Keys):
    """Keys that move a gripper, and tell of the episode."""

    name = "keyboard_ee"

    def __init__(self, config: KeyboardEeConfig) -> None:
        super().__init__(config)
        self._use_gripper = config.use_gripper
        gripper = ("gripper",) if config.use_gripper else ()
        self.action_features = dict.fromkeys(("delta_x", "delta_y", "delta_z", *gripper), float)
        self._last: set[str] = set()

    def get_action(self) -> dict[str, float]:
        self._last = held = self.held()
        action = {"delta_x": 0.0, "delta_y": 0.0, "delta_z": 0.0}
        for axis, direction, keys in MOVES:
            action[axis] += direction * bool(keys & held)
        if self._use_gripper:
            action["gripper"] = STAY + bool(OPENS & held) - bool(CLOSES & held)
        return action

    def get_events(self) -> dict[str, bool]:
        """What the keys of the last action said of the episode."""
        said = {event for key in self._last & set(EVENTS) for event in EVENTS[key]}
        return {event: event in said for event in ("success", "failure", "rerecord_episode", "terminate_episode")}


class KeyboardRover(Keys):
    """Keys that drive a rover."""

    name = "keyboard_rover"
    action_features = {"linear_velocity": float, "angular_velocity": float}  # noqa: RUF012  # never changed

    def __init__(self, config: KeyboardRoverConfig) -> None:
        super().__init__(config)
        self.config = config
        self._linear, self._angular = config.linear_speed, config.angular_speed
        self._last: set[str] = set()

    def get_action(self) -> dict[str, float]:
        held = self.held()
        self._change_speed(held - self._last)  # once per press
        self._last = held
        if "x" in held:
            return {"linear_velocity": 0.0, "angular_velocity": 0.0}
        linear = self._linear * (("w" in held) - ("s" in held))
        turning = ("a" in held) - ("d" in held)
        if turning and not linear:
            linear = self._linear * self.config.turn_assist_ratio
        spot = ("q" in held) - ("e" in held)
        if spot:
            linear, turning = 0.0, spot
        return {"linear_velocity": linear, "angular_velocity": self._angular * turning}

    def _change_speed(self, pressed: set[str]) -> None:
        change = (bool(pressed & {"+", "="}) - ("-" in pressed)) * self.config.speed_increment
        self._linear = max(self._linear + change, self.config.min_linear_speed)
        self._angular = max(self._angular + change * self.config.angular_speed_ratio, self.config.min_angular_speed)
