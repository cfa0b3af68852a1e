"""How a servo gets where it should: trapezoids and ramps of speed, in closed form. *Pure.*"""

from __future__ import annotations

import math
from typing import NamedTuple


class Trapezoid:
    """The fastest way from (position, velocity) to rest at a goal under a speed and an acceleration limit.

    Args:
        start: time at which it begins [s].
        position: there [ticks].
        velocity: there [ticks/s].
        goal: where it ends [ticks].
        speed: limit [ticks/s].
        acceleration: limit [ticks/s²].
    """

    def __init__(
        self, start: float, position: float, velocity: float, goal: float, speed: float, acceleration: float
    ) -> None:
        stopping = velocity * abs(velocity) / (2 * acceleration)
        way = math.copysign(1.0, goal - position - stopping)
        distance, initial = (goal - position) * way, velocity * way
        peak = min(speed, math.sqrt(max(0.0, acceleration * distance + initial**2 / 2)))
        rise = abs(peak - initial) / acceleration
        cruise = distance - (initial + peak) / 2 * rise - peak**2 / (2 * acceleration)
        self.goal = goal
        self._start = (start, position, velocity)
        self._phases = (
            (rise, way * math.copysign(acceleration, peak - initial)),
            (max(0.0, cruise) / peak if peak else 0.0, 0.0),
            (peak / acceleration, -way * acceleration),
        )

    def at(self, time: float) -> tuple[float, float]:
        """(position [ticks], velocity [ticks/s]) at `time` [s], not before the start."""
        start, position, velocity = self._start
        left = time - start
        for duration, acceleration in self._phases:
            passed = min(left, duration)
            position += velocity * passed + acceleration * passed**2 / 2
            velocity += acceleration * passed
            left -= passed
            if passed < duration:
                return position, velocity
        return self.goal, 0.0


class Ramp:
    """The way from a velocity to another under an acceleration limit; it goes on for ever.

    Args:
        start: time at which it begins [s].
        position: there [ticks].
        velocity: there [ticks/s].
        target: velocity in the end [ticks/s].
        acceleration: limit [ticks/s²].
    """

    def __init__(self, start: float, position: float, velocity: float, target: float, acceleration: float) -> None:
        self._start = (start, position, velocity)
        self._target = target
        self._rise = abs(target - velocity) / acceleration
        self._acceleration = math.copysign(acceleration, target - velocity)

    def at(self, time: float) -> tuple[float, float]:
        """(position [ticks], velocity [ticks/s]) at `time` [s], not before the start."""
        start, position, velocity = self._start
        rising = min(time - start, self._rise)
        position += velocity * rising + self._acceleration * rising**2 / 2
        if time - start < self._rise:
            return position, velocity + self._acceleration * rising
        return position + self._target * (time - start - rising), self._target


class Reach(NamedTuple):
    """To go to a place and stay there: goal [ticks], speed [ticks/s], acceleration [ticks/s²]."""

    goal: float
    speed: float
    acceleration: float

    def begin(self, now: float, position: float, velocity: float) -> Trapezoid:
        return Trapezoid(now, position, velocity, *self)


class Spin(NamedTuple):
    """To turn: velocity [ticks/s], acceleration [ticks/s²]."""

    velocity: float
    acceleration: float

    def begin(self, now: float, position: float, velocity: float) -> Ramp:
        return Ramp(now, position, velocity, *self)
