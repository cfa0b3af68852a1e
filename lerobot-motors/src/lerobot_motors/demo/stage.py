"""Where the demo's parts meet: the state of one emulated arm, shared between processes by name.

The camera reads pose and goal here, the scripted leader and the judge also place the goal. It is the only module of the demo
that knows how the emulator shares its state.
"""

from __future__ import annotations

import numpy as np

from lerobot_motors import emulators, units
from lerobot_motors.calibration import MotorCalibration
from lerobot_motors.demo.scene import JOINTS

#: The emulated arm's calibration in every demo: the middle of each range is half a turn of the servo [ticks].
CALIBRATION = {
    name: MotorCalibration(id=number, range_min=2047 - travel, range_max=2048 + travel)
    for number, (name, travel) in enumerate(zip(JOINTS, (1200, 1200, 1100, 1150, 2047, 700), strict=True), 1)
}

#: Places in the emulator's free scene values: whether there is a goal, and where [m].
_SHOWN, _GOAL = 0, slice(1, 4)


class Stage:
    """The shared state of the emulated arm called `name`.

    Args:
        name: as in `emulated://so101?name=…`.
    """

    def __init__(self, name: str) -> None:
        self._state = emulators.state(name)

    def joints(self) -> np.ndarray:
        """Where the arm is (6,), in the user units of `so101_follower` under CALIBRATION."""
        ticks = self._state.positions
        return np.array([_user(name, float(ticks[index])) for index, name in enumerate(JOINTS)])

    @property
    def goal(self) -> np.ndarray | None:
        """Place of the goal (3,) [m], or None while there is none."""
        scene = self._state.scene
        return np.array(scene[_GOAL]) if scene[_SHOWN] else None

    @goal.setter
    def goal(self, place: np.ndarray | None) -> None:
        scene = self._state.scene
        if place is not None:
            scene[_GOAL] = place
        scene[_SHOWN] = float(place is not None)


def _user(name: str, ticks: float) -> float:
    joint = CALIBRATION[name]
    mode = "range_0_100" if name == "gripper" else "degrees"
    return units.to_user(ticks, mode, joint.range_min, joint.range_max)
