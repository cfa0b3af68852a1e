"""The SO-101 as lengths, axes and ranges, and as a model of primitive shapes for MuJoCo. *Pure*: imports no simulator.

Every joint is at 0 in the middle of its travel (the gripper's 0 is 10° from closed); there the upper arm stands upright, forearm
and tool point forward. Frames: x forward, y left, z up, in metres from where the base stands on the table. Lengths, axes and
ranges are those that the arm's makers publish in its URDF; masses and shapes are simple ones of about the same size.
"""

from __future__ import annotations

import math

import numpy as np

from lerobot_motors.emulators.profiles import SO101

JOINTS = tuple(joint.name for joint in SO101)

#: Axis of each joint, pan to gripper; the pan turns clockwise seen from above, the gripper opens upwards.
AXES = ((0, 0, -1), (0, 1, 0), (0, 1, 0), (0, 1, 0), (-1, 0, 0), (0, -1, 0))
#: Where each joint is, seen from the one before (the first from the base) at 0 [m].
OFFSETS = (
    (0.0388, 0.0, 0.0624),
    (0.0304, -0.0183, 0.0542),
    (0.0280, 0.0, 0.1126),
    (0.1349, 0.0, 0.0052),
    (0.0611, 0.0181, 0.0),
    (0.0234, 0.0188, 0.0202),
)
#: End of the fixed jaw, seen from the wrist's roll [m].
TIP = (0.0981, 0.0002, -0.0079)
#: Lower and upper end of each joint [deg].
RANGES = ((-110.0, 110.0), (-100.0, 100.0), (-97.0, 97.0), (-95.0, 95.0), (-180.0, 180.0), (-10.0, 100.0))

#: The jaws are parallel when they hold something this wide, the cube [m].
PARALLEL = 0.025

_UPPER, _FORE = math.hypot(OFFSETS[2][0], OFFSETS[2][2]), math.hypot(OFFSETS[3][0], OFFSETS[3][2])
_UPPER_RISE, _FORE_RISE = math.atan2(OFFSETS[2][2], OFFSETS[2][0]), math.atan2(OFFSETS[3][2], OFFSETS[3][0])
_TOOL = OFFSETS[4][0] + TIP[0]  # from the wrist to the tip

#: The moving jaw's face: how far its end is from its axis, and at which height the fixed jaw's face is.
_JAW_LENGTH, _JAW_DROP = TIP[0] - OFFSETS[5][0], OFFSETS[5][2] - TIP[2]


def angles(ticks: np.ndarray) -> np.ndarray:
    """Joint angles (6,) [rad] of servo positions (6,) [ticks], with the calibration that emulated servos have."""
    found = [
        np.interp(tick, (joint.range_min, joint.range_max), RANGES[index])
        if joint.name == "gripper"
        else (tick - (joint.range_min + joint.range_max) / 2) * 360 / 4095
        for index, (joint, tick) in enumerate(zip(SO101, ticks, strict=True))
    ]
    return np.radians(found)


def user(joints: np.ndarray) -> np.ndarray:
    """What an uncalibrated `so101_follower` calls joint angles (6,) [rad]: degrees, and percent open for the gripper."""
    found = np.degrees(joints)
    low, high = RANGES[5]
    found[5] = (found[5] - low) / (high - low) * 100
    return found


def tip(joints: np.ndarray) -> np.ndarray:
    """Tip of the fixed jaw (3,) [m] for joint angles (6,) [rad], by turning one joint after the other."""
    place, turn = np.zeros(3), np.eye(3)
    for index in range(5):
        place = place + turn @ OFFSETS[index]
        turn = turn @ _rotation(np.array(AXES[index], float), float(joints[index]))
    return place + turn @ TIP


