"""A base on three omni-directional wheels: velocity of the body ↔ speeds of the wheels. *Pure.*

The body moves at `x` forwards and `y` to the left [m/s] and turns at `theta` counter-clockwise [deg/s]. A wheel whose drive
direction points at angle a in the body's frame has the rim speed cos(a)·x + sin(a)·y + R·theta (theta in rad/s). Wheels are
in the order left, back, right; their speeds are in ticks per second, as the servos count them.
Source: Siegwart, Nourbakhsh, Scaramuzza, Introduction to Autonomous Mobile Robots, sec. 3.2.3 (Swedish wheels).
"""

from __future__ import annotations

import numpy as np

#: Where the wheels point [deg], their radius and their distance from the middle of the base [m].
ANGLES = (150.0, -90.0, 30.0)
WHEEL_RADIUS, BASE_RADIUS = 0.05, 0.125
TICKS_PER_DEGREE = 4096 / 360
#: Fastest a wheel is sent [ticks/s]; a faster motion is slowed down as a whole, so that it keeps its direction.
FASTEST = 3000
#: What a register of 16 bits with its sign can hold.
LARGEST = 0x7FFF

_RIMS = np.array([[np.cos(a), np.sin(a), BASE_RADIUS] for a in np.radians(ANGLES)])  # (3 wheels, 3 velocities)
_BODY = np.linalg.inv(_RIMS)
_TICKS_PER_METRE = np.degrees(1 / WHEEL_RADIUS) * TICKS_PER_DEGREE


def wheel_speeds(x: float, y: float, theta: float) -> tuple[list[int], float]:
    """Speeds of the wheels [ticks/s], and the factor by which the whole motion was slowed down (1: not at all)."""
    speeds = _RIMS @ (x, y, np.radians(theta)) * _TICKS_PER_METRE
    factor = min(1.0, FASTEST / max(1.0, float(np.abs(speeds).max())))
    return [int(speed) for speed in np.clip(speeds * factor, -LARGEST, LARGEST)], factor


def body_velocity(left: float, back: float, right: float) -> tuple[float, float, float]:
    """(x [m/s], y [m/s], theta [deg/s]) of a base whose wheels turn at these speeds [ticks/s]."""
    x, y, theta = _BODY @ np.array([left, back, right]) / _TICKS_PER_METRE
    return float(x), float(y), float(np.degrees(theta))
