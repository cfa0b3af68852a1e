"""Two robots as one. Knows nothing of either but its role, so that any two can be combined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lerobot_core.errors import ConfigError
from lerobot_core.guard import check_action
from lerobot_core.roles import Action, Camera, Robot
from lerobot_motors import sides
from lerobot_motors.cameras import rig
from lerobot_motors.prompt import Prompt
from lerobot_motors.robots import mounted
from lerobot_motors.robots.arms import SoFollower
from lerobot_motors.robots.configs import BimanualConfig, BiSoFollowerConfig

STAMPS = "stamps"


class Bimanual:
    """A left and a right robot: their keys begin with `left_` and `right_`, cameras of neither keep their names.

    Attributes:
        name: class of robot, as datasets have it.
        on_stop: what `disconnect` leaves both in.
        park: where both go before that, as an action.
        left: the left robot.
        right: the right robot.
        cameras: those that belong to neither arm, by name.

    Raises:
        ConfigError: the two end differently, or two cameras have one name.
    """

    def __init__(self, left: Robot, right: Robot, *, name: str, cameras: Mapping[str, Camera]) -> None:
        self.name = name
        self.left, self.right = left, right
        self.cameras = dict(cameras)
        stops = [getattr(robot, "on_stop", "release") for robot in (left, right)]
        if stops[0] != stops[1]:
            raise ConfigError(
                f"the left robot ends in '{stops[0]}' and the right one in '{stops[1]}'",
                hint="give both the same disable_torque_on_disconnect",
            )
        self.on_stop = stops[0]
        self.park = sides.joined(getattr(left, "park", {}), getattr(right, "park", {}))
        taken = {key for robot in (left, right) for key in robot.observation_features}
        taken |= set(sides.joined(left.observation_features, right.observation_features))
        for camera in self.cameras:
            if camera in taken:
                raise ConfigError(
                    f"camera '{camera}' is there twice: on an arm, and beside both", hint="give one another name"
                )

    @property
    def observation_features(self) -> Mapping[str, Any]:
        both = sides.joined(self.left.observation_features, self.right.observation_features)
        return {**both, **rig.features(self.cameras)}

    @property
    def action_features(self) -> Mapping[str, Any]:
        return sides.joined(self.left.action_features, self.right.action_features)

    @property
    def is_connected(self) -> bool:
        return all(part.is_connected for part in (self.left, self.right, *self.cameras.values()))

    @property
    def is_calibrated(self) -> bool:
        return all(getattr(robot, "is_calibrated", True) for robot in (self.left, self.right))

    @property
    def health(self) -> sides.BothHealth:
        """What both count."""
        return sides.BothHealth.of(self.left, self.right)

    def connect(self, calibrate: bool = True) -> None:
        """Open both and the cameras; what is open is closed again if one fails.

        Raises:
            DeviceError: connected already, or a device is not what was expected.
        """
        opened: list[Callable[[], Any]] = []
        try:
            for robot in (self.left, self.right):
                robot.connect(calibrate)
                opened.append(robot.disconnect)
            for camera in self.cameras.values():
                camera.connect()
                opened.append(camera.disconnect)
        except BaseException:
            mounted.close(opened)
            raise

    def calibrate(self) -> None:
        """Calibrate the left one, then the right one, where they need it."""
        for robot in (self.left, self.right):
            if hasattr(robot, "calibrate"):
                robot.calibrate()

    def configure(self) -> None:
        """Write the settings of both anew, where they have any."""
        for robot in (self.left, self.right):
            if hasattr(robot, "configure"):
                robot.configure()

    def get_observation(self) -> dict[str, Any]:
        """The observations of both, pictures (H, W, 3) uint8, and `stamps`: key → monotonic time [ns].

        Raises:
            NotConnected, DeviceTimeout: a device did not answer; it is named.
        """
        found = [dict(robot.get_observation()) for robot in (self.left, self.right)]
        stamps = sides.joined(*(observation.pop(STAMPS, {}) for observation in found))
        pictures, taken = rig.look(self.cameras)
        return {**sides.joined(*found), **pictures, STAMPS: stamps | taken}

    def send_action(self, action: Action) -> dict[str, float]:
        """Move both towards the action; returns it as sent. Nothing is sent where any value is refused.

        Raises:
            DeviceError: an unknown joint, NaN or infinity.
            NotConnected: not connected.
        """
        check_action(action, self)
        left, right = sides.parted(action)
        return sides.joined(self.left.send_action(left) if left else {}, self.right.send_action(right) if right else {})

    def disconnect(self) -> None:
        """Close both robots, then the cameras, whatever happens; the first error is raised with the others as notes."""
        mounted.close(part.disconnect for part in (self.left, self.right, *self.cameras.values()))


def bi_so_follower(config: BiSoFollowerConfig, *, prompt: Prompt | None = None) -> Bimanual:
    """Two SO-100 or SO-101."""
    arms = [SoFollower(arm, prompt=prompt) for arm in sides.arms(config)]
    return Bimanual(*arms, name="bi_so_follower", cameras=rig.build(config.cameras))


def bimanual(config: BimanualConfig) -> Bimanual:
    """Any two robots."""
    left, right = config.left.build(), config.right.build()
    return Bimanual(left, right, name=f"bi_{left.name}", cameras=rig.build(config.cameras))