def joints_above(place: np.ndarray, heading: float, opening: float) -> np.ndarray:
    """Joint angles (6,) [rad] that put the tip at `place` (3,) [m] with the tool pointing straight down.

    Args:
        heading: from the fixed jaw to the moving one, seen from above, counted from x to y [rad].
        opening: of the gripper [rad].

    Raises:
        ValueError: the place is out of reach.
    """
    # seen along the tool, the tip is beside the axis of the roll
    x, y = (float(place[0]) - TIP[2] * math.cos(heading), float(place[1]) - TIP[2] * math.sin(heading))
    pan = -math.atan2(y, x - OFFSETS[0][0])
    reach = math.hypot(x - OFFSETS[0][0], y) - OFFSETS[1][0]
    height = float(place[2]) + _TOOL - OFFSETS[0][2] - OFFSETS[1][2]
    span = math.hypot(reach, height)
    if not abs(_UPPER - _FORE) < span < _UPPER + _FORE:
        raise ValueError(f"({x:.3f}, {y:.3f}, {place[2]:.3f}) m is out of the arm's reach with the tool pointing down")
    inner = math.acos((_UPPER**2 + _FORE**2 - span**2) / (2 * _UPPER * _FORE))  # law of cosines at the elbow
    upper = math.atan2(height, reach) + math.acos((_UPPER**2 + span**2 - _FORE**2) / (2 * _UPPER * span))
    lift = _UPPER_RISE - upper
    elbow = _FORE_RISE - (upper - (math.pi - inner)) - lift
    roll = math.remainder(heading + pan, 2 * math.pi)
    joints = np.array([pan, lift, elbow, math.pi / 2 - lift - elbow, roll, opening])
    low, high = np.radians(RANGES).T
    if not np.all((joints >= low - 1e-9) & (joints <= high + 1e-9)):
        raise ValueError(
            f"({x:.3f}, {y:.3f}, {place[2]:.3f}) m needs a joint beyond its range: {np.degrees(joints).round(1)}"
        )
    return joints


def opening(width: float) -> float:
    """Angle of the gripper [rad] at which the jaws' ends are `width` [m] apart."""
    return math.asin((width - _JAW_DROP) / _JAW_LENGTH) - _face()


def _face() -> float:
    """Where the moving jaw's face points at 0 [rad]: the jaws' ends meet when it is closed."""
    return -math.asin(_JAW_DROP / _JAW_LENGTH) - math.radians(RANGES[5][0])


def _rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    """(3, 3), Rodrigues' formula."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


#: Shapes of each link, the base first: kind, place and half sizes [m], colour.
_SHAPES: tuple[tuple[tuple[str, tuple[float, ...], tuple[float, ...], str], ...], ...] = (
    (
        ("box", (0.015, 0, 0.012), (0.055, 0.05, 0.012), "printed"),
        ("box", (0.03, 0, 0.042), (0.026, 0.02, 0.02), "servo"),
    ),
    (
        ("cylinder", (0, 0, 0.004), (0.024, 0.006), "printed"),
        ("box", (0.02, 0, 0.045), (0.024, 0.023, 0.035), "printed"),
    ),
    (
        ("box", (0.008, 0.0183, 0.052), (0.013, 0.02, 0.052), "printed"),
        ("box", (0.02, 0.0183, 0.108), (0.018, 0.023, 0.014), "servo"),
    ),
    (
        ("box", (0.055, 0.0183, 0.002), (0.06, 0.014, 0.01), "printed"),
        ("box", (0.122, 0.0183, 0.004), (0.02, 0.022, 0.013), "servo"),
    ),
    (("box", (0.032, 0.0183, 0), (0.03, 0.018, 0.012), "printed"),),
    (("box", (0.012, 0, 0.006), (0.016, 0.02, 0.018), "servo"),),
    (),
)
_COLOURS = {"printed": "0.95 0.62 0.15 1", "servo": "0.12 0.12 0.13 1"}
#: Mass of each link, the base first [kg].
_MASSES = (0.3, 0.12, 0.1, 0.1, 0.08, 0.09, 0.02)
#: Torque of each joint's motor [N m]: an STS3215's at 7.4 V; the gripper presses with about 8 N.
_TORQUES = (1.9, 1.9, 1.9, 1.9, 1.9, 0.6)
#: The simulated motors follow the emulated servos as if these were far stiffer than they are.
_STIFFNESS, _DAMPING = (120.0, 120.0, 120.0, 80.0, 40.0, 15.0), (2.4, 2.4, 2.4, 1.6, 0.8, 0.5)
#: How far damping keeps each joint behind one that turns evenly [s].
LAG = np.divide(_DAMPING, _STIFFNESS)
#: What the arm collides with: the objects, never itself.
ARM_BITS = 'contype="2" conaffinity="1"'
_JAW = 'friction="1.2 0.02 0.001" priority="2" condim="4" solref="0.006 1" mass="0.02"'


def body() -> str:
    """The arm as an element of a MuJoCo model's world."""
    inner = _moving_jaw()
    for index in reversed(range(6)):
        low, high = RANGES[index]
        joint = (
            f'<joint name="{JOINTS[index]}" axis="{_text(AXES[index])}" range="{low} {high}" limited="true" '
            f'armature="0.01" damping="0.05"/>'
        )
        inner = f'<body name="{JOINTS[index]}" pos="{_text(OFFSETS[index])}" gravcomp="1">{joint}{_shapes(index + 1)}{inner}</body>'
        if index == 5:
            inner = f"{_fixed_jaw()}{inner}"
    return f'<body name="arm">{_shapes(0)}{inner}</body>'


