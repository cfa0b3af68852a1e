"""Two teleoperators as one. Knows nothing of either but its role, so that any two can be combined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lerobot_core.roles import Teleoperator
from lerobot_motors import sides
from lerobot_motors.prompt import Prompt
from lerobot_motors.teleoperators.arms import OpenarmMini, SoLeader
from lerobot_motors.teleoperators.configs import BimanualLeaderConfig, BiOpenarmMiniConfig, BiSoLeaderConfig


class BimanualLeader:
    """A left and a right teleoperator: their keys begin with `left_` and `right_`.

    Attributes:
        name: class of teleoperator.
        left: the left one.
        right: the right one.
    """

    def __init__(self, left: Teleoperator, right: Teleoperator, *, name: str) -> None:
        self.name = name
        self.left, self.right = left, right

    @property
    def action_features(self) -> Mapping[str, Any]:
        return sides.joined(self.left.action_features, self.right.action_features)

    @property
    def is_connected(self) -> bool:
        return self.left.is_connected and self.right.is_connected

    @property
    def is_calibrated(self) -> bool:
        return all(getattr(leader, "is_calibrated", True) for leader in (self.left, self.right))

    @property
    def health(self) -> sides.BothHealth:
        """What both count."""
        return sides.BothHealth.of(self.left, self.right)

    @property
    def stamp(self) -> int | None:
        """When the oldest value of the last action was measured, monotonic [ns]; None where nothing tells."""
        return sides.oldest(self.left, self.right)

    def connect(self, calibrate: bool = True) -> None:
        """Open both; the left one is closed again if the right one fails.

        Raises:
            DeviceError: connected already, or a device is not what was expected.
        """
        self.left.connect(calibrate)
        try:
            self.right.connect(calibrate)
        except BaseException:
            self.left.disconnect()
            raise

    def calibrate(self) -> None:
        """Calibrate the left one, then the right one, where they need it."""
        for leader in (self.left, self.right):
            if hasattr(leader, "calibrate"):
                leader.calibrate()

    def configure(self) -> None:
        """Write the settings of both anew, where they have any."""
        for leader in (self.left, self.right):
            if hasattr(leader, "configure"):
                leader.configure()

    def get_action(self) -> dict[str, float]:
        """The actions of both.

        Raises:
            NotConnected, DeviceTimeout: a device did not answer; it is named.
        """
        return sides.joined(self.left.get_action(), self.right.get_action())

    def send_feedback(self, feedback: Mapping[str, Any]) -> None:
        """To each what is its own."""
        left, right = sides.parted(feedback)
        self.left.send_feedback(left)
        self.right.send_feedback(right)

    def disconnect(self) -> None:
        """Close both, whatever happens. Idempotent."""
        try:
            self.left.disconnect()
        finally:
            self.right.disconnect()


def bi_so_leader(config: BiSoLeaderConfig, *, prompt: Prompt | None = None) -> BimanualLeader:
    """Two SO-100 or SO-101."""
    return BimanualLeader(*(SoLeader(arm, prompt=prompt) for arm in sides.arms(config)), name="bi_so_leader")


def bi_openarm_mini(config: BiOpenarmMiniConfig, *, prompt: Prompt | None = None) -> BimanualLeader:
    """Two OpenArm Mini."""
    return BimanualLeader(*(OpenarmMini(arm, prompt=prompt) for arm in sides.arms(config)), name="bi_openarm_mini")


def bimanual(config: BimanualLeaderConfig) -> BimanualLeader:
    """Any two teleoperators."""
    left, right = config.left.build(), config.right.build()
    return BimanualLeader(left, right, name=f"bi_{left.name}")
