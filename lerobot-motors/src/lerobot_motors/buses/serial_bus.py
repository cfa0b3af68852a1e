"""Servos on one serial port by name: registers, torque, calibration. Knows no robots and no prompts.

What differs between makers is data (`family.Family`) and the few methods that a family's bus overrides: `_check_servos`,
`_refuses`, `_fault_text`.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol, TypeVar

from lerobot_core.errors import BadReply, ConfigError, DeviceError, DeviceTimeout, NotConnected, did_you_mean
from lerobot_motors import units
from lerobot_motors.buses import stored
from lerobot_motors.buses.diagnosis import likely_cause
from lerobot_motors.buses.family import Codec, Family, Model, Reading, Register, Status
from lerobot_motors.buses.health import BusHealth
from lerobot_motors.buses.recent import Recent, Seen
from lerobot_motors.buses.values import decode, decoder, encode, limits
from lerobot_motors.buses.wire import Corrupt, Lost, Wire
from lerobot_motors.calibration import Calibration, Motor, MotorCalibration

#: How often a servo is asked again for what is read or written once, outside a loop: a lost packet is no reason to stop.
RETRIES = 5
CABLES = "check the power, the cables and the id of that servo"
#: What servos measure of themselves beside their motion, by the names of the families; voltages are in 0.1 V.
VOLTAGES, TEMPERATURE, STATUS = ("Present_Voltage", "Present_Input_Voltage"), "Present_Temperature", "Status"

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

    #: how transactions are made; a family may have its own
    wire: ClassVar[type[Wire]] = Wire

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
        self._recent = Recent()
        self._plans: dict[tuple[str, tuple[str, ...]], tuple[Register, tuple[int, ...]]] = {}

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
        self._recent = Recent()
        self._plans.clear()
        self._wire = self.wire(self.config.port, self.config.baudrate, self.config.slack_ms, self.health)
        try:
            if handshake:
                with self._wire.patient():
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
                self.disable_torque()
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
                self.read("Return_Delay_Time", name)  # sets the deadline of its replies
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
            return decode(status.data, place, self.codec.order)
        return None

    def scan(self) -> dict[int, int | None]:
        """Model number by id of every servo on the wire that is set to this baud rate, expected or not."""
        return {servo: self.ping(servo) for servo in self._connected().scan(self.codec)}

    def read(self, register: str, motor: str, *, normalize: bool = True, num_retry: int = RETRIES) -> float:
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
        value = decode(status.data, place, self.codec.order)
        self._learn(register, motor, value)
        return self._to_user(register, motor, value, normalize)

    def write(
        self, register: str, motor: str, value: float, *, normalize: bool = True, num_retry: int = RETRIES
    ) -> None:
        """Write a register; the servo has acknowledged it on return. Raises as `read`."""
        error = self._write(register, motor, value, normalize, num_retry)
        self._note_fault(motor, error, refuse=True)

    def sync_read(
        self, register: str, motors: Sequence[str] | None = None, *, normalize: bool = True, num_retry: int = RETRIES
    ) -> dict[str, float]:
        """Value of a register of several servos in one transaction; a retry asks only those that are missing.

        Servos whose protocol has no such transaction are asked one after the other.

        Raises:
            DeviceTimeout: names every motor that did not answer.
            NotConnected: not connected, or the port is gone.
        """
        names = tuple(self.motors if motors is None else motors)
        if not names:
            return {}
        place, ids = self._plan(register, names)
        missing: Sequence[int] = ids
        replies: dict[int, Status] = {}
        for _ in range(num_retry + 1):
            found = self._connected().sync_read(self.codec, missing, place.address, place.size)
            replies |= found.replies
            missing = [servo for servo in missing if servo not in replies]
            if not missing:
                break
        else:
            lost = [name for name in names if self.motors[name].id in missing]
            raise self._no_reply(f"reading '{register}'", lost, num_retry, names)
        values = {}
        for name in names:
            status = replies[self.motors[name].id]
            self._note_fault(name, status.error)
            value = decode(status.data, place, self.codec.order)
            self._learn(register, name, value)
            values[name] = self._to_user(register, name, value, normalize)
        return values

    def sync_write(self, register: str, values: Mapping[str, float], *, normalize: bool = True) -> None:
        """Write a register of several servos in one packet, which they do not acknowledge."""
        if not values:
            return
        place, ids = self._plan(register, tuple(values))
        each = zip(ids, values.items(), strict=True)
        contents = {servo: self._bytes(register, name, value, normalize) for servo, (name, value) in each}
        self._connected().sync_write(self.codec, place.address, contents)

    # --- again and again ----------------------------------------------------------------------------------------------

    def latest(
        self, register: str, motors: Sequence[str] | None = None, *, normalize: bool = True, num_retry: int = 0
    ) -> dict[str, Reading]:
        """The last value of a register that each servo gave, asked for now: for loops.

        A reply that does not come or comes damaged is the miss of its servo: its last value stays, with the stamp it had.

        Args:
            num_retry: how often those that are missing are asked again; together it may take 0.7 ms longer.

        Raises:
            DeviceTimeout: a servo never answered, or has been silent for longer than `config.patience_s`.
            NotConnected: not connected, or the port is gone.
        """
        names = tuple(self.motors if motors is None else motors)
        place, ids = self._plan(register, names)
        seen = self._ask(f"reading '{register}'", names, ids, place.address, place.size, num_retry)
        convert, number = normalize and register in self.family.positions, decoder(place, self.codec.order)
        readings = {}
        for name, servo in zip(names, ids, strict=True):
            status, stamp, missed = seen[servo]
            value: float = number(status.data)
            readings[name] = Reading(self._to_user(register, name, value) if convert else value, stamp, missed)
        return readings

    def read_block(
        self,
        first: str,
        last: str,
        motors: Sequence[str] | None = None,
        *,
        normalize: bool = True,
        num_retry: int = 0,
    ) -> dict[str, dict[str, Reading]]:
        """Every register from the `first` to the `last` in one transaction, by motor and register. Otherwise as `latest`."""
        names = tuple(self.motors if motors is None else motors)
        start, ids = self._plan(first, names)
        place, _ = self._plan(last, names)
        size = place.address + place.size - start.address
        seen = self._ask(f"reading '{first}' to '{last}'", names, ids, start.address, size, num_retry)
        return {
            name: self._values(name, start.address, size, seen[servo], normalize)
            for name, servo in zip(names, ids, strict=True)
        }

    def watch(
        self, motors: Sequence[str] | None = None, *, normalize: bool = True, num_retry: int = 0
    ) -> dict[str, dict[str, Reading]]:
        """Position, velocity, load, voltage, temperature and what else lies there, in one transaction. Otherwise as `latest`.

        Voltage, temperature and faults are kept in `health`.
        """
        found = self.read_block(*self.family.watched, motors, normalize=normalize, num_retry=num_retry)
        for name, values in found.items():
            servo = self.health.servo(self.motors[name].id)
            for voltage in VOLTAGES:
                if voltage in values:
                    servo.voltage = values[voltage].value / 10
            if TEMPERATURE in values:
                servo.temperature = values[TEMPERATURE].value
            if STATUS in values:
                self._note_fault(name, int(values[STATUS].value))
        return found

    def _ask(
        self, doing: str, names: Sequence[str], ids: Sequence[int], address: int, size: int, num_retry: int
    ) -> dict[int, Seen]:
        seen = self._recent.ask(self._connected(), self.codec, ids, address, size, num_retry)
        silent = self._recent.silent
        if self.faults or self._recent.faulty:
            for name, servo in zip(names, ids, strict=True):
                if servo in seen and not seen[servo][2]:
                    self._note_fault(name, seen[servo][0].error)
        if silent:
            now = time.monotonic()
            gone = [s for s in ids if s not in seen or (s in silent and now - silent[s].since > self.config.patience_s)]
            if gone:
                raise self._gone(doing, names, gone, now)
        return seen

    def _gone(self, doing: str, names: Sequence[str], ids: Sequence[int], now: float) -> DeviceTimeout:
        chain, silent = {self.motors[name].id: name for name in names}, self._recent.silent
        each = ", ".join(f"'{chain[servo]}' (id {servo}) for {now - silent[servo].since:.1f} s" for servo in ids)
        damaged = [servo for servo in ids if silent[servo].damaged]
        return DeviceTimeout(
            f"no reply on '{self.config.port}' {doing} from {each}",
            device=self.config.port,
            hint=likely_cause(chain, [servo for servo in chain if servo in silent], damaged),
        )

    def _values(self, motor: str, start: int, size: int, seen: Seen, normalize: bool) -> dict[str, Reading]:
        values, (status, stamp, missed) = {}, seen
        for register, place in self._model(motor).registers.items():
            offset = place.address - start
            if offset >= 0 and offset + place.size <= size:
                raw = decode(status.data[offset:], place, self.codec.order)
                user = self._to_user(register, motor, raw, normalize)
                values[register] = Reading(user, stamp, missed)
        return values

    # --- torque -------------------------------------------------------------------------------------------------------

    def enable_torque(self, motors: Sequence[str] | None = None, *, num_retry: int = RETRIES) -> None:
        """Hold positions; the EEPROM cannot be written from now on."""
        self._set_torque(motors, 1, num_retry)

    def disable_torque(self, motors: Sequence[str] | None = None, *, num_retry: int = RETRIES) -> None:
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
        return bool(self.calibration) and not stored.compare(self, self.calibration)

    def read_calibration(self) -> Calibration:
        """What the servos hold; what they have no register for is that of the present calibration."""
        return stored.read(self)

    def write_calibration(self, calibration: Mapping[str, MotorCalibration]) -> None:
        """Store in the servos, and use from now on. Needs the torque off: the EEPROM is locked while it is on.

        Raises:
            BadReply: the EEPROM of a servo is closed, or it does not hold it afterwards.
        """
        stored.write(self, calibration)

    def set_half_turn_homings(self) -> dict[str, int]:
        """Make the present position of every servo read as half a turn; returns the offsets. Forgets the calibration.

        A servo without a homing offset keeps its zero; its offset is 0. Needs the torque off, and raises, as `write_calibration`.
        """
        self.calibration = {}
        return stored.half_turn(self)

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

    def _plan(self, register: str, motors: tuple[str, ...]) -> tuple[Register, tuple[int, ...]]:
        """Where the register is in all of these motors, and their ids."""
        plan = self._plans.get((register, motors))
        if plan is None:
            plan = self._same_place(register, motors), tuple(self._id(motor) for motor in motors)
            self._plans[register, motors] = plan
        return plan

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

    def has(self, register: str, motor: str) -> bool:
        """Whether the motor's model has the register."""
        return register in self._model(motor).registers

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

    def _to_user(self, register: str, motor: str, raw: int, normalize: bool = True) -> float:
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
        lowest, highest = limits(place)
        if not lowest <= raw <= highest:
            raise DeviceError(
                f"'{register}' of '{motor}' cannot be {raw}: it takes {lowest} to {highest}", device=motor
            )
        return encode(raw, place, self.codec.order)

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

    def _no_reply(self, doing: str, motors: Sequence[str], num_retry: int, asked: Sequence[str] = ()) -> DeviceTimeout:
        chain = {self.motors[name].id: name for name in asked or motors}
        hint = likely_cause(chain, [self.motors[name].id for name in motors])
        names = ", ".join(f"'{name}' (id {self.motors[name].id})" for name in motors)
        tries = f" in {num_retry + 1} attempts" if num_retry else ""
        return DeviceTimeout(
            f"no reply from {names} on '{self.config.port}' {doing}{tries}", device=self.config.port, hint=hint
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
