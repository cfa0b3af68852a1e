"""The chains that can be emulated: rows of joints. *Pure.*

Ids and models are those of the arms; ranges and offsets are those of one arm of each kind, as its calibration left them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

from lerobot_core.errors import ConfigError
from lerobot_motors.buses.dynamixel import tables as dynamixel_tables
from lerobot_motors.emulators.dynamixel import CURRENT_POSITION, EXTENDED, DynamixelServo
from lerobot_motors.emulators.faults import Fault
from lerobot_motors.emulators.feetech import VELOCITY, FeetechServo
from lerobot_motors.emulators.servo import Joint

#: Joints of an SO-101: travel of its URDF around half a turn.
SO101 = (
    Joint("shoulder_pan", 1, "sts3215", 85, 796, 3298),  # ±110°
    Joint("shoulder_lift", 2, "sts3215", -413, 910, 3184, weight=0.35),  # ±100°
    Joint("elbow_flex", 3, "sts3215", 902, 946, 3148, weight=-0.2),  # ±97°
    Joint("wrist_flex", 4, "sts3215", -1250, 966, 3128, weight=-0.08),  # ±95°
    Joint("wrist_roll", 5, "sts3215", 310),
    Joint("gripper", 6, "sts3215", -77, 1935, 3185),  # −10…100°
)

_LEKIWI = (
    *(joint._replace(name=f"arm_{joint.name}") for joint in SO101),
    Joint("base_left_wheel", 7, "sts3215", mode=VELOCITY),
    Joint("base_back_wheel", 8, "sts3215", mode=VELOCITY),
    Joint("base_right_wheel", 9, "sts3215", mode=VELOCITY),
)

_OPENARM_MINI = (
    Joint("joint_1", 1, "sts3215", 120, 1150, 2950),
    Joint("joint_2", 2, "sts3215", -640, 1020, 3070, weight=0.1),
    Joint("joint_3", 3, "sts3215", 77, 1080, 3015),
    Joint("joint_4", 4, "sts3215", 1410, 1000, 3090, weight=-0.1),
    Joint("joint_5", 5, "sts3215", -98, 1050, 3040),
    Joint("joint_6", 6, "sts3215", 333, 1550, 2540),
    Joint("joint_7", 7, "sts3215", -1002, 1180, 2910),
    Joint("gripper", 8, "sts3215", 210, 1900, 2750),
)

_HOPE_JR_ARM = (
    Joint("shoulder_pitch", 1, "sm8512bl", 0, 1010, 3090, weight=0.4),
    Joint("shoulder_yaw", 2, "sts3250", 250, 1200, 2900),
    Joint("shoulder_roll", 3, "sts3250", -320, 1120, 2980),
    Joint("elbow_flex", 4, "sts3250", 470, 1300, 2810, weight=-0.2),
    Joint("wrist_roll", 5, "sts3250", -55, 900, 3190),
    Joint("wrist_yaw", 6, "sts3250", 610, 1640, 2450),
    Joint("wrist_pitch", 7, "sts3250", -190, 1550, 2540),
)

_FINGERS = ("radial_flexor", "ulnar_flexor", "pip_dip")
_HAND = (
    *(f"thumb_{part}" for part in ("cmc", "mcp", "pip", "dip")),
    *(f"{finger}_{part}" for finger in ("index", "middle", "ring", "pinky") for part in _FINGERS),
)
_HOPE_JR_HAND = tuple(
    Joint(name, number, "scs0009", range_min=180 + 8 * number, range_max=760 + 6 * number)
    for number, name in enumerate(_HAND, start=1)
)


def _koch(shoulder: str, rest: str) -> tuple[Joint, ...]:
    return (
        Joint("shoulder_pan", 1, shoulder, -1024, 870, 3220, EXTENDED),
        Joint("shoulder_lift", 2, shoulder, 1024, 910, 3150, EXTENDED, 0.3),
        Joint("elbow_flex", 3, rest, 512, 930, 3140, EXTENDED, -0.2),
        Joint("wrist_flex", 4, rest, -377, 980, 3100, EXTENDED, -0.05),
        Joint("wrist_roll", 5, rest, 204, 0, 4095, EXTENDED),
        Joint("gripper", 6, rest, -150, 1940, 3010, CURRENT_POSITION),
    )


def _omx(first: int, shoulder: str, rest: str, gripper: str) -> tuple[Joint, ...]:
    """Built so that half a turn is the middle: nothing is calibrated."""
    names = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
    models = (*[shoulder] * 3, *[rest] * 2, gripper)
    modes = (*[EXTENDED] * 5, CURRENT_POSITION)
    rows = zip(names, models, modes, strict=True)
    return tuple(Joint(name, first + i, model, 0, 0, 4095, mode) for i, (name, model, mode) in enumerate(rows))


def _aloha(big: str, small: str, gripper: str, rotate: str) -> tuple[Joint, ...]:
    """Trossen's arms: two servos each on the axles of shoulder and elbow."""
    return (
        Joint("waist", 1, big),
        Joint("shoulder", 2, big, 0, 820, 3290, weight=0.35),
        Joint("shoulder_shadow", 3, big, 0, 805, 3275, follows=2),
        Joint("elbow", 4, big, 0, 890, 3200, weight=-0.25),
        Joint("elbow_shadow", 5, big, 0, 895, 3205, follows=4),
        Joint("forearm_roll", 6, small),
        Joint("wrist_angle", 7, small, 0, 810, 3480, weight=-0.05),
        Joint("wrist_rotate", 8, rotate),
        Joint("gripper", 9, gripper, 0, 1300, 2650, CURRENT_POSITION if gripper != "xc430-w150" else None),
    )


