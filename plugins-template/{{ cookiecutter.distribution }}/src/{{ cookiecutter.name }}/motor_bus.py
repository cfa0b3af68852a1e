"""The motor bus: registers by name on one side, bytes on a wire on the other.

Nothing is inherited: it has the methods of `lerobot_core.roles.MotorBus`, so it is one. Knows nothing of robots.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lerobot_core.errors import DeviceError, DeviceTimeout, did_you_mean
from lerobot_core.guard import check_connected

from {{ cookiecutter.name }}.motor_bus_config import {{ cookiecutter.class_name }}MotorBusConfig

TICKS_PER_TURN = 4096


class Register(NamedTuple):
    """Where a value lies in a servo; an angle is read and written in degrees unless ticks are asked for."""

    address: int
    size: int
    signed: bool = False
    is_angle: bool = False


#: The control table, from the servo's datasheet.
REGISTERS = {
    "Model_Number": Register(0, 2),
    "Homing_Offset": Register(20, 2, signed=True),
    "Torque_Enable": Register(40, 1),
    "Goal_Position": Register(42, 2, is_angle=True),
    "Present_Position": Register(56, 2, is_angle=True),
}


class Wire:
    """Stand-in for the hardware, in memory: servos that jump to their goal. Replace it with packets on your port.

    Like real ones, servos keep their registers when the port is closed.
    """

    def __init__(self, ids: Iterable[int]) -> None:
        self.is_open = False
        self.unplugged: set[int] = set()
        self._memory = {number: bytearray(64) for number in ids}
        for number in self._memory:
            self.write(number, REGISTERS["Model_Number"].address, (777).to_bytes(2, "little"))
            self.write(number, REGISTERS["Goal_Position"].address, (TICKS_PER_TURN // 2).to_bytes(2, "little"))

    def open(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def read(self, number: int, address: int, size: int) -> bytes | None:
        """Bytes of a servo's memory, or None if it does not answer."""
        return bytes(self._memory[number][address : address + size]) if self._answers(number) else None

    def write(self, number: int, address: int, data: bytes) -> bool:
        """Set bytes of a servo's memory; False if it does not answer."""
        if not self._answers(number):
            return False
        self._memory[number][address : address + len(data)] = data
        if address == REGISTERS["Goal_Position"].address:
            self.write(number, REGISTERS["Present_Position"].address, data)
        return True

    def _answers(self, number: int) -> bool:
        return number in self._memory and number not in self.unplugged


