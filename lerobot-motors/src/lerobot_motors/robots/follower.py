"""A serial arm that is driven, with cameras: any row of the catalogue. Knows no teleoperator and no loop."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

from lerobot_core.errors import ConfigError, did_you_mean
from lerobot_core.guard import check_action
from lerobot_core.roles import Action, Camera
from lerobot_motors.arm import ArmDevice
from lerobot_motors.cameras import rig
from lerobot_motors.catalogue import POS
from lerobot_motors.prompt import Prompt
from lerobot_motors.robots import mounted
from lerobot_motors.robots.configs import FollowerConfig

logger = logging.getLogger(__name__)


class Follower(ArmDevice):
    """Servos and any number of cameras. A kind of arm is a subclass that names its row.

    Attributes:
        row: the kind of arm.
        name: class of robot, as datasets and calibration folders have it.
        on_stop: what `disconnect` leaves the arm in: `release` or `hold`.
        park: where it goes before that, as an action; empty: nowhere.
        cameras: by name.
        bus: the servos.
    """

    kind = "robots"

    def __init__(self, config: FollowerConfig, *, prompt: Prompt | None = None) -> None:
        super().__init__(config, prompt=prompt)
        self.on_stop = "release" if config.disable_torque_on_disconnect else "hold"
        self.cameras: dict[str, Camera] = rig.build(config.cameras)
        joints = self._arm.row.seen()
        cap = config.max_relative_target
        self._caps = _of_joints(
            "max_relative_target", dict.fromkeys(joints, cap) if isinstance(cap, float) else cap, joints
        )
        self.park = {joint + POS: place for joint, place in _of_joints("park", config.park, joints).items()}

    @property
    def observation_features(self) -> Mapping[str, Any]:
        return {**self.action_features, **rig.features(self.cameras)}

    @property
    def is_connected(self) -> bool:
        return super().is_connected and all(camera.is_connected for camera in self.cameras.values())

    def connect(self, calibrate: bool = True) -> None:
        """Open the arm and its cameras; what is open is closed again if one fails.

        Raises:
            DeviceError: connected already, or a device is not what was expected.
        """
        self._arm.connect(calibrate, self.configure)
        try:
            for camera in self.cameras.values():
                camera.connect()
        except BaseException:
            self.disconnect()
            raise

    def configure(self) -> None:
        """Write the settings of the servos, then hold the present pose."""
        self._arm.configure()
        self.stay()
        self.bus.enable_torque()

    def stay(self) -> None:
        """Make the goal of every joint where it is, else it would go where it was last sent."""
        joints = self._arm.row.seen()
        here = self.bus.sync_read("Present_Position", joints, normalize=False)
        self.bus.sync_write("Goal_Position", here, normalize=False)

    def get_observation(self) -> dict[str, Any]:
        """Joints in their units, pictures (H, W, 3) uint8, and `stamps`: key → monotonic time [ns].

        A servo whose reply was lost keeps its last value and stamp.

        Raises:
            NotConnected, DeviceTimeout: a camera, or a servo for longer than the bus has patience; it is named.
        """
        readings = self._arm.positions(self.config.num_read_retries)
        pictures, taken = rig.look(self.cameras)
        stamps = {joint + POS: reading.stamp for joint, reading in readings.items()} | taken
        values = {joint + POS: reading.value for joint, reading in readings.items()}
        return {**values, **pictures, "stamps": stamps}

    def send_action(self, action: Action) -> dict[str, float]:
        """Move towards the action; returns it as sent, within each joint's range and `max_relative_target`.

        Raises:
            DeviceError: an unknown joint, NaN or infinity; nothing is sent then.
            NotConnected: not connected.
        """
        check_action(action, self)
        return self.send_goals({key.removesuffix(POS): float(value) for key, value in action.items()})

    def send_goals(self, goals: Mapping[str, float]) -> dict[str, float]:
        """Send checked goals by joint; returns them by key, as sent."""
        if self._caps:
            goals = self._capped(goals)
        sent = {}
        for joint, goal in goals.items():
            low, high = self._arm.limits(joint)
            sent[joint] = min(max(goal, low), high)
        self.bus.sync_write("Goal_Position", sent)
        return {joint + POS: goal for joint, goal in sent.items()}

    def disconnect(self) -> None:
        """Close the arm and every camera, whatever happens; the first error is raised with the others as notes."""
        mounted.close([*self.closing_arm(), *(camera.disconnect for camera in reversed(self.cameras.values()))])

    def closing_arm(self) -> list[Callable[[], None]]:
        """What ends the motion, in order; each is tried."""
        return [lambda: self.bus.disconnect(self.config.disable_torque_on_disconnect)]

    def _capped(self, goals: Mapping[str, float]) -> dict[str, float]:
        present = self._arm.positions(self.config.num_read_retries)
        capped = {}
        for joint, goal in goals.items():
            here, cap = present[joint].value, self._caps.get(joint, math.inf)
            capped[joint] = min(max(goal, here - cap), here + cap)
            if capped[joint] != goal:
                logger.warning(
                    "'%s' asked to go to %.2f, sent to %.2f (max_relative_target)", joint, goal, capped[joint]
                )
        return capped


def _of_joints(option: str, values: Mapping[str, float] | None, joints: tuple[str, ...]) -> dict[str, float]:
    for joint in values or {}:
        if joint not in joints:
            raise ConfigError(f"{option}: no joint '{joint}'{did_you_mean(joint, joints)}")
    return dict(values or {})
