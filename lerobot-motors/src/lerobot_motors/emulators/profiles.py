"""The chains that can be emulated. *Pure.*"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from lerobot_motors.emulators.servo import Home, Servo

#: Joints of an SO-101 in the order of their ids: travel of its URDF around half a turn, offsets as a calibration leaves them.
SO101 = (
    Home(homing_offset=85, range_min=796, range_max=3298),  # shoulder_pan ±110°
    Home(homing_offset=-413, range_min=910, range_max=3184),  # shoulder_lift ±100°
    Home(homing_offset=902, range_min=946, range_max=3148),  # elbow_flex ±97°
    Home(homing_offset=-1250, range_min=966, range_max=3128),  # wrist_flex ±95°
    Home(homing_offset=310, range_min=0, range_max=4095),  # wrist_roll
    Home(homing_offset=-77, range_min=1935, range_max=3185),  # gripper −10…100°
)

CHAINS = {"so101": SO101, "so101-leader": SO101}

#: How far from the middle a seed may start a joint, and how far `sine` swings it, as a part of half its range.
SPREAD, SWING = 0.15, 0.6


def servos(chain: str, seed: int) -> list[Servo]:
    """The servos of a chain; seed 0 starts every joint in the middle of its range, any other near it."""
    chance = random.Random(seed)
    made = []
    for number, home in enumerate(CHAINS[chain], start=1):
        middle, half = (home.range_min + home.range_max) / 2, (home.range_max - home.range_min) / 2
        away = chance.uniform(-SPREAD, SPREAD) * half if seed else 0.0
        made.append(Servo(number, home, middle + away))
    return made


def sine(chain: Sequence[Servo], seed: int, time: float) -> list[float]:
    """Where `motion=sine` has each joint `time` [s] after the start: 0.1 to 0.2 Hz around the middle [ticks]."""
    targets = []
    for index, servo in enumerate(chain):
        middle, half = servo.middle()
        angle = 2 * math.pi * (0.1 + 0.02 * index) * time + seed * (index + 1)
        targets.append(middle + SWING * half * math.sin(angle))
    return targets
