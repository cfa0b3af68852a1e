"""The SO-100 and SO-101 leaders: an arm that a person holds. Knows no robot and no loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lerobot_motors import so_arm
from lerobot_motors.arm import SETUP_RETRIES, Arm
from lerobot_motors.buses.feetech.tables import POSITION_MODE
from lerobot_motors.buses.health import BusHealth
from lerobot_motors.prompt import Prompt
from lerobot_motors.teleoperators.configs import SoLeaderConfig

POS = ".pos"


class SoLeader:
    """Six servos with the torque off.

    Attributes:
        name: class of teleoperator, as calibration folders have it.
        bus: the servos.
    """

    name = "so_leader"

    def __init__(self, config: SoLeaderConfig, *, prompt: Prompt | None = None) -> None:
        self.config = config
        self._arm = Arm(
            kind="teleoperators",
            name=self.name,
            id=config.id,
            calibration_dir=config.calibration_dir,
            port=config.port,
            motors=so_arm.motors(config.use_degrees),
            full_turn=so_arm.FULL_TURN,
            prompt=prompt,
        )
        self.bus = self._arm.bus

    @property
    def action_features(self) -> Mapping[str, Any]:
        return so_arm.features(self.bus.motors)

    @property
    def feedback_features(self) -> Mapping[str, Any]:
        return self.action_features

    @property
    def is_connected(self) -> bool:
        return self._arm.is_connected

    @property
    def is_calibrated(self) -> bool:
        return self._arm.is_calibrated

    @property
    def health(self) -> BusHealth:
        """Transactions and errors of the bus so far."""
        return self.bus.health

    def connect(self, calibrate: bool = True) -> None:
        """Open the arm.

        Raises:
            DeviceError: connected already, or the arm is not what was expected.
        """
        self._arm.connect(calibrate, self.configure)

    def calibrate(self) -> None:
        """Ask a person to move the arm, or to take the stored calibration."""
        self._arm.calibrate()

    def configure(self) -> None:
        """Let go, so that a person can move it."""
        self.bus.disable_torque(num_retry=SETUP_RETRIES)
        for register, value in {"Return_Delay_Time": 0, "Operating_Mode": POSITION_MODE}.items():
            self._arm.ensure(register, dict.fromkeys(self.bus.motors, value))

    def get_action(self) -> dict[str, float]:
        """Where the person has it, in the joints' units; a servo whose reply was lost is where it was.

        Raises:
            NotConnected, DeviceTimeout: a servo did not answer for longer than the bus has patience; it is named.
        """
        readings = self.bus.latest("Present_Position", num_retry=self.config.num_read_retries)
        return {joint + POS: reading.value for joint, reading in readings.items()}

    def send_feedback(self, feedback: Mapping[str, Any]) -> None:
        """Goal positions of the joints, which follow them where the torque is on."""
        goals = {key.removesuffix(POS): float(value) for key, value in feedback.items()}
        self.bus.sync_write("Goal_Position", goals)

    def disconnect(self) -> None:
        """Let go and close the port. Idempotent."""
        self.bus.disconnect()
