"""A serial arm that a person holds: any row of the catalogue. Knows no robot and no loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lerobot_motors.arm import ArmDevice
from lerobot_motors.catalogue import POS, Source
from lerobot_motors.prompt import Prompt
from lerobot_motors.teleoperators.configs import LeaderConfig


class Leader(ArmDevice):
    """Servos with the torque off, but for a gripper that springs back. A kind of arm is a subclass that names its row.

    Attributes:
        row: the kind of arm.
        name: class of teleoperator, as calibration folders have it.
        bus: the servos.
        stamp: when the oldest value of the last action was measured, monotonic [ns]; None before the first.
    """

    kind = "teleoperators"

    def __init__(self, config: LeaderConfig, *, prompt: Prompt | None = None) -> None:
        super().__init__(config, prompt=prompt)
        self.stamp: int | None = None
        row = self._arm.row
        self._sources = dict(row.sources) or {joint: Source(motor=joint, factor=1.0) for joint in row.seen()}

    @property
    def feedback_features(self) -> Mapping[str, Any]:
        return self.action_features

    def connect(self, calibrate: bool = True) -> None:
        """Open the arm.

        Raises:
            DeviceError: connected already, or the arm is not what was expected.
        """
        self._arm.connect(calibrate, self.configure)

    def configure(self) -> None:
        """Let go, so that a person can move it; a gripper with a spring is held open."""
        self._arm.configure()
        if trigger := self.row.trigger:
            self.bus.sync_write("Goal_Position", {trigger: self.config.gripper_open_pos})
            self.bus.enable_torque([trigger])
            self.bus.sync_write("Goal_Position", {trigger: self.config.gripper_open_pos})  # torque on may set it anew

    def get_action(self) -> dict[str, float]:
        """Where the person has it, in the joints' units; a servo whose reply was lost is where it was.

        Raises:
            NotConnected, DeviceTimeout: a servo did not answer for longer than the bus has patience; it is named.
        """
        readings = self._arm.positions(self.config.num_read_retries)
        self.stamp = min(reading.stamp for reading in readings.values())
        return {joint + POS: readings[source.motor].value * source.factor for joint, source in self._sources.items()}

    def send_feedback(self, feedback: Mapping[str, Any]) -> None:
        """Goal positions of the joints, which follow them where the torque is on."""
        goals = {self._sources[key.removesuffix(POS)]: float(value) for key, value in feedback.items()}
        self.bus.sync_write("Goal_Position", {source.motor: goal / source.factor for source, goal in goals.items()})

    def disconnect(self) -> None:
        """Let go and close the port. Idempotent."""
        self.bus.disconnect()
