"""The demo's world: an arm like the SO-101 before a board, goals on that board, and what counts as reaching one. *Pure*.

Knows nothing of servos, cameras or processes. Positions are in metres in the arm's base frame (x forward, y left, z up);
joints are in the user units of `so101_follower`: degrees, and percent for the gripper.

At 0 degrees everywhere the upper arm stands upright and forearm and tool point forward; the pan counts clockwise from above,
as the makers' description of the arm has it. Base height, upper arm and forearm
are nominal lengths of the SO-101 [m]; shoulder offset and tool (wrist joint to tip of the closed gripper) are rounded, and
the shoulder's sideways offset is left out: the task needs one consistent arm, not this one to the millimetre.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import attrs
import numpy as np

from lerobot_motors.catalogue import SIX

JOINTS = SIX

SHOULDER_OFFSET, SHOULDER_HEIGHT = 0.030, 0.116
UPPER_ARM, FOREARM, TOOL = 0.113, 0.135, 0.160

#: Goals lie on a board of 14 cm x 24 cm, 2 cm above the table [m].
BOARD_X, BOARD_Y, BOARD_Z = (0.16, 0.30), (-0.12, 0.12), 0.02
#: The arm starts with its tip this far above the board [m].
LIFT = (0.0, 0.05)

#: A goal is reached when the tip has been this near [m] for this long [s], without a break.
RADIUS, HOLD = 0.015, 0.5
#: A run that has not reached its goal by then has failed [s].
LIMIT = 3.0

#: The tool points down and forward by this much [deg], which reaches every goal with bent joints.
_PITCH = -60.0
_GRIPPER_AT_GOAL = 20.0

#: Steps that fill a square evenly however many there are: powers of 1 / 1.3247, the plastic number (Roberts' R2 sequence).
_EVEN = np.array([0.7548776662466927, 0.5698402909980532])
#: Goals are recorded up to this far beyond the board [m].
_MARGIN = (0.015, 0.020)


def points(joints: np.ndarray) -> np.ndarray:
    """Shoulder, elbow, wrist and tip (…, 4, 3) [m] for joints (…, 6)."""
    turn = np.radians(np.asarray(joints, float))
    upper = np.pi / 2 - turn[..., 1]
    fore = upper - np.pi / 2 - turn[..., 2]
    tool = fore - turn[..., 3]
    angles = np.stack([upper, fore, tool], -1)  # elevation of each link (…, 3)
    lengths = np.array([UPPER_ARM, FOREARM, TOOL])
    start = np.zeros((*angles.shape[:-1], 1))
    reach = SHOULDER_OFFSET + np.concatenate([start, np.cumsum(lengths * np.cos(angles), -1)], -1)  # (…, 4)
    height = SHOULDER_HEIGHT + np.concatenate([start, np.cumsum(lengths * np.sin(angles), -1)], -1)
    pan = -turn[..., 0, None]  # counted clockwise from above
    return np.stack([reach * np.cos(pan), reach * np.sin(pan), height], -1)  # (…, 4, 3)


def tip(joints: np.ndarray) -> np.ndarray:
    """Tool tip (…, 3) [m] for joints (…, 6)."""
    return points(joints)[..., 3, :]


def joints_at(place: np.ndarray, *, roll: float | None = None, gripper: float = _GRIPPER_AT_GOAL) -> np.ndarray:
    """Joints (6,) that put the tip at `place` (3,) [m], elbow up.

    Args:
        roll: wrist roll [deg]; by default what keeps the gripper's jaws square to the board.
        gripper: opening [%].

    Raises:
        ValueError: the place is out of reach.
    """
    x, y, z = (float(value) for value in place)
    pan, pitch = math.atan2(-y, x), math.radians(_PITCH)
    reach = math.hypot(x, y) - TOOL * math.cos(pitch) - SHOULDER_OFFSET
    height = z - TOOL * math.sin(pitch) - SHOULDER_HEIGHT
    span = math.hypot(reach, height)
    if not abs(UPPER_ARM - FOREARM) < span < UPPER_ARM + FOREARM:
        raise ValueError(f"({x:.3f}, {y:.3f}, {z:.3f}) m is out of the arm's reach")
    inner = math.acos((UPPER_ARM**2 + FOREARM**2 - span**2) / (2 * UPPER_ARM * FOREARM))  # law of cosines at the elbow
    upper = math.atan2(height, reach) + math.acos((UPPER_ARM**2 + span**2 - FOREARM**2) / (2 * UPPER_ARM * span))
    fore = upper - (math.pi - inner)
    lift = math.pi / 2 - upper
    angles = np.degrees([pan, lift, -fore - lift, fore - pitch, -pan])
    return np.array([*angles[:4], angles[4] if roll is None else roll, gripper])


@attrs.frozen(eq=False)
class Draw:
    """One start and goal: joints (6,) the arm starts from, and the goal (3,) [m]."""

    start: np.ndarray
    goal: np.ndarray


def draws(seed: int, *, unseen: bool = False) -> Iterator[Draw]:
    """Endless starts and goals; the same for the same seed.

    Those for recording cover the board evenly and reach a little beyond it, as a person would place them who has few
    demonstrations to give; those for runs are uniform over the board.

    Args:
        unseen: the sequence for runs instead of the one for recording.
    """
    random = np.random.default_rng([seed, int(unseen)])
    low, high = np.array([BOARD_X, BOARD_Y]).T
    margin = np.zeros(2) if unseen else np.array(_MARGIN)
    offset = random.uniform(size=2)
    for number in itertools.count():
        share = random.uniform(size=2) if unseen else (offset + number * _EVEN) % 1
        goal = low - margin + share * (high - low + 2 * margin)
        place = np.append(random.uniform(low, high), BOARD_Z + random.uniform(*LIFT))
        start = joints_at(place, roll=random.uniform(-40, 40), gripper=random.uniform(20, 80))
        yield Draw(start, np.append(goal, BOARD_Z))


class ReachRule:
    """Decides whether a goal is reached, from distances as they come.

    Args:
        radius: how near the tip has to be [m].
        hold: for how long without a break [s].
    """

    def __init__(self, radius: float = RADIUS, hold: float = HOLD) -> None:
        self._radius, self._hold = radius, hold
        self._since: float | None = None

    def reset(self) -> None:
        self._since = None

    def add(self, time: float, distance: float) -> bool:
        """Whether the goal is reached at `time` [s], where the tip is `distance` [m] from it."""
        if distance > self._radius:
            self._since = None
            return False
        if self._since is None:
            self._since = time
        return time - self._since >= self._hold


def approach(joints: np.ndarray, target: np.ndarray, *, speed: float, gain: float, period: float) -> np.ndarray:
    """The next command (6,) on the straight way in joint space to `target` (6,).

    The step depends on nothing but the two poses (bounded speed, slowing down near the target), so that one picture and one
    pose say all there is to know about what comes next.

    Args:
        speed: of the fastest joint [user units/s].
        gain: of the last part, where the speed falls with the distance [1/s].
        period: time since the last command [s].
    """
    step = (target - joints) * min(1.0, gain * period)
    fastest = float(np.abs(step).max())
    return joints + step * min(1.0, speed * period / fastest) if fastest > 0 else joints + step