def actuators() -> str:
    """Its motors, in the order of the joints."""
    return "".join(
        f'<position name="{name}" joint="{name}" kp="{stiff}" kv="{damp}" forcerange="{-torque} {torque}"/>'
        for name, stiff, damp, torque in zip(JOINTS, _STIFFNESS, _DAMPING, _TORQUES, strict=True)
    )


def _shapes(link: int) -> str:
    shapes = _SHAPES[link]
    return "".join(
        f'<geom type="{kind}" pos="{_text(place)}" size="{_text(size)}" rgba="{_COLOURS[colour]}" {ARM_BITS} '
        f'mass="{_MASSES[link] / len(shapes):.4f}"/>'
        for kind, place, size, colour in shapes
    )


def _fixed_jaw() -> str:
    """Its face is level with the tip; the wrist's camera looks at both jaws from the side."""
    thick = 0.004
    place, size = (TIP[0] - 0.036, 0, TIP[2] - thick), (0.036, 0.011, thick)
    return (
        f'<geom name="fixed_jaw" type="box" pos="{_text(place)}" size="{_text(size)}" rgba="{_COLOURS["printed"]}" {ARM_BITS} {_JAW}/>'
        f'<site name="tip" pos="{_text(TIP)}" size="0.002" rgba="0 0 0 0"/>'
        f'<camera name="wrist" {look((0.0, -0.075, 0.012), (0.1, 0, 0.006), up=(0, 0, 1))} fovy="65"/>'
    )


def _moving_jaw() -> str:
    """Turned so that its end meets the fixed jaw's when closed, and its face is parallel to it at `PARALLEL`."""
    thick, parallel = 0.004, opening(PARALLEL)
    drop = _JAW_DROP - PARALLEL
    turn = _rotation(np.array(AXES[5], float), -parallel)
    length = math.sqrt(_JAW_LENGTH**2 - drop**2)
    place = turn @ np.array([length / 2, -OFFSETS[5][1], thick - drop])
    return (
        f'<geom name="moving_jaw" type="box" pos="{_text(place)}" size="{length / 2:.5f} 0.011 {thick}" '
        f'axisangle="{_text(AXES[5])} {math.degrees(-parallel):.4f}" rgba="{_COLOURS["printed"]}" {ARM_BITS} {_JAW}/>'
    )


def look(place: tuple[float, ...], at: tuple[float, ...], up: tuple[float, ...]) -> str:
    """Attributes of a camera at `place` that looks at a point, with `up` upwards in its picture."""
    forward = np.subtract(at, place)
    right = np.cross(forward, up)
    return f'pos="{_text(place)}" xyaxes="{_text(right)} {_text(np.cross(right, forward))}"'


def _text(values: tuple[float, ...] | np.ndarray) -> str:
    return " ".join(f"{value:.6g}" for value in values)
