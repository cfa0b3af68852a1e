"""LeKiwi: an SO arm on a base with three omni-directional wheels, all on one bus. Knows no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lerobot_core.features import Feature
from lerobot_core.guard import check_action
from lerobot_core.roles import Action
from lerobot_motors import catalogue
from lerobot_motors.catalogue import POS, WHEELS, ArmRow
from lerobot_motors.robots.follower import Follower
from lerobot_motors.robots.omni_base import body_velocity, wheel_speeds

#: Velocities of the base and their units.
BASE = {"x.vel": "m/s", "y.vel": "m/s", "theta.vel": "deg/s"}


#: Before the names of the arm's joints.
ARM = "arm_"


def base_features() -> dict[str, Feature]:
    """The velocities of the base with their units."""
    return {key: Feature(dtype="float32", shape=(), unit=unit) for key, unit in BASE.items()}


def features(row: ArmRow) -> dict[str, Feature]:
    """Positions of the arm, then velocities of the base."""
    return row.features() | base_features()


class LeKiwi(Follower):
    """Six joints, three wheels and any number of cameras. The base stands still before anything else ends."""

    row = catalogue.LEKIWI

    @property
    def action_features(self) -> Mapping[str, Any]:
        return features(self._arm.row)

    def stay(self) -> None:
        self.stop_base()
        super().stay()

    def stop_base(self) -> None:
        """Let the wheels stand still; nothing to do while not connected."""
        if self.bus.is_connected:
            self.bus.sync_write("Goal_Velocity", dict.fromkeys(WHEELS, 0))

    def get_observation(self) -> dict[str, Any]:
        """Joints in their units, velocities of the base, pictures (H, W, 3) uint8, and `stamps`.

        Raises:
            NotConnected, DeviceTimeout: a servo or a camera did not answer; it is named.
        """
        observation = super().get_observation()
        wheels = self.bus.latest("Present_Velocity", WHEELS, num_retry=self.config.num_read_retries)
        base = dict(zip(BASE, body_velocity(*(wheels[wheel].value for wheel in WHEELS)), strict=True))
        stamps = observation.pop("stamps") | dict.fromkeys(BASE, min(reading.stamp for reading in wheels.values()))
        return {**observation, **base, "stamps": stamps}

    def send_action(self, action: Action) -> dict[str, float]:
        """Move the arm and drive the base; velocities that are not given are 0 where one of them is.

        Returns the action as sent: joints within their range, a base that is too fast slowed down as a whole.

        Raises:
            DeviceError: an unknown joint, NaN or infinity; nothing is sent then.
            NotConnected: not connected.
        """
        check_action(action, self)
        joints = {key.removesuffix(POS): float(value) for key, value in action.items() if key not in BASE}
        driven = {key: float(action[key]) for key in BASE if key in action}
        sent = self.send_goals(joints) if joints else {}
        if driven:
            speeds, factor = wheel_speeds(*(driven.get(key, 0.0) for key in BASE))
            self.bus.sync_write("Goal_Velocity", dict(zip(WHEELS, speeds, strict=True)))
            driven = {key: value * factor for key, value in driven.items()}
        return sent | driven

    def closing_arm(self) -> list[Callable[[], None]]:
        return [self.stop_base, *super().closing_arm()]
