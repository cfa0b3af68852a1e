"""Servos on one serial port by name: registers, torque, calibration. Knows no robots and no prompts.

What differs between makers is data (`family.Family`) and the few methods that a family's bus overrides: `_check_servos`,
`_refuses`, `_fault_text`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from lerobot_core.errors import BadReply, ConfigError, DeviceError, DeviceTimeout, NotConnected, did_you_mean
from lerobot_motors import units
from lerobot_motors.buses.family import TWOS_COMPLEMENT, Codec, Family, Model, Register, Status
from lerobot_motors.buses.health import BusHealth
from lerobot_motors.buses.wire import Corrupt, Lost, Wire
from lerobot_motors.calibration import Calibration, Motor, MotorCalibration, differences, half_turn_offset

#: Attempts to switch a torque off before giving up on that motor.
TORQUE_OFF_RETRIES = 5
CABLES = "check the power, the cables and the id of that servo"
HOMING, LOWEST, HIGHEST = "Homing_Offset", "Min_Position_Limit", "Max_Position_Limit"
#: Bit of Drive_Mode that inverts a servo which keeps its drive mode itself.
INVERTED = 1

T = TypeVar("T")
logger = logging.getLogger(__name__)


class BusConfig(Protocol):
    """Options that every serial bus has; see `FeetechConfig`."""

    port: str
    motors: dict[str, Motor]
    baudrate: int
    slack_ms: float | None
    patience_s: float


class SerialBus:
    """Servos on one serial port.

    Args:
        config: the family's own options.
        family: what is special to its servos.
        calibration: by motor name; without one positions are not in user units.
        protocol: version of the wire protocol; by default that of the motors' models.

    Attributes:
        motors: the servos by name.
        calibration: by motor name; empty until one is given, and then positions are in user units.
        health: transactions and errors so far.
        faults: fault bits last reported, by motor name.

    Raises:
        ConfigError: a model that the family does not have, or models of different protocols.
    """

    def __init__(
        self,
        config: BusConfig,
        family: Family,
        calibration: Mapping[str, MotorCalibration] | None = None,
        *,
        protocol: int | None = None,
    ) -> None:
        self.config = config
        self.family = family
        self.motors = dict(config.motors)
        self.calibration: Calibration = dict(calibration or {})
        self.health = BusHealth()
        self.faults: dict[str, int] = {}
        self.codec: Codec = family.codecs[_protocol(family, self.motors, protocol)]
        self._wire: Wire | None = None

    # --- connection ---------------------------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        return self._wire is not None

    def connect(self, handshake: bool = True) -> None:
        """Open the port and, with `handshake`, check that every servo is there and of its model.

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
        problems, found = [], []
        for name, motor in self.motors.items():
            number, wanted = self.ping(name), self._model(name).number
            if number is None:
                problems.append(f"'{name}' (id {motor.id}) does not answer")
            elif wanted is not None and number != wanted:
                problems.append(f"'{name}' (id {motor.id}) is model {number}, '{motor.model}' is {wanted}")
            else:
                self.read("Return_Delay_Time", name, num_retry=2)  # sets the deadline of its replies
                found.append(name)
        problems += self._check_servos(found)
        if problems:
            raise DeviceError(
                f"bus on '{self.config.port}' with {len(self.motors)} motors: " + ", ".join(problems),
                device=self.config.port,
                hint="check the power and the cables after the last servo that answers",
            )

    def _check_servos(self, names: Sequence[str]) -> list[str]:
        """What is wrong with the servos found, of the right models, in words; for families that ask for more."""
        return []

    # --- registers ----------------------------------------------------------------------------------------------------

    def ping(self, motor: str | int) -> int | None:
        """Model number of the servo, or None if it does not answer."""
        servo = self._id(motor) if isinstance(motor, str) else motor
        place = next(iter(self.family.models.values())).registers["Model_Number"]
        for _ in range(2):
            try:
                status = self._connected().read(self.codec, servo, place.address, place.size)
            except (Lost, Corrupt):
                continue
            return self._content(status.data, place)
        return None

    def scan(self) -> dict[int, int | None]:
        """Model number by id of every servo on the wire that is set to this baud rate, expected or not."""
        return {servo: self.ping(servo) for servo in self._connected().scan(self.codec)}

    def read(self, register: str, motor: str, *, normalize: bool = True, num_retry: int = 0) -> float:
        """Value of a register.

        Raises:
            DeviceTimeout: no reply in time; BadReply: a damaged one, or the servo refuses or reports a fault.
            NotConnected: not connected, or the port is gone.
        """
        place, servo = self._place(register, motor), self._id(motor)
        status = self._attempt(
            lambda: self._connected().read(self.codec, servo, place.address, place.size),
            f"reading '{register}'",
            motor,
            num_retry,
        )
        self._note_fault(motor, status.error, refuse=True)
        value = self._decode(self._content(status.data, place), place)
        self._learn(register, motor, value)
        return self._to_user(register, motor, value, normalize)

    def write(self, register: str, motor: str, value: float, *, normalize: bool = True, num_retry: int = 0) -> None:
        """Write a register; the servo has acknowledged it on return. Raises as `read`."""
        error = self._write(register, motor, value, normalize, num_retry)
        self._note_fault(motor, error, refuse=True)

    def sync_read(
        self, register: str, motors: Sequence[str] | None = None, *, normalize: bool = True, num_retry: int = 0
    ) -> dict[str, float]:
        """Value of a register of several servos in one transaction; a retry asks only those that are missing.

        Servos whose protocol has no such transaction are asked one after the other.

        Raises:
            DeviceTimeout: names every motor that did not answer.
            NotConnected: not connected, or the port is gone.
        """
        names = list(self.motors if motors is None else motors)
        place = self._same_place(register, names)
        missing = [self.motors[name].id for name in names]
        replies: dict[int, Status] = {}
        for _ in range(num_retry + 1):
            found = self._connected().sync_read(self.codec, missing, place.address, place.size)
            replies |= found.replies
            missing = [servo for servo in missing if servo not in replies]
            if not missing:
                break
        else:
            lost = [name for name in names if self.motors[name].id in missing]
            raise self._no_reply(f"reading '{register}'", lost, num_retry)
        values = {}
        for name in names:
            status = replies[self.motors[name].id]
            self._note_fault(name, status.error)
            value = self._decode(self._content(status.data, place), place)
            self._learn(register, name, value)
            values[name] = self._to_user(register, name, value, normalize)
        return values

    def sync_write(self, register: str, values: Mapping[str, float], *, normalize: bool = True) -> None:
        """Write a register of several servos in one packet, which they do not acknowledge."""
        if not values:
            return
        place = self._same_place(register, list(values))
        contents = {
            self.motors[name].id: self._bytes(register, name, value, normalize) for name, value in values.items()
        }
        self._connected().sync_write(self.codec, place.address, contents)

    # --- torque -------------------------------------------------------------------------------------------------------

    def enable_torque(self, motors: Sequence[str] | None = None, *, num_retry: int = 0) -> None:
        """Hold positions; the EEPROM cannot be written from now on."""
        self._set_torque(motors, 1, num_retry)

    def disable_torque(self, motors: Sequence[str] | None = None, *, num_retry: int = 0) -> None:
        """Let go, and open the EEPROM for writing. Every motor is tried; the first error is raised at the end."""
        self._set_torque(motors, 0, num_retry)

    def _set_torque(self, motors: Sequence[str] | None, on: int, num_retry: int) -> None:
        errors: list[DeviceError] = []
        for name in self.motors if motors is None else motors:
            try:
                for register in self.family.torque:
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
        return bool(self.calibration) and not self._differences(self.calibration)

    def read_calibration(self) -> Calibration:
        """What the servos hold; what they have no register for is that of the present calibration."""
        known = self.calibration

        def stored(register: str, otherwise: str) -> dict[str, float]:
            having = [name for name in self.motors if register in self._model(name).registers]
            found = self.sync_read(register, having, normalize=False, num_retry=2) if having else {}
            return {n: found[n] if n in found else getattr(known.get(n), otherwise, 0) for n in self.motors}

        offsets, lows, highs = (
            stored(HOMING, "homing_offset"),
            stored(LOWEST, "range_min"),
            stored(HIGHEST, "range_max"),
        )
        modes = {name: known[name].drive_mode if name in known else 0 for name in self.motors}
        if self.family.keeps_drive_mode:
            modes = {name: int(mode) & INVERTED for name, mode in stored("Drive_Mode", "drive_mode").items()}
        return {
            name: MotorCalibration(
                id=motor.id,
                drive_mode=modes[name],
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
            if HOMING in self._model(name).registers:
                self.write(HOMING, name, motor.homing_offset, num_retry=2)
            self.write(LOWEST, name, motor.range_min, num_retry=2)
            self.write(HIGHEST, name, motor.range_max, num_retry=2)
            if self.family.keeps_drive_mode:
                mode = int(self.read("Drive_Mode", name, num_retry=2))
                self.write("Drive_Mode", name, mode & ~INVERTED | bool(motor.drive_mode), num_retry=2)
        self.calibration = dict(calibration)
        different = self._differences(calibration)
        if different:
            raise BadReply(
                f"the servos on '{self.config.port}' did not take the calibration: {'; '.join(different)}",
                device=self.config.port,
                hint="the EEPROM is locked while the torque is on: switch it off first",
            )

    def set_half_turn_homings(self) -> dict[str, int]:
        """Make the present position of every servo read as half a turn; returns the offsets. Forgets the calibration.

        A servo without a homing offset keeps its zero; its offset is 0.
        """
        self.calibration = {}
        homing = [name for name in self.motors if HOMING in self._model(name).registers]
        for name in self.motors:
            if name in homing:
                self.write(HOMING, name, 0, num_retry=2)
            self.write(LOWEST, name, 0, num_retry=2)
            self.write(HIGHEST, name, self.resolution(name) - 1, num_retry=2)
        offsets = dict.fromkeys(self.motors, 0)
        if homing:
            positions = self.sync_read("Present_Position", homing, normalize=False, num_retry=2)
            for name, position in positions.items():
                half_turn = half_turn_offset(int(position), self.resolution(name))
                offsets[name] = half_turn * -self.family.offset_sign
                self.write(HOMING, name, offsets[name], num_retry=2)
        return offsets

    def _differences(self, wanted: Mapping[str, MotorCalibration]) -> list[str]:
        found = self.read_calibration()
        different = differences(wanted, found)
        if self.family.keeps_drive_mode:
            different += [
                f"'{name}' has drive mode {found[name].drive_mode}, the file says {motor.drive_mode}"
                for name, motor in wanted.items()
                if name in found and bool(motor.drive_mode) != bool(found[name].drive_mode)
            ]
        return different

    # --- names --------------------------------------------------------------------------------------------------------

    def _connected(self) -> Wire:
        if self._wire is None:
            raise NotConnected(
                f"bus on '{self.config.port}' is not connected", device=self.config.port, hint="call connect() first"
            )
        return self._wire

    def _motor(self, name: str) -> Motor:
        if name not in self.motors:
            known = ", ".join(self.motors)
            raise DeviceError(f"no motor '{name}'{did_you_mean(name, self.motors)} (known: {known})", device=name)
        return self.motors[name]

    def _id(self, motor: str) -> int:
        return self._motor(motor).id

    def _model(self, motor: str) -> Model:
        return self.family.models[self._motor(motor).model]

    def _place(self, register: str, motor: str) -> Register:
        registers = self._model(motor).registers
        if register not in registers:
            raise DeviceError(
                f"no register '{register}' in '{self.motors[motor].model}'{did_you_mean(register, registers)}",
                device=motor,
                hint=f"names are in {self.family.name}/tables.py",
            )
        return registers[register]

    def _same_place(self, register: str, motors: Sequence[str]) -> Register:
        places = {self._place(register, motor)[:2] for motor in motors}
        if len(places) != 1:
            raise DeviceError(
                f"'{register}' of {', '.join(motors)} is not at one address: {sorted(places)}"
                if places
                else "no motors",
                device=self.config.port,
                hint="ask the motors of each kind apart",
            )
        return self._place(register, motors[0])

    def resolution(self, motor: str) -> int:
        """Ticks per turn."""
        return self._model(motor).resolution

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

    # --- values -------------------------------------------------------------------------------------------------------

    def _content(self, data: bytes, place: Register) -> int:
        return int.from_bytes(data[: place.size], self.codec.order)

    @staticmethod
    def _decode(content: int, place: Register) -> int:
        if place.sign is None:
            return content
        if place.sign == TWOS_COMPLEMENT:
            half = 1 << 8 * place.size - 1
            return content - 2 * half if content >= half else content
        return units.decode_sign_magnitude(content, place.sign)

    def _to_user(self, register: str, motor: str, raw: int, normalize: bool) -> float:
        if not (normalize and register in self.family.positions):
            return raw
        place, mode = self.calibrated(motor), self.motors[motor].norm_mode
        return units.to_user(
            raw,
            mode,
            place.range_min,
            place.range_max,
            inverted=self._inverted(place),
            resolution=self.resolution(motor),
        )

    def _inverted(self, calibration: MotorCalibration) -> bool:
        return bool(calibration.drive_mode) and not self.family.keeps_drive_mode

    def _bytes(self, register: str, motor: str, value: float, normalize: bool) -> bytes:
        place = self._place(register, motor)
        if not math.isfinite(value):
            raise DeviceError(
                f"'{register}' of '{motor}' cannot be {value}", device=motor, hint="what made this value?"
            )
        raw = int(value)
        if normalize and register in self.family.positions:
            known, mode = self.calibrated(motor), self.motors[motor].norm_mode
            ends, inverted = (known.range_min, known.range_max), self._inverted(known)
            raw = units.to_raw(value, mode, *ends, inverted=inverted, resolution=self.resolution(motor))
        bits = 8 * place.size
        if place.sign is None:
            lowest, highest = 0, (1 << bits) - 1
        elif place.sign == TWOS_COMPLEMENT:
            lowest, highest = -(1 << bits - 1), (1 << bits - 1) - 1
        else:
            highest = (1 << place.sign) - 1
            lowest = -highest
        if not lowest <= raw <= highest:
            raise DeviceError(
                f"'{register}' of '{motor}' cannot be {raw}: it takes {lowest} to {highest}", device=motor
            )
        if place.sign == TWOS_COMPLEMENT:
            raw &= (1 << bits) - 1
        elif place.sign is not None:
            raw = units.encode_sign_magnitude(raw, place.sign)
        return raw.to_bytes(place.size, self.codec.order)

    def _learn(self, register: str, motor: str, value: float) -> None:
        if register == "Return_Delay_Time":
            self._connected().delays[self.motors[motor].id] = value * self.family.return_delay_unit

    def _write(self, register: str, motor: str, value: float, normalize: bool, num_retry: int) -> int:
        place, servo = self._place(register, motor), self._id(motor)
        data = self._bytes(register, motor, value, normalize)
        status = self._attempt(
            lambda: self._connected().write(self.codec, servo, place.address, data),
            f"writing '{register}'",
            motor,
            num_retry,
        )
        if not self._refuses(status.error):
            self._learn(register, motor, value)
        return status.error

    # --- errors -------------------------------------------------------------------------------------------------------

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

    def _refuses(self, error: int) -> bool:
        """Whether the error byte of a reply makes it no answer to a read or a write."""
        return bool(error)

    def _fault_text(self, error: int) -> str:
        """The error byte of a reply in words."""
        return ", ".join(text for bit, text in self.family.faults.items() if error & bit) or f"bits {error:#x}"

    def _note_fault(self, motor: str, error: int, refuse: bool = False) -> None:
        refuse = refuse and self._refuses(error)
        if error and (refuse or error != self.faults.get(motor)):
            message = (
                f"'{motor}' (id {self.motors[motor].id}) on '{self.config.port}' reports {self._fault_text(error)}"
            )
            if refuse:
                raise BadReply(message, device=motor, hint="relieve the joint and switch its power off and on")
            logger.warning(message)
        if error or motor in self.faults:
            self.health.servo(self.motors[motor].id).fault = self._fault_text(error) if error else ""
            self.faults[motor] = error


def _protocol(family: Family, motors: Mapping[str, Motor], given: int | None) -> int:
    for name, motor in motors.items():
        if motor.model not in family.models:
            raise ConfigError(
                f"motor '{name}': no {family.name} model '{motor.model}'{did_you_mean(motor.model, family.models)}",
                hint=f"known are {', '.join(family.models)}",
            )
    spoken = {family.models[motor.model].protocol for motor in motors.values()}
    if given is not None:
        spoken.add(given)
    if len(spoken) > 1:
        raise ConfigError(
            f"a bus of {family.name} servos speaks one protocol, asked for {' and '.join(map(str, sorted(spoken)))}",
            hint="give the servos of each protocol a port of their own",
        )
    return spoken.pop() if spoken else min(family.codecs)
