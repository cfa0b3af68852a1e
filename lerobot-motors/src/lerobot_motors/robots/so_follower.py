"""The SO-100 and SO-101 followers: an arm that is driven, with cameras. Knows no teleoperator and no loop."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from typing import Any

from lerobot_core.errors import ConfigError, did_you_mean
from lerobot_core.guard import check_action
from lerobot_core.roles import Action, Camera
from lerobot_motors import so_arm, units
from lerobot_motors.arm import SETUP_RETRIES, Arm
from lerobot_motors.buses.feetech.tables import PHASE_MULTI_TURN, POSITION_MODE
from lerobot_motors.buses.health import BusHealth
from lerobot_motors.cameras import rig
from lerobot_motors.prompt import Prompt
from lerobot_motors.robots.configs import SoFollowerConfig

#: Keeps the gripper from burning out on what it holds: half of the torque, 250 × 6.5 mA, a quarter once overloaded.
GRIPPER = {"Max_Torque_Limit": 500, "Protection_Current": 250, "Overload_Torque": 25}
#: Fastest change of speed the servos offer.
ACCELERATION = 254
POS = ".pos"

logger = logging.getLogger(__name__)


class SoFollower:
    """Six servos and any number of cameras.

    Attributes:
        name: class of robot, as datasets and calibration folders have it.
        on_stop: what `disconnect` leaves the arm in: `release` or `hold`.
        cameras: by name.
        bus: the servos.
    """

    name = "so_follower"

    def __init__(self, config: SoFollowerConfig, *, prompt: Prompt | None = None) -> None:
        self.config = config
        self.on_stop = "release" if config.disable_torque_on_disconnect else "hold"
        self._arm = Arm(
            kind="robots",
            name=self.name,
            id=config.id,
            calibration_dir=config.calibration_dir,
            port=config.port,
            motors=so_arm.motors(config.use_degrees),
            full_turn=so_arm.FULL_TURN,
            prompt=prompt,
        )
        self.bus = self._arm.bus
        self.cameras: dict[str, Camera] = rig.build(config.cameras)
        self._caps = _caps(config)

    @property
    def observation_features(self) -> Mapping[str, Any]:
        return {**self.action_features, **rig.features(self.cameras)}

    @property
    def action_features(self) -> Mapping[str, Any]:
        return so_arm.features(self.bus.motors)

    @property
    def is_connected(self) -> bool:
        return self._arm.is_connected and all(camera.is_connected for camera in self.cameras.values())

    @property
    def is_calibrated(self) -> bool:
        return self._arm.is_calibrated

    @property
    def health(self) -> BusHealth:
        """Transactions and errors of the bus so far."""
        return self.bus.health

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

    def calibrate(self) -> None:
        """Ask a person to move the arm, or to take the stored calibration. Ends with the torque off."""
        self._arm.calibrate()

    def configure(self) -> None:
        """Write the settings of the servos, then hold the present pose."""
        bus, config, ensure = self.bus, self.config, self._arm.ensure
        bus.disable_torque(num_retry=SETUP_RETRIES)
        phases = bus.sync_read("Phase", normalize=False, num_retry=SETUP_RETRIES)
        ensure("Phase", {name: int(phase) & ~PHASE_MULTI_TURN for name, phase in phases.items()})
        for register, value in {
            "Return_Delay_Time": 0,
            "Maximum_Acceleration": ACCELERATION,
            "Acceleration": ACCELERATION,
            "Operating_Mode": POSITION_MODE,
            "P_Coefficient": config.position_p_coefficient,
            "I_Coefficient": config.position_i_coefficient,
            "D_Coefficient": config.position_d_coefficient,
        }.items():
            ensure(register, dict.fromkeys(bus.motors, value))
        for register, value in GRIPPER.items():
            ensure(register, {"gripper": value})
        here = bus.sync_read("Present_Position", normalize=False, num_retry=SETUP_RETRIES)
        bus.sync_write("Goal_Position", here, normalize=False)  # else it would go where it was last sent
        bus.enable_torque(num_retry=SETUP_RETRIES)

    def get_observation(self) -> dict[str, Any]:
        """Joints in their units, pictures (H, W, 3) uint8, and `stamps`: key → monotonic time [ns].

        Raises:
            NotConnected, DeviceTimeout: a servo or a camera did not answer; it is named.
        """
        stamp = time.monotonic_ns()
        positions = self.bus.sync_read("Present_Position", num_retry=self.config.num_read_retries)
        observation: dict[str, Any] = {joint + POS: value for joint, value in positions.items()}
        stamps = dict.fromkeys(observation, stamp)
        pictures, seen = rig.look(self.cameras)
        return {**observation, **pictures, "stamps": {**stamps, **seen}}

    def send_action(self, action: Action) -> dict[str, float]:
        """Move towards the action; returns it as sent, within each joint's range and `max_relative_target`.

        Raises:
            DeviceError: an unknown joint, NaN or infinity; nothing is sent then.
            NotConnected: not connected.
        """
        check_action(action, self)
        goals = {key.removesuffix(POS): float(value) for key, value in action.items()}
        if self._caps:
            goals = self._capped(goals)
        sent = {joint: self._in_range(joint, goal) for joint, goal in goals.items()}
        self.bus.sync_write("Goal_Position", sent)
        return {joint + POS: goal for joint, goal in sent.items()}

    def disconnect(self) -> None:
        """Close every camera and the arm, whatever happens; the first error is raised with the others as notes."""
        errors: list[Exception] = []
        closing = [camera.disconnect for camera in self.cameras.values()]
        closing.append(lambda: self.bus.disconnect(self.config.disable_torque_on_disconnect))
        for close in reversed(closing):  # the arm first
            try:
                close()
            except Exception as error:
                errors.append(error)
        if errors:
            for other in errors[1:]:
                errors[0].add_note(str(other))
            raise errors[0]

    def _capped(self, goals: Mapping[str, float]) -> dict[str, float]:
        present = self.bus.sync_read("Present_Position", list(goals), num_retry=self.config.num_read_retries)
        capped = {}
        for joint, goal in goals.items():
            cap = self._caps.get(joint, math.inf)
            capped[joint] = min(max(goal, present[joint] - cap), present[joint] + cap)
            if capped[joint] != goal:
                logger.warning(
                    "'%s' asked to go to %.2f, sent to %.2f (max_relative_target)", joint, goal, capped[joint]
                )
        return capped

    def _in_range(self, joint: str, goal: float) -> float:
        place, mode = self.bus.calibrated(joint), self.bus.motors[joint].norm_mode
        ends = sorted(
            units.to_user(raw, mode, place.range_min, place.range_max, resolution=self.bus.resolution(joint))
            for raw in (place.range_min, place.range_max)
        )
        return min(max(goal, ends[0]), ends[1])


def _caps(config: SoFollowerConfig) -> dict[str, float]:
    target = config.max_relative_target
    caps = dict(target) if isinstance(target, dict) else dict.fromkeys(so_arm.JOINTS, target) if target else {}
    for joint in caps:
        if joint not in so_arm.JOINTS:
            raise ConfigError(f"max_relative_target: no joint '{joint}'{did_you_mean(joint, so_arm.JOINTS)}")
    return caps