class {{ cookiecutter.class_name }}MotorBus:
    """Servos by name. Angles are in degrees from the middle of the turn, or in ticks with `normalize=False`."""

    name = "{{ cookiecutter.name }}"

    def __init__(self, config: {{ cookiecutter.class_name }}MotorBusConfig) -> None:
        self.config = config
        self.motors = dict(config.motors)
        self.wire = Wire(self.motors.values())

    @property
    def is_connected(self) -> bool:
        return self.wire.is_open

    def connect(self, handshake: bool = True) -> None:
        """Open the port, and see that every servo answers; does nothing when it is open.

        Raises:
            DeviceTimeout: a servo does not answer.
        """
        if self.is_connected:
            return
        self.wire.open()
        missing = [motor for motor in self.motors if handshake and self.ping(motor) is None]
        if missing:
            self.wire.close()
            raise DeviceTimeout(
                f"no answer from {', '.join(missing)}", device=self.name, hint="check cables, power and ids"
            )

    def disconnect(self, disable_torque: bool = True) -> None:
        """Release the servos, unless told otherwise, and close the port; does nothing when it is closed."""
        if not self.is_connected:
            return
        try:
            if disable_torque:
                self.disable_torque()
        finally:
            self.wire.close()

    def ping(self, motor: str | int) -> int | None:
        """Model number of the servo of that name or id, or None if it does not answer."""
        check_connected(self)
        number = self._id(motor) if isinstance(motor, str) else motor
        register = REGISTERS["Model_Number"]
        data = self.wire.read(number, register.address, register.size)
        return None if data is None else int.from_bytes(data, "little")

    def read(self, register: str, motor: str, *, normalize: bool = True) -> float:
        """Value of one register of one servo.

        Raises:
            NotConnected: before `connect` or after `disconnect`.
            DeviceTimeout: the servo does not answer.
            DeviceError: there is no such servo or register.
        """
        check_connected(self)
        place = self._register(register)
        data = self.wire.read(self._id(motor), place.address, place.size)
        if data is None:
            raise self._silent(motor)
        ticks = int.from_bytes(data, "little", signed=place.signed)
        return (ticks - TICKS_PER_TURN / 2) * 360 / TICKS_PER_TURN if normalize and place.is_angle else ticks

    def write(self, register: str, motor: str, value: float, *, normalize: bool = True) -> None:
        """Set one register of one servo.

        Raises:
            NotConnected: before `connect` or after `disconnect`.
            DeviceTimeout: the servo does not answer.
            DeviceError: there is no such servo or register, or the value does not fit into it.
        """
        self.sync_write(register, {motor: value}, normalize=normalize)

    def sync_read(
        self, register: str, motors: Sequence[str] | None = None, *, normalize: bool = True
    ) -> dict[str, float]:
        """The same register of some servos, or of all; a real wire does it in one packet."""
        return {motor: self.read(register, motor, normalize=normalize) for motor in motors or self.motors}

    def sync_write(self, register: str, values: Mapping[str, float], *, normalize: bool = True) -> None:
        """The same register of several servos; a real wire does it in one packet. A bad value writes none of them."""
        check_connected(self)
        place = self._register(register)
        packet = {self._id(motor): self._encoded(register, motor, value, normalize) for motor, value in values.items()}
        for motor in values:
            if not self.wire.write(self.motors[motor], place.address, packet[self.motors[motor]]):
                raise self._silent(motor)

    def enable_torque(self, motors: Sequence[str] | None = None) -> None:
        self.sync_write("Torque_Enable", dict.fromkeys(motors or self.motors, 1))

    def disable_torque(self, motors: Sequence[str] | None = None) -> None:
        """Release some servos, or all. Each is tried, then the first failure is raised."""
        failures = []
        for motor in motors or self.motors:
            try:
                self.write("Torque_Enable", motor, 0)
            except DeviceError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]

    def read_calibration(self) -> dict[str, Any]:
        """What the servos know of their zero, by name."""
        return {motor: {"homing_offset": offset} for motor, offset in self.sync_read("Homing_Offset").items()}

    def write_calibration(self, calibration: Mapping[str, Any]) -> None:
        self.sync_write("Homing_Offset", {motor: values["homing_offset"] for motor, values in calibration.items()})

    def _encoded(self, register: str, motor: str, value: float, normalize: bool) -> bytes:
        place = REGISTERS[register]
        ticks = value * TICKS_PER_TURN / 360 + TICKS_PER_TURN / 2 if normalize and place.is_angle else value
        try:
            return round(ticks).to_bytes(place.size, "little", signed=place.signed)
        except (OverflowError, ValueError):  # the second is what a NaN gives
            raise DeviceError(
                f"{value:g} does not fit into '{register}' of '{motor}' ({place.size} bytes)", device=self.name
            ) from None

    def _id(self, motor: str) -> int:
        if motor not in self.motors:
            raise self._unknown("motor", motor, self.motors)
        return self.motors[motor]

    def _register(self, register: str) -> Register:
        if register not in REGISTERS:
            raise self._unknown("register", register, REGISTERS)
        return REGISTERS[register]

    def _unknown(self, what: str, asked: str, known: Iterable[str]) -> DeviceError:
        near = did_you_mean(asked, known)
        return DeviceError(f"no {what} '{asked}'{near} (known: {', '.join(known)})", device=self.name)

    def _silent(self, motor: str) -> DeviceTimeout:
        return DeviceTimeout(f"no answer from '{motor}'", device=self.name, hint="check its cable and its power")
