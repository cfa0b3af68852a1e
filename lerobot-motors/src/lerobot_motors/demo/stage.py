"""Where the demo's parts meet: the state of one emulated arm, shared between processes by name.

The camera reads pose and goal here, the scripted leader and the judge also place the goal. It is the only module of the demo
that knows how the emulator shares its state.
"""

from __future__ import annotations

import time

import numpy as np

from lerobot_core.errors import DeviceTimeout, NotConnected
from lerobot_motors import emulators, units
from lerobot_motors.demo.scene import JOINTS
from lerobot_motors.emulators import profiles

#: A hand has put a joint where it should be when it is this near [user units].
_PLACED = 0.5

#: Places in the emulator's free scene values: whether there is a goal, where [m], and how many tries have begun.
_SHOWN, _GOAL, _TRIES = 0, slice(1, 4), 4

_HOMES = dict(zip(JOINTS, profiles.SO101, strict=True))
_MODES: dict[str, units.NormMode] = {name: "range_0_100" if name == "gripper" else "degrees" for name in JOINTS}


class Stage:
    """The shared state of the emulated arm called `name`.

    Args:
        name: as in `emulated://so101?name=…`.
    """

    def __init__(self, name: str) -> None:
        self._state = emulators.state(name)

    def close(self) -> None:
        """Let go of the shared memory."""
        self._state.close()

    def joints(self) -> np.ndarray:
        """Where the arm is (6,), in the user units of an uncalibrated `so101_follower`, which takes the servos' own ranges.

        Raises:
            NotConnected: its emulator has ended.
        """
        if not self._state.running:
            raise NotConnected(
                f"emulated arm '{self._state.name}' has ended", device=self._state.name, hint="start it again"
            )
        ticks = self._state.positions
        return np.array([_user(name, float(ticks[index])) for index, name in enumerate(JOINTS)])

    def place(self, joints: np.ndarray, timeout: float = 5.0) -> None:
        """Move the arm to joints (6,) by hand, which the torque of its servos must be off for.

        Raises:
            DeviceTimeout: it does not get there.
        """
        deadline = time.monotonic() + timeout
        self._state.hand[:] = [_ticks(name, float(joints[index])) for index, name in enumerate(JOINTS)]
        while np.abs(self.joints() - joints).max() > _PLACED:
            if time.monotonic() > deadline:
                raise DeviceTimeout(
                    f"emulated arm '{self._state.name}' cannot be moved by hand", hint="is its torque still on?"
                )
            time.sleep(0.01)
        self._state.hand[:] = np.nan

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

    @property
    def tries(self) -> int:
        """How many tries at a goal have begun."""
        return int(self._state.scene[_TRIES])

    def begin_try(self) -> None:
        """Say that a try at the goal begins now."""
        self._state.scene[_TRIES] += 1


def _user(name: str, ticks: float) -> float:
    joint = _HOMES[name]
    return units.to_user(ticks, _MODES[name], joint.range_min, joint.range_max)


def _ticks(name: str, value: float) -> int:
    joint = _HOMES[name]
    return units.to_raw(value, _MODES[name], joint.range_min, joint.range_max)
