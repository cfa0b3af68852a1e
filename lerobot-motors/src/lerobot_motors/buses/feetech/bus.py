"""Feetech STS and SMS servos by name: registers, torque, calibration. Knows no robots and no prompts."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from lerobot_core.errors import BadReply, DeviceError, DeviceTimeout, NotConnected, did_you_mean
from lerobot_motors import units
from lerobot_motors.buses.feetech import tables
from lerobot_motors.buses.feetech.config import FeetechConfig
from lerobot_motors.buses.feetech.tables import POSITIONS, REGISTERS, Register
from lerobot_motors.buses.feetech.wire import Corrupt, Lost, Wire
from lerobot_motors.buses.health import BusHealth
from lerobot_motors.calibration import Calibration, MotorCalibration, differences, half_turn_offset

#: Attempts to switch a torque off before giving up on that motor.
TORQUE_OFF_RETRIES = 5
CABLES = "check the power, the cables and the id of that servo"

T = TypeVar("T")
logger = logging.getLogger(__name__)


class FeetechBus:
    """Servos on one serial port.

    Attributes:
        motors: the servos by name.
        calibration: by motor name; empty until one is given, and then positions are in user units.
        health: transactions and errors so far.
        faults: fault bits last reported, by motor name.
    """

    def __init__(self, config: FeetechConfig, calibration: Mapping[str, MotorCalibration] | None = None) -> None:
        self.config = config
        self.motors = dict(config.motors)
        self.calibration: Calibration = dict(calibration or {})
        self.health = BusHealth()
        self.faults: dict[str, int] = {}
        self._wire: Wire | None = None

    # --- connection ---------------------------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        return self._wire is not None

    def connect(self, handshake: bool = True) -> None:
        """Open the port and, with `handshake`, check that every servo is there, of its model and of one firmware.

        Raises:
            NotConnected: the port does not open.
            DeviceError: connected already, or the servos are not those expected; names every one of them.
        """
        if self.is_connected:
            raise DeviceError(f"bus on '{self.config.port}' is connected already", device=self.config.port)
        self._wire = Wire(self.config.port, self.config.baudrate, self.config.slack_ms, self.health)
        try:
            if handshake:
                self._handshake()
        except BaseException:
            self.disconnect(disable_torque=False)
            raise

    def disconnect(self, disable_torque: bool = True) -> None:
        """Switch every torque off and close the port; the port is closed whatever happens. Idempotent."""
        if self._wire is None:
            return
        try:
            if disable_torque:
                self.disable_torque(num_retry=TORQUE_OFF_RETRIES)
        finally:
            self._wire.close()
            self._wire = None

    def _handshake(self) -> None:
        problems = []
        firmware: dict[str, list[str]] = {}
        for name, motor in self.motors.items():
            number, wanted = self.ping(name), tables.MODELS[motor.model].number
            if number is None:
                problems.append(f"'{name}' (id {motor.id}) does not answer")
            elif wanted is not None and number != wanted:
                problems.append(f"'{name}' (id {motor.id}) is model {number}, '{motor.model}' is {wanted}")
            else:
                version = "{}.{}".format(*(self.read(f"Firmware_{part}_Version", name) for part in ("Major", "Minor")))
                firmware.setdefault(version, []).append(name)
        if len(firmware) > 1:
            versions = "; ".join(f"{version}: {', '.join(names)}" for version, names in firmware.items())
            problems.append(f"the servos have different firmware ({versions})")
        if problems:
            raise DeviceError(
                f"bus on '{self.config.port}' with {len(self.motors)} motors: " + ", ".join(problems),
                device=self.config.port,
                hint="check the power and the cables after the last servo that answers; firmware is updated with "
                "Feetech's own software",
            )

    # --- registers ----------------------------------------------------------------------------------------------------

    def ping(self, motor: str | int) -> int | None:
        """Model number of the servo, or None if it does not answer."""
        servo = self._id(motor) if isinstance(motor, str) else motor
        for _ in range(2):
            try:
                return self._connected().read(servo, REGISTERS["Model_Number"])[0]
            except (Lost, Corrupt):
                continue
        return None

    def scan(self) -> dict[int, int | None]:
        """Model number by id of every servo on the wire, expected or not."""
        return {servo: self.ping(servo) for servo in self._connected().scan()}

    def read(self, register: str, motor: str, *, normalize: bool = True, num_retry: int = 0) -> float:
        """Value of a register.

        Raises:
            DeviceTimeout: no reply in time; BadReply: a damaged one, or the servo reports a fault.
            NotConnected: not connected, or the port is gone.
        """
        place, servo = _register(register), self._id(motor)
        content, fault = self._attempt(
            lambda: self._connected().read(servo, place), f"reading '{register}'", motor, num_retry
        )
        self._note_fault(motor, fault, refuse=True)
        return self._value(register, motor, content, normalize)

    def write(self, register: str, motor: str, value: float, *, normalize: bool = True, num_retry: int = 0) -> None:
        """Write a register; the servo has acknowledged it on return. Raises as `read`."""
        fault = self._write(register, motor, value, normalize, num_retry)
        self._note_fault(motor, fault, refuse=True)

    def sync_read(
        self, register: str, motors: Sequence[str] | None = None, *, normalize: bool = True, num_retry: int = 0
    ) -> dict[str, float]:
        """Value of a register of several servos in one transaction; a retry asks only those that are missing.

        Raises:
            DeviceTimeout: names every motor that did not answer.
            NotConnected: not connected, or the port is gone.
        """
        place = _register(register)
        names = list(self.motors if motors is None else motors)
        missing = {self._id(name) for name in names}
        replies: dict[int, tuple[int, int]] = {}
        for _ in range(num_retry + 1):
            replies |= self._connected().sync_read(sorted(missing), place)
            missing -= replies.keys()
            if not missing:
                break
        else:
            lost = [name for name in names if self.motors[name].id in missing]
            raise self._no_reply(f"reading '{register}'", lost, num_retry)
        values = {}
        for name in names:
            content, fault = replies[self.motors[name].id]
            self._note_fault(name, fault)
            values[name] = self._value(register, name, content, normalize)
        return values

    def sync_write(self, register: str, values: Mapping[str, float], *, normalize: bool = True) -> None:
        """Write a register of several servos in one packet, which they do not acknowledge."""
        contents = {self._id(name): self._content(register, name, value, normalize) for name, value in values.items()}
        self._connected().sync_write(_register(register), contents)

    # --- torque -------------------------------------------------------------------------------------------------------

    def enable_torque(self, motors: Sequence[str] | None = None, *, num_retry: int = 0) -> None:
        """Hold positions, and lock the EEPROM."""
        self._set_torque(motors, 1, num_retry)

    def disable_torque(self, motors: Sequence[str] | None = None, *, num_retry: int = 0) -> None:
        """Let go, and open the EEPROM for writing. Every motor is tried; the first error is raised at the end."""
        self._set_torque(motors, 0, num_retry)

    def _set_torque(self, motors: Sequence[str] | None, on: int, num_retry: int) -> None:
        errors: list[DeviceError] = []
        for name in self.motors if motors is None else motors:
            try:
                for register in ("Torque_Enable", "Lock"):
                    self._note_fault(name, self._write(register, name, on, False, num_retry))
            except DeviceError as error:
                errors.append(error)
        if errors:
            for other in errors[1:]:
                errors[0].add_note(str(other))
            raise errors[0]

    # --- calibration --------------------------------------------------------------------------------------------------

    @property
    def is_calibrated(self) -> bool:
        """Whether there is a calibration and the servos hold the same one."""
        return bool(self.calibration) and not differences(self.calibration, self.read_calibration())

    def read_calibration(self) -> Calibration:
        """What the servos hold; `drive_mode`, which they do not have, is that of the present calibration."""
        offsets, lows, highs = (
            self.sync_read(register, normalize=False, num_retry=2)
            for register in ("Homing_Offset", "Min_Position_Limit", "Max_Position_Limit")
        )
        return {
            name: MotorCalibration(
                id=motor.id,
                drive_mode=self.calibration[name].drive_mode if name in self.calibration else 0,
                homing_offset=int(offsets[name]),
                range_min=int(lows[name]),
                range_max=int(highs[name]),
            )
            for name, motor in self.motors.items()
        }

    def write_calibration(self, calibration: Mapping[str, MotorCalibration]) -> None:
        """Store in the servos, and use from now on. Needs the torque off: the EEPROM is locked while it is on.

        Raises:
            BadReply: the servos do not hold it afterwards.
        """
        for name, motor in calibration.items():
            self.write("Homing_Offset", name, motor.homing_offset, num_retry=2)
            self.write("Min_Position_Limit", name, motor.range_min, num_retry=2)
            self.write("Max_Position_Limit", name, motor.range_max, num_retry=2)
        self.calibration = dict(calibration)
        different = differences(calibration, self.read_calibration())
        if different:
            raise BadReply(
                f"the servos on '{self.config.port}' did not take the calibration: {'; '.join(different)}",
                device=self.config.port,
                hint="the EEPROM is locked while the torque is on: switch it off first",
            )

    def set_half_turn_homings(self) -> dict[str, int]:
        """Make the present position of every servo read as half a turn; returns the offsets. Forgets the calibration."""
        self.calibration = {}
        for name in self.motors:
            self.write("Homing_Offset", name, 0)
            self.write("Min_Position_Limit", name, 0)
            self.write("Max_Position_Limit", name, self.resolution(name) - 1)
        positions = self.sync_read("Present_Position", normalize=False, num_retry=2)
        offsets = {name: half_turn_offset(int(value), self.resolution(name)) for name, value in positions.items()}
        for name, offset in offsets.items():
            self.write("Homing_Offset", name, offset)
        return offsets

    # --- conversions and errors ---------------------------------------------------------------------------------------

    def _connected(self) -> Wire:
        if self._wire is None:
            raise NotConnected(
                f"bus on '{self.config.port}' is not connected", device=self.config.port, hint="call connect() first"
            )
        return self._wire

    def _id(self, motor: str) -> int:
        if motor not in self.motors:
            known = ", ".join(self.motors)
            raise DeviceError(f"no motor '{motor}'{did_you_mean(motor, self.motors)} (known: {known})", device=motor)
        return self.motors[motor].id

    def resolution(self, motor: str) -> int:
        """Ticks per turn."""
        return tables.MODELS[self.motors[motor].model].resolution

    def calibrated(self, motor: str) -> MotorCalibration:
        """Calibration of a motor.

        Raises:
            DeviceError: there is none, because it was not connected or not calibrated.
        """
        if motor not in self.calibration:
            self._connected()
            raise DeviceError(
                f"position of '{motor}' in user units needs a calibration, there is none",
                device=motor,
                hint="run `lr calibrate`, or ask for ticks with normalize=False",
            )
        return self.calibration[motor]

    def _value(self, register: str, motor: str, content: int, normalize: bool) -> float:
        bit = _register(register).sign_bit
        raw = content if bit is None else units.decode_sign_magnitude(content, bit)
        if not (normalize and register in POSITIONS):
            return raw
        place, mode = self.calibrated(motor), self.motors[motor].norm_mode
        ends, inverted = (place.range_min, place.range_max), bool(place.drive_mode)
        return units.to_user(raw, mode, *ends, inverted=inverted, resolution=self.resolution(motor))

    def _content(self, register: str, motor: str, value: float, normalize: bool) -> int:
        place = _register(register)
        if not math.isfinite(value):
            raise DeviceError(
                f"'{register}' of '{motor}' cannot be {value}", device=motor, hint="what made this value?"
            )
        raw = int(value)
        if normalize and register in POSITIONS:
            known, mode = self.calibrated(motor), self.motors[motor].norm_mode
            ends, inverted = (known.range_min, known.range_max), bool(known.drive_mode)
            raw = units.to_raw(value, mode, *ends, inverted=inverted, resolution=self.resolution(motor))
        largest = (1 << (place.sign_bit or 8 * place.size)) - 1
        if not (-largest if place.sign_bit else 0) <= raw <= largest:
            raise DeviceError(
                f"'{register}' of '{motor}' cannot be {raw}: its largest magnitude is {largest}", device=motor
            )
        return raw if place.sign_bit is None else units.encode_sign_magnitude(raw, place.sign_bit)

    def _write(self, register: str, motor: str, value: float, normalize: bool, num_retry: int) -> int:
        place, servo = _register(register), self._id(motor)
        content = self._content(register, motor, value, normalize)
        return self._attempt(
            lambda: self._connected().write(servo, place, content), f"writing '{register}'", motor, num_retry
        )

    def _attempt(self, call: Callable[[], T], doing: str, motor: str, num_retry: int) -> T:
        for left in range(num_retry, -1, -1):
            try:
                return call()
            except Lost:
                if left == 0:
                    raise self._no_reply(doing, [motor], num_retry) from None
            except Corrupt as damage:
                if left == 0:
                    where = f"'{motor}' (id {self.motors[motor].id}) on '{self.config.port}'"
                    raise BadReply(f"damaged reply from {where} {doing}: {damage}", device=motor, hint=CABLES) from None
        raise ValueError(f"num_retry is 0 or more, got {num_retry}")

    def _no_reply(self, doing: str, motors: Iterable[str], num_retry: int) -> DeviceTimeout:
        names = ", ".join(f"'{name}' (id {self.motors[name].id})" for name in motors)
        tries = f" in {num_retry + 1} attempts" if num_retry else ""
        return DeviceTimeout(
            f"no reply from {names} on '{self.config.port}' {doing}{tries}", device=self.config.port, hint=CABLES
        )

    def _note_fault(self, motor: str, fault: int, refuse: bool = False) -> None:
        if fault and (refuse or fault != self.faults.get(motor)):
            meaning = ", ".join(text for bit, text in tables.FAULTS.items() if fault & bit) or f"bits {fault:#x}"
            message = f"'{motor}' (id {self.motors[motor].id}) on '{self.config.port}' reports {meaning}"
            if refuse:
                raise BadReply(message, device=motor, hint="relieve the joint and switch its power off and on")
            logger.warning(message)
        self.faults[motor] = fault


def _register(name: str) -> Register:
    if name not in REGISTERS:
        raise DeviceError(f"no register '{name}'{did_you_mean(name, REGISTERS)}", hint="names are in feetech/tables.py")
    return REGISTERS[name]
