"""Motion guard: no command may make an arm jump, and no robot takes what is no action. *Pure*, except `move_to`.

By unit: positions (`*.pos`) are ramped, limited and held; velocities, efforts and anything else pass through and go to
zero when the robot has to hold still.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lerobot_core.clock import Clock, Rate
from lerobot_core.errors import DeviceError, DeviceTimeout, NotConnected, did_you_mean
from lerobot_core.roles import Action, Observation, Robot

_POSITION = ".pos"


def is_position(key: str) -> bool:
    return key.endswith(_POSITION)


def hold(last: Action | None, observation: Observation, keys: Mapping[str, object]) -> dict[str, float]:
    """The action that keeps a robot where it is: positions as last sent (else as observed), everything else zero."""
    out = {}
    for key in keys:
        if not is_position(key):
            out[key] = 0.0
        elif last is not None and key in last:
            out[key] = float(last[key])
        elif key in observation:
            out[key] = float(observation[key])
    return out


def check_connected(device: Any) -> None:
    """What every device refuses before `connect` and after `disconnect`.

    Raises:
        NotConnected: it is not connected.
    """
    if not device.is_connected:
        raise NotConnected(f"'{device.name}' is not connected", device=device.name, hint="call connect() first")


def check_action(action: Action, robot: Robot) -> None:
    """What every robot refuses in `send_action` before it moves anything.

    Raises:
        NotConnected: the robot is not connected.
        DeviceError: a key that is not in its `action_features`, NaN or infinity.
    """
    check_connected(robot)
    known = robot.action_features
    for key, value in action.items():
        if key not in known:
            raise DeviceError(
                f"no joint '{key}'{did_you_mean(key, known)} (known: {', '.join(known)})", device=robot.name
            )
        if not math.isfinite(value):
            raise DeviceError(f"'{key}' cannot be sent to {value}", device=robot.name, hint="what made this action?")


class Guard:
    """Ramps the first actions from where the robot stands, then limits the step per tick.

    Until every joint has been caught up with, each moves at most `ramp_speed / fps` per tick from where it was observed;
    after that a joint moves at most `max_speed / fps` per tick, or freely when that is None.

    Args:
        fps: rate of the loop [Hz].
        ramp_speed: speed while catching up [user units/s].
        max_speed: speed afterwards [user units/s].

    Raises:
        DeviceError: from a call, when an action is NaN or infinite.
    """

    def __init__(self, fps: float, *, ramp_speed: float = 90.0, max_speed: float | None = None) -> None:
        self._ramp_step = ramp_speed / fps
        self._max_step = math.inf if max_speed is None else max_speed / fps
        self._last: dict[str, float] | None = None
        self.caught_up = False

    def reset(self) -> None:
        """Ramp again from the next observation: after a pause, or when the source changes."""
        self._last = None
        self.caught_up = False

    def __call__(self, action: Action, observation: Observation) -> dict[str, float]:
        out = dict(action)
        caught_up = True
        limit = self._max_step if self.caught_up else self._ramp_step
        last = self._last
        for key, value in action.items():
            if not math.isfinite(value):
                raise DeviceError(
                    f"action '{key}' is {value}", hint="the source gives no valid number; nothing was sent"
                )
            if not key.endswith(_POSITION):
                continue
            start = last.get(key) if last is not None else None
            if start is None:
                start = observation.get(key)
            if start is None:
                continue
            step = value - start
            if abs(step) > limit:
                out[key] = start + math.copysign(limit, step)
                caught_up = False
        self._last = out
        self.caught_up = self.caught_up or caught_up
        return out


def move_to(
    robot: Robot,
    target: Action,
    *,
    speed: float = 60.0,
    fps: float = 30.0,
    timeout: float = 15.0,
    clock: Clock | None = None,
) -> None:
    """Drive a robot to a pose at a bounded speed [user units/s]; returns when the goal has been sent everywhere.

    Raises:
        DeviceTimeout: that takes longer than `timeout` [s].
    """
    guard = Guard(fps, ramp_speed=speed)
    rate = Rate(fps, clock)
    for _ in range(int(timeout * fps)):
        robot.send_action(guard(target, robot.get_observation()))
        if guard.caught_up:
            return
        rate.wait()
    raise DeviceTimeout(
        f"'{robot.name}' is not at the pose asked for after {timeout:g} s at {speed:g} units/s",
        device=robot.name,
        hint="allow more time or more speed, and check that nothing blocks it",
    )
