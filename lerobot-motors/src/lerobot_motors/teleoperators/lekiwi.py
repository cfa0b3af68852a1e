"""What drives a LeKiwi: a leader arm, and whatever gives velocities of the base. Knows neither."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lerobot_core.errors import ConfigError
from lerobot_core.roles import Teleoperator
from lerobot_motors import sides
from lerobot_motors.robots.lekiwi import ARM, base_features
from lerobot_motors.teleoperators.configs import LekiwiLeaderConfig


class LekiwiLeader:
    """A leader arm whose joints are the arm's of a LeKiwi, beside a teleoperator for its base.

    Attributes:
        name: class of teleoperator.
        arm: what leads the arm.
        base: what leads the base; None: the base stands still.

    Raises:
        ConfigError: what is to lead the base does not give its velocities.
    """

    name = "lekiwi_leader"

    def __init__(self, config: LekiwiLeaderConfig) -> None:
        self.arm: Teleoperator = config.arm.build()
        self.base: Teleoperator | None = config.base.build() if config.base else None
        self._parts = [self.arm, *([self.base] if self.base else [])]
        missing = set(base_features()) - set(self.base.action_features) if self.base else ()
        if missing:
            raise ConfigError(f"teleoperator '{self.base.name}' gives no {', '.join(sorted(missing))} for the base")

    @property
    def action_features(self) -> Mapping[str, Any]:
        return {ARM + key: value for key, value in self.arm.action_features.items()} | base_features()

    @property
    def is_connected(self) -> bool:
        return all(part.is_connected for part in self._parts)

    @property
    def is_calibrated(self) -> bool:
        return all(getattr(part, "is_calibrated", True) for part in self._parts)

    @property
    def stamp(self) -> int | None:
        """When the oldest value of the last action was measured, monotonic [ns]; None where nothing tells."""
        return sides.oldest(*self._parts)

    def connect(self, calibrate: bool = True) -> None:
        """Open both; the arm is closed again if the other one fails.

        Raises:
            DeviceError: connected already, or a device is not what was expected.
        """
        self.arm.connect(calibrate)
        try:
            if self.base:
                self.base.connect(calibrate)
        except BaseException:
            self.arm.disconnect()
            raise

    def calibrate(self) -> None:
        """Calibrate what needs it."""
        for part in self._parts:
            if hasattr(part, "calibrate"):
                part.calibrate()

    def get_action(self) -> dict[str, float]:
        """Where the arm is to go and how the base is to move.

        Raises:
            NotConnected, DeviceTimeout: a device did not answer; it is named.
        """
        joints = {ARM + key: value for key, value in self.arm.get_action().items()}
        moved = self.base.get_action() if self.base else {}
        return joints | {key: float(moved.get(key, 0.0)) for key in base_features()}

    def send_feedback(self, feedback: Mapping[str, Any]) -> None:
        """To the arm what is its own."""
        self.arm.send_feedback({key.removeprefix(ARM): value for key, value in feedback.items() if key.startswith(ARM)})

    def disconnect(self) -> None:
        """Close both, whatever happens. Idempotent."""
        try:
            self.arm.disconnect()
        finally:
            if self.base:
                self.base.disconnect()
