"""What followers and leaders of serial-bus servos share: a bus, a calibration file, the procedure that makes one.

Knows no cameras, no gains and no actions. Robots and teleoperators own an arm; nothing inherits from it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from lerobot_core.errors import DeviceError
from lerobot_motors import calibrating, emulators
from lerobot_motors import calibration as calibrations
from lerobot_motors.buses.feetech.bus import FeetechBus
from lerobot_motors.buses.feetech.config import FeetechConfig
from lerobot_motors.buses.feetech.tables import POSITION_MODE
from lerobot_motors.calibration import Calibration, Motor
from lerobot_motors.prompt import ConsolePrompt, Prompt

#: Retries of what is read or written once, outside the loop.
SETUP_RETRIES = 5

logger = logging.getLogger(__name__)


class Arm:
    """Servos on one bus with the calibration file of their device.

    Args:
        kind: what the device is.
        name: class of device: folder of its calibration files.
        id: of this device: name of its file; an emulated arm without one takes its emulator's name.
        calibration_dir: folder of the file, where it is not the usual one.
        port: serial or emulated port.
        motors: the servos by name.
        full_turn: motors whose range is not recorded because they turn all the way round.
        prompt: who answers when a person is needed; the terminal by default.

    Attributes:
        bus: the servos.
        path: the calibration file.
    """

    def __init__(
        self,
        *,
        kind: Literal["robots", "teleoperators"],
        name: str,
        id: str | None,
        calibration_dir: Path | None,
        port: str,
        motors: Mapping[str, Motor],
        full_turn: Sequence[str] = (),
        prompt: Prompt | None = None,
    ) -> None:
        self.bus = FeetechBus(FeetechConfig(port=port, motors=dict(motors)))
        self._emulated = emulators.is_emulated(port)
        if id is None and self._emulated:
            id = f"emulated-{emulators.parse(port).name}"
        self.path = calibrations.directory(kind, name, calibration_dir) / f"{id}.json"
        self._name = name
        self._full_turn = tuple(full_turn)
        self._prompt = prompt or ConsolePrompt()

    @property
    def is_connected(self) -> bool:
        return self.bus.is_connected

    @property
    def is_calibrated(self) -> bool:
        """Whether the servos hold the calibration in use; False while not connected."""
        return self.bus.is_connected and self.bus.is_calibrated

    def connect(self, calibrate: bool, configure: Callable[[], None]) -> None:
        """Open the bus, find the calibration (with `calibrate`, make one if there is none), configure.

        Raises:
            DeviceError: the arm is not what was expected; nothing is left open.
        """
        self.bus.connect()
        configuring = False
        try:
            self._find_calibration(calibrate)
            configuring = True
            configure()
        except BaseException:
            self.bus.disconnect(disable_torque=configuring)  # not some servos on and some off
            raise

    def calibrate(self) -> None:
        """Offer the file if there is one, else ask the person to move the arm; store in the servos and in the file."""
        stored = self._stored()
        self.bus.disable_torque(num_retry=SETUP_RETRIES)
        if stored:
            question = f"ENTER to use the calibration in '{self.path}', c and ENTER to calibrate {self._name} anew"
            if self._prompt.ask(question).lower() != "c":
                self.bus.write_calibration(stored)
                return
        calibration = calibrating.measure(self.bus, self.bus.motors, self._full_turn, self._prompt)
        self.ensure("Operating_Mode", dict.fromkeys(self.bus.motors, POSITION_MODE))
        calibrating.store(self.bus, calibration, self.path)
        logger.info("calibration saved to '%s'", self.path)

    def ensure(self, register: str, values: Mapping[str, int]) -> None:
        """Write a register where it does not hold the value yet, which spares the EEPROM. Needs the torque off."""
        present = self.bus.sync_read(register, list(values), normalize=False, num_retry=SETUP_RETRIES)
        for name, value in values.items():
            if present[name] != value:
                self.bus.write(register, name, value, normalize=False, num_retry=SETUP_RETRIES)

    def _find_calibration(self, calibrate: bool) -> None:
        stored = self._stored()
        if stored is None and self._emulated:
            self.bus.calibration = self.bus.read_calibration()
            logger.info("'%s' has no calibration file: taken from the emulated servos", self._name)
            return
        self.bus.calibration = stored or {}
        if self.bus.is_calibrated:
            return
        if stored is not None and self._emulated:
            self.bus.disable_torque()
            self.bus.write_calibration(stored)  # emulated servos forget
        elif calibrate:
            self.calibrate()
        else:
            logger.warning("'%s' is not calibrated as '%s' says: run `lr calibrate`", self._name, self.path)

    def _stored(self) -> Calibration | None:
        if not self.path.exists():
            return None
        stored = calibrations.load(self.path)
        if set(stored) != set(self.bus.motors):
            raise DeviceError(
                f"calibration file '{self.path}' is of {', '.join(stored)}, this arm has {', '.join(self.bus.motors)}",
                hint="give the arm the --robot.id or --teleop.id it was calibrated with, or remove the file and `lr calibrate`",
            )
        return stored
