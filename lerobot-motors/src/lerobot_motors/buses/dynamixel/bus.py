"""Dynamixel X servos by name. What every serial bus does is `SerialBus`'s; here is what only these servos have: an alert
that is explained in a register, a reboot, and one reply packet for all."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping, Sequence

from lerobot_core.errors import BadReply, DeviceError, DeviceTimeout
from lerobot_motors.buses.dynamixel.codec import FastProtocol2, Protocol2
from lerobot_motors.buses.dynamixel.config import DynamixelConfig
from lerobot_motors.buses.dynamixel.tables import ALERT, FAMILY, FAST_FIRMWARE, FAULTS, REFUSALS, REGISTERS
from lerobot_motors.buses.family import Codec
from lerobot_motors.buses.serial_bus import RETRIES, SerialBus
from lerobot_motors.buses.wire import Corrupt, Gathered, Lost, Wire
from lerobot_motors.calibration import MotorCalibration

PLAIN, FAST = Protocol2(), FastProtocol2()
#: Fast sync reads in a row that may fail before the plain ones are used for good: more than a silent servo is asked in a row.
FAST_FAILURES = 5
#: How long a servo may take to come back from a reboot [s].
REBOOT_TIME = 2.0
#: Status_Return_Level at which a servo acknowledges what is written.
ANSWERS_ALL = 2

logger = logging.getLogger(__name__)


class DynamixelWire(Wire):
    """A port on which all servos may answer a sync read with one packet. Whoever is missing in it is asked the plain way.

    Attributes:
        fast: whether they are asked for that.
    """

    fast = False
    _failures = 0

    def sync_read(
        self, codec: Codec, servos: Sequence[int], address: int, size: int, until: float | None = None
    ) -> Gathered:
        if not self.fast or len(servos) < 2:
            return super().sync_read(codec, servos, address, size, until)
        found = super().sync_read(FAST, servos, address, size, until)
        missing = [servo for servo in servos if servo not in found.replies]
        self._failures = self._failures + 1 if missing else 0
        if not missing:
            return found
        if self._failures == FAST_FAILURES:
            self.fast = False
            logger.warning("fast sync reads on '%s' fail: plain ones from now on", self.path)
        others = super().sync_read(codec, missing, address, size, until)
        return Gathered(found.replies | others.replies, others.damaged)


class DynamixelBus(SerialBus):
    """Servos of the X series on one serial port.

    `faults` has the bits of Hardware_Error_Status. A servo that shut down, as after an overload, is rebooted when the bus is
    connected; later `reboot` does it.
    """

    config: DynamixelConfig
    wire = DynamixelWire

    def __init__(self, config: DynamixelConfig, calibration: Mapping[str, MotorCalibration] | None = None) -> None:
        super().__init__(config, FAMILY, calibration)

    @property
    def reads_fast(self) -> bool:
        """Whether all servos answer a sync read with one packet."""
        return isinstance(self._wire, DynamixelWire) and self._wire.fast

    def reboot(self, motors: Sequence[str] | None = None) -> None:
        """Restart servos, which ends their shutdown; their torque is off then, and their RAM as after power-on.

        Raises:
            DeviceTimeout: one does not come back. BadReply: its fault is still there.
        """
        for name in self.motors if motors is None else motors:
            servo = self._id(name)
            with contextlib.suppress(Lost, Corrupt):  # some restart before they acknowledge
                self._connected().command(PLAIN, servo, PLAIN.reboot(servo))
            deadline = time.monotonic() + REBOOT_TIME
            while self.ping(name) is None:
                if time.monotonic() > deadline:
                    raise DeviceTimeout(
                        f"'{name}' (id {servo}) on '{self.config.port}' did not come back from its reboot",
                        device=name,
                        hint="switch its power off and on",
                    )
            self.faults.pop(name, None)
            if fault := self._hardware_error(name):
                raise BadReply(
                    f"'{name}' (id {servo}) on '{self.config.port}' still reports {fault_text(fault)} after its reboot",
                    device=name,
                    hint="let it cool down, check the supply voltage and that its joint moves freely",
                )

    def enable_torque(self, motors: Sequence[str] | None = None, *, num_retry: int = RETRIES) -> None:
        """Hold positions.

        Raises:
            BadReply: a servo has shut down, and holds nothing before it is rebooted.
        """
        super().enable_torque(motors, num_retry=num_retry)
        for name in self.motors if motors is None else motors:
            if fault := self.faults.get(name):
                raise BadReply(
                    f"'{name}' (id {self.motors[name].id}) on '{self.config.port}' has shut down: {fault_text(fault)}",
                    device=name,
                    hint="relieve the joint, then reboot(['" + name + "']) or connect again",
                )

    # --- what SerialBus leaves to a family ----------------------------------------------------------------------------

    def _check_servos(self, names: Sequence[str]) -> list[str]:
        """Reboot what has shut down; see what the servos can do."""
        problems, firmware = [], []
        for name in names:
            if self.read("Status_Return_Level", name) != ANSWERS_ALL:
                self.sync_write("Status_Return_Level", {name: ANSWERS_ALL})
            if fault := self._hardware_error(name):
                logger.warning("'%s' had shut down (%s): it is rebooted", name, fault_text(fault))
                try:
                    self.reboot([name])
                except DeviceError as failure:
                    problems.append(str(failure))
            firmware.append(self.read("Firmware_Version", name))
        if isinstance(self._wire, DynamixelWire):
            self._wire.fast = self.config.fast_sync_read and min(firmware, default=0) >= FAST_FIRMWARE
        return problems

    def _refuses(self, error: int) -> bool:
        return bool(error & ~ALERT)

    def _fault_text(self, error: int) -> str:
        return REFUSALS.get(error & ~ALERT, f"error {error:#x}")

    def _note_fault(self, motor: str, error: int, refuse: bool = False) -> None:
        """Look up what an alert means, once; raise what the servo refuses."""
        known = self.faults.get(motor, 0)
        if bool(error & ALERT) != bool(known):
            fault = self._hardware_error(motor) if error & ALERT else 0
            self.faults[motor] = fault
            self.health.servo(self.motors[motor].id).fault = fault_text(fault)
            if fault:
                logger.warning("'%s' (id %d) reports %s", motor, self.motors[motor].id, fault_text(fault))
        if refuse and self._refuses(error):
            raise BadReply(
                f"'{motor}' (id {self.motors[motor].id}) on '{self.config.port}' refuses: {self._fault_text(error)}",
                device=motor,
                hint="the control table of its model says what a register takes",
            )

    def _hardware_error(self, motor: str) -> int:
        place = REGISTERS["Hardware_Error_Status"]
        for _ in range(3):
            with contextlib.suppress(Lost, Corrupt):
                return self._connected().read(self.codec, self._id(motor), place.address, place.size).data[0]
        raise self._no_reply("reading 'Hardware_Error_Status'", [motor], 2)


def fault_text(fault: int) -> str:
    """Hardware_Error_Status in words; empty for 0."""
    return ", ".join(text for bit, text in FAULTS.items() if fault & bit) or (f"bits {fault:#x}" if fault else "")
