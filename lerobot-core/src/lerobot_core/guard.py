"""Motion guard: no command may make an arm jump, and no robot takes what is no action. *Pure*, except where a robot is moved.

By unit: positions (`*.pos`) are ramped, limited and held; velocities, efforts and anything else pass through and go to
zero when the robot has to hold still.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from lerobot_core.clock import Clock, Rate
from lerobot_core.errors import ConfigError, DeviceError, DeviceTimeout, NotConnected, did_you_mean
from lerobot_core.roles import Action, Observation, Robot

_POSITION = ".pos"
#: How near to its goal a joint counts as there, and how long it may take to get so near before it is held up [user units, s].
_NEAR, _SETTLE = 2.0, 1.0
_LIMITS = ("min_position", "max_position", "max_speed", "max_acceleration")


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


@attrs.frozen(kw_only=True)
class GuardConfig:
    """What a robot may be asked to do, in its own units. A limit is one number for all joints, or one per joint by name.

    Attributes:
        ramp_speed: speed of each joint until it has caught up with what drives it [units/s].
        refuse_beyond: farthest from where a joint stands that the first action may ask it to be [units]; empty ramps there.
        max_speed: speed of each joint afterwards [units/s]; empty sets no limit.
        max_acceleration: change of a joint's speed [units/s²]; empty sets no limit.
        min_position: lowest position a joint is sent to [units]; empty leaves that to the robot.
        max_position: highest position a joint is sent to [units]; empty leaves that to the robot.
        stale_ms: age at which an action or a position is too old to go by, so that the robot holds [ms].
        patience_s: how long the robot holds while a device does not answer before the run ends [s].
    """

    ramp_speed: float = 90.0
    refuse_beyond: float | None = None
    max_speed: float | dict[str, float] | None = None
    max_acceleration: float | dict[str, float] | None = None
    min_position: float | dict[str, float] | None = None
    max_position: float | dict[str, float] | None = None
    stale_ms: float = 500.0
    patience_s: float = 1.0

    def __attrs_post_init__(self) -> None:
        if not (self.ramp_speed > 0 and self.stale_ms > 0 and self.patience_s >= 0):
            raise ValueError("ramp_speed and stale_ms are above 0, patience_s is not below 0")

    def of(self, key: str) -> tuple[float, float, float, float]:
        """Lowest and highest position, speed and acceleration of a joint; infinite where there is no limit."""
        joint, given = key.removesuffix(_POSITION), [getattr(self, name) for name in _LIMITS]
        found = [limit.get(joint) if isinstance(limit, dict) else limit for limit in given]
        low, high, speed, change = (math.inf if limit is None else float(limit) for limit in found)
        return -math.inf if found[0] is None else low, high, speed, change

    def check(self, robot: Robot) -> None:
        """
        Raises:
            ConfigError: a joint that is not one of the robot's, or one whose limits leave it no room.
        """
        joints = [key.removesuffix(_POSITION) for key in robot.action_features if is_position(key)]
        for name in _LIMITS:
            given = getattr(self, name)
            for joint in given if isinstance(given, dict) else ():
                if joint not in joints:
                    raise ConfigError(f"guard.{name}: no joint '{joint}'{did_you_mean(joint, joints)}")
        for joint in joints:
            low, high, speed, change = self.of(joint)
            if not (low <= high and speed > 0 and change > 0):
                raise ConfigError(
                    f"guard: '{joint}' cannot move from {low} to {high} at {speed} units/s, {change} units/s²"
                )


class Guard:
    """Ramps the first actions from where the robot stands, then keeps every joint within its limits.

    Until every joint has been caught up with, each moves at most `ramp_speed / fps` per tick from where it was observed.
    With a `max_acceleration` a joint also brakes in time for its goal and for the ends of its range.

    Args:
        fps: rate of the loop [Hz].
        config: the limits.

    Attributes:
        caught_up: whether the ramp is over.
        arrived: whether the last action went as far as it asked and may.
        limited: actions that were changed so far.

    Raises:
        DeviceError: from a call, when an action is NaN or infinite, starts from an unknown place, or starts too far away.
    """

    def __init__(self, fps: float, config: GuardConfig | None = None) -> None:
        self.config = config or GuardConfig()
        self._fps = fps
        self._ramp_step = self.config.ramp_speed / fps
        self._limits: dict[str, tuple[float, float, float, float]] = {}
        self.limited = 0
        self.reset()

    def reset(self) -> None:
        """Ramp again from the next observation: after a pause, or when the source changes."""
        self._last: dict[str, float] = {}
        self._steps: dict[str, float] = {}
        self.caught_up = self.arrived = False

    def __call__(self, action: Action, observation: Observation) -> dict[str, float]:
        out, steps = dict(action), {}
        caught_up = arrived = True
        ramp = math.inf if self.caught_up else self._ramp_step
        for key, value in action.items():
            if not math.isfinite(value):
                raise DeviceError(
                    f"action '{key}' is {value}", hint="the source gives no valid number; nothing was sent"
                )
            if not key.endswith(_POSITION):
                continue
            low, high, most, change = self._limits.get(key) or self._learn(key)
            start = self._last.get(key)
            if start is None:
                start = self._start(key, value, observation)
            goal = low if value < low else high if value > high else value
            way = goal - start
            if abs(way) > ramp:
                caught_up = False
            if ramp < most:
                most = ramp
            if change != math.inf:
                steps[key] = step = _eased(way, self._steps.get(key, 0.0), most, change)
            else:
                step = math.copysign(most, way) if abs(way) > most else way
            if step == way:
                out[key] = goal
            else:
                out[key] = start + step
                arrived = False
        self._last, self._steps = out, steps
        self.caught_up, self.arrived = self.caught_up or caught_up, arrived
        self.limited += out != action
        return out

    def pause(self) -> None:
        """Nothing was sent in this tick: every joint stands."""
        self._steps = {}

    def _learn(self, key: str) -> tuple[float, float, float, float]:
        low, high, speed, change = self.config.of(key)
        self._limits[key] = found = (low, high, speed / self._fps, change / self._fps**2)
        return found

    def _start(self, key: str, value: float, observation: Observation) -> float:
        """Where a joint is that has not been sent anywhere yet."""
        start = float(observation.get(key, math.nan))
        if not math.isfinite(start):
            raise DeviceError(f"'{key}' is observed at {start}", hint="without its place any action may be a jump")
        most = self.config.refuse_beyond
        if most is not None and abs(value - start) > most:
            raise DeviceError(
                f"the first action has '{key}' at {value:.1f}, it stands at {start:.1f}: more than {most:g} away",
                hint="bring both together, or let it ramp there with a larger --guard.refuse_beyond or none",
            )
        return start


def _eased(way: float, speed: float, most: float, change: float) -> float:
    """Next step of a joint `way` from its goal that now makes steps of `speed`: so large that it can still brake in time."""
    room = abs(way)
    ticks = math.floor(
        (math.sqrt(1 + 8 * room / change) - 1) / 2
    )  # that braking takes: room ≥ change · (1 + … + ticks)
    step = math.copysign(room / (ticks + 1) + change * ticks / 2, way)
    return min(max(step, speed - change, -most), speed + change, most)


def move_to(
    robot: Robot,
    target: Action,
    *,
    speed: float = 60.0,
    fps: float = 30.0,
    timeout: float = 15.0,
    clock: Clock | None = None,
    guard: Guard | None = None,
    stop: Callable[[], bool] | None = None,
) -> None:
    """Drive a robot to a pose at a bounded speed [user units/s], or within the limits of a guard until `stop()` says so.

    Returns when the goal has been sent everywhere and the joints are there, as far as they get.

    Raises:
        DeviceTimeout: that takes longer than `timeout` [s].
    """
    guard = guard or Guard(fps, GuardConfig(ramp_speed=speed))
    rate, patience = Rate(fps, clock), int(_SETTLE * fps)
    for _ in range(int(timeout * fps)):
        seen = robot.get_observation()
        sent = robot.send_action(guard(target, seen))
        if guard.arrived:
            patience -= 1
            far = [key for key, goal in sent.items() if is_position(key) and abs(seen.get(key, goal) - goal) > _NEAR]
            if not far or patience <= 0:
                return
        if stop is not None and stop():
            return
        rate.wait()
    raise DeviceTimeout(
        f"'{robot.name}' is not at the pose asked for after {timeout:g} s at {guard.config.ramp_speed:g} units/s",
        device=robot.name,
        hint="allow more time or more speed, and check that nothing blocks it",
    )


def come_to_rest(robot: Robot, hurry: Callable[[], bool]) -> None:
    """What comes before `disconnect`: what would keep moving goes to zero; then the robot goes to its `park` pose, if it has
    one, unless in a hurry."""
    if not all(map(is_position, robot.action_features)):
        try:
            seen = robot.get_observation()
        except DeviceError:  # the base stops though a joint does not answer
            seen = {}
        robot.send_action(hold(None, seen, robot.action_features))
    park: Action = getattr(robot, "park", None) or {}
    if park and not hurry():
        move_to(robot, hold(None, robot.get_observation(), robot.action_features) | dict(park), stop=hurry)