CHAINS: Mapping[str, Sequence[Joint]] = {
    "so101": SO101,
    "so101-leader": SO101,
    "koch": _koch("xl430-w250", "xl330-m288"),
    "koch-leader": _koch("xl330-m077", "xl330-m077"),
    "omx": _omx(11, "xl430-w250", "xl330-m288", "xl330-m288"),
    "omx-leader": _omx(1, "xl330-m288", "xl330-m288", "xl330-m077"),
    "viperx": _aloha("xm540-w270", "xm540-w270", "xm430-w350", "xm430-w350"),
    "widowx": _aloha("xm430-w350", "xm430-w350", "xc430-w150", "xl430-w250"),
    "lekiwi": _LEKIWI,
    "openarm_mini": _OPENARM_MINI,
    "hope_jr_arm": _HOPE_JR_ARM,
    "hope_jr_hand": _HOPE_JR_HAND,
}

#: How far from the middle a seed may start a joint, and how far `sine` swings it, as a part of half its range.
SPREAD, SWING = 0.15, 0.6


def servos(chain: str, seed: int, gravity: float = 0.0) -> list[FeetechServo] | list[DynamixelServo]:
    """The servos of a chain; seed 0 starts every joint in the middle of its range, any other near it."""
    chance = random.Random(seed)
    made = []
    for joint in CHAINS[chain]:
        middle, half = (joint.range_min + joint.range_max) / 2, (joint.range_max - joint.range_min) / 2
        away = chance.uniform(-SPREAD, SPREAD) * half if seed else 0.0
        servo = (DynamixelServo if joint.model in dynamixel_tables.MODELS else FeetechServo)(joint, middle + away)
        servo.gravity = gravity
        made.append(servo)
    return made


def check(chain: str, wrong: Sequence[Fault]) -> None:
    """
    Raises:
        ConfigError: a fault of a servo that the chain does not have, or of a baud rate that its servos do not.
    """
    ids = [joint.id for joint in CHAINS[chain]]
    bauds = sorted(type(servos(chain, 0)[0]).bauds.values())
    for fault in wrong:
        if fault.id is not None and fault.id not in ids:
            raise ConfigError(
                f"chain '{chain}' has no servo {fault.id} for '{fault.kind}' (ids: {', '.join(map(str, ids))})"
            )
        if fault.kind == "baud" and int(fault.value) not in bauds:
            raise ConfigError(f"servos of '{chain}' know no {fault.value:g} baud (known: {', '.join(map(str, bauds))})")


def sine(chain: Sequence[FeetechServo] | Sequence[DynamixelServo], seed: int, time: float) -> list[float]:
    """Where `motion=sine` has each joint `time` [s] after the start: 0.1 to 0.2 Hz around the middle [ticks]."""
    targets = []
    for index, servo in enumerate(chain):
        middle, half = servo.middle()
        angle = 2 * math.pi * (0.1 + 0.02 * index) * time + seed * (index + 1)
        targets.append(middle + SWING * half * math.sin(angle))
    return targets
