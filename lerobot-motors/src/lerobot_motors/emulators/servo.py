"""One STS3215: its registers, and where it is at a time. *Pure*: time is given, nothing is sent.

Positions inside are those of the encoder; what registers show is `encoder − Homing_Offset`, as in the servo.
"""

from __future__ import annotations

from typing import NamedTuple

from lerobot_motors.buses.feetech.tables import BAUD_CODES, MODELS, RAM, REGISTERS, RETURN_DELAY_UNIT
from lerobot_motors.emulators.motion import Trapezoid
from lerobot_motors.units import decode_sign_magnitude, encode_sign_magnitude

TURN = 4096
MEMORY_SIZE = 87
#: Fastest a servo goes [ticks/s]: an arm under load crosses 90° in about 0.6 s.
SPEED = 2200.0
#: What Acceleration counts in, and its largest value; 0 asks for that one too (STS3215 memory table) [ticks/s²].
ACCELERATION_UNIT, ACCELERATION_MAX = 100.0, 254
#: Limits of the hand that moves a joint whose torque is off.
HAND_SPEED, HAND_ACCELERATION = 8000.0, 100_000.0
#: Addresses nothing can be written to: the servo's identity and what it measures.
READ_ONLY = {*range(5), *range(56, 71)}
BAUDS = {code: baud for baud, code in BAUD_CODES.items()}

#: What is in the memory of a new servo where that is not 0.
FACTORY = {
    "Firmware_Major_Version": 3,
    "Firmware_Minor_Version": 10,
    "Model_Number": MODELS["sts3215"].number or 0,
    "Return_Delay_Time": 250,
    "Response_Status_Level": 1,
    "Max_Position_Limit": TURN - 1,
    "Max_Temperature_Limit": 70,
    "Max_Voltage_Limit": 80,
    "Min_Voltage_Limit": 40,
    "Max_Torque_Limit": 1000,
    "Phase": 12,
    "P_Coefficient": 32,
    "D_Coefficient": 32,
    "Torque_Limit": 1000,
    "Lock": 1,
    "Present_Voltage": 74,
}


class Home(NamedTuple):
    """The calibration a servo leaves the factory of arms with [ticks]."""

    homing_offset: int
    range_min: int
    range_max: int


class Servo:
    """A servo at an id.

    Args:
        number: its id.
        home: the calibration in its EEPROM.
        position: where it is at first, as its register shows it [ticks].
    """

    def __init__(self, number: int, home: Home, position: float) -> None:
        self.memory = bytearray(MEMORY_SIZE)
        self._pending: tuple[int, bytes] | None = None
        for name, value in FACTORY.items():
            self.put(name, value)
        self.put("ID", number)
        self.put("Homing_Offset", home.homing_offset)
        self.put("Min_Position_Limit", home.range_min)
        self.put("Max_Position_Limit", home.range_max)
        self.put("Goal_Position", round(position))
        self.put("Present_Temperature", 30 + number)
        self._offset = home.homing_offset
        self._encoder = position + home.homing_offset
        self._velocity = 0.0
        self._motion: Trapezoid | None = None
        self._limits: tuple[float, float, float] | None = None

    # --- registers ----------------------------------------------------------------------------------------------------

    def get(self, name: str) -> int:
        """Value of a register."""
        address, size, bit = REGISTERS[name]
        content = int.from_bytes(self.memory[address : address + size], "little")
        return content if bit is None else decode_sign_magnitude(content, bit)

    def put(self, name: str, value: int) -> None:
        """Set a register, locked or not."""
        address, size, bit = REGISTERS[name]
        content = value if bit is None else encode_sign_magnitude(value, bit)
        self.memory[address : address + size] = content.to_bytes(size, "little")

    @property
    def id(self) -> int:
        return self.memory[REGISTERS["ID"].address]

    @property
    def baud(self) -> int:
        return BAUDS.get(self.get("Baud_Rate"), 0)

    @property
    def return_delay(self) -> float:
        """Pause before a reply [s]."""
        return self.get("Return_Delay_Time") * RETURN_DELAY_UNIT

    @property
    def torque(self) -> bool:
        return self.get("Torque_Enable") == 1

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the memory; zeros beyond its end."""
        return bytes(self.memory[address : address + size]).ljust(size, b"\0")

    def write(self, address: int, data: bytes) -> None:
        """Write what may be written: the EEPROM only while Lock is 0."""
        locked = self.get("Lock") == 1
        for place, value in enumerate(data, start=address):
            if place < MEMORY_SIZE and place not in READ_ONLY and not (locked and place < RAM):
                self.memory[place] = value

    def prepare(self, address: int, data: bytes) -> None:
        """Keep a write until `act`."""
        self._pending = (address, data)

    def act(self) -> None:
        if self._pending is not None:
            self.write(*self._pending)
            self._pending = None

    # --- motion -------------------------------------------------------------------------------------------------------

    @property
    def position(self) -> float:
        """Where it is, as its register shows it but between the ticks too."""
        return self._encoder - self._offset

    def middle(self) -> tuple[float, float]:
        """(middle, half width) of its range [ticks]."""
        low, high = self.get("Min_Position_Limit"), self.get("Max_Position_Limit")
        return (low + high) / 2, (high - low) / 2

    def update(self, now: float, hand: float | None) -> None:
        """Move to where it is at `now` [s]; `hand` is where a hand would have it [ticks], None lets go."""
        if self._motion is not None:
            self._encoder, self._velocity = self._motion.at(now)
        self._rehome()
        limits = self._drive(hand)
        if limits != self._limits:
            self._limits = limits
            self._velocity = self._velocity if limits is not None else 0.0
            self._motion = Trapezoid(now, self._encoder, self._velocity, *limits) if limits is not None else None
        self._show()

    def _rehome(self) -> None:
        offset = self.get("Homing_Offset")
        if offset != self._offset:
            self._offset = offset
            self._encoder = offset + (self._encoder - offset) % TURN
            self._motion, self._limits = None, None

    def _drive(self, hand: float | None) -> tuple[float, float, float] | None:
        """(goal of the encoder, speed, acceleration), or None where nothing moves it."""
        if not self.torque:
            return None if hand is None else (hand + self._offset, HAND_SPEED, HAND_ACCELERATION)
        low, high = self.get("Min_Position_Limit"), self.get("Max_Position_Limit")
        goal = min(max(self.get("Goal_Position"), low), high) if low < high else self.get("Goal_Position")
        speed = min(abs(self.get("Goal_Velocity")) or SPEED, SPEED)
        acceleration = min(self.get("Acceleration") or ACCELERATION_MAX, ACCELERATION_MAX) * ACCELERATION_UNIT
        return goal + self._offset, speed, acceleration

    def _show(self) -> None:
        velocity = round(self._velocity)
        self.put("Present_Position", round(self.position) % TURN)
        self.put("Present_Velocity", velocity)
        self.put("Moving", int(velocity != 0))
        load = 0
        if self.torque and self._limits is not None:
            error = self._limits[0] - self._encoder
            load = max(-1000, min(1000, round(error + self._velocity / 20)))
        self.put("Present_Load", load)
        self.put("Present_Current", abs(load) // 6)
