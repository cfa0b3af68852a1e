"""How a servo gets to its goal: a trapezoid of speed, in closed form. *Pure.*"""

from __future__ import annotations

import math


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
