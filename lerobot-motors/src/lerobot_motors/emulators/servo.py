"""A servo: its registers, and where it is at a time. *Pure*: time is given, nothing is sent.

What a maker decides (which registers there are, what a write may do, what drives the motor) is in `feetech` and `dynamixel`.
Positions inside are those of the encoder; what registers show is `±encoder + offset`, as in the servo.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal, NamedTuple

from lerobot_motors.buses.family import TWOS_COMPLEMENT, Model
from lerobot_motors.emulators.motion import Ramp, Reach, Spin, Trapezoid
from lerobot_motors.units import decode_sign_magnitude, encode_sign_magnitude

#: Limits of the hand that moves a joint whose torque is off.
HAND_SPEED, HAND_ACCELERATION = 8000.0, 100_000.0
#: How a joint falls that nothing holds.
FALL_SPEED, FALL_ACCELERATION = 900.0, 3000.0
#: How far a joint sags under its full torque at the stiffness it comes with [ticks].
SAG = 60.0
#: How far beyond its range the stop of a joint is [ticks].
STOP = 30

Motion = Reach | Spin


class Joint(NamedTuple):
    """One servo of a chain, and the calibration in its EEPROM.

    Attributes:
        name: of the joint.
        id: of the servo.
        model: as in its family's table.
        homing_offset: [ticks].
        range_min: lower end of its range [ticks].
        range_max: upper end [ticks].
        mode: Operating_Mode in its EEPROM; None: that of the factory.
        weight: what it carries in the middle of its range, as a part of its torque; above 0 it pulls down
            the range.
        follows: id of the servo on the same axle, which it repeats the other way round.
    """

    name: str
    id: int
    model: str
    homing_offset: int = 0
    range_min: int = 0
    range_max: int = 4095
    mode: int | None = None
    weight: float = 0.0
    follows: int | None = None


class Servo(ABC):
    """What servos of all makers have in common.

    Args:
        joint: its row.
        model: its model.
        order: byte order of its registers.
        factory: what is in the memory of a new one where that is not 0.
        position: where it is at first, as its register shows it [ticks].

    Attributes:
        gravity: how much the joint weighs, 1 as on Earth.
        silent: neither hears nor answers.
        frozen: what it measures stays as it is.
        slowness: what it waits before each reply beyond its Return_Delay_Time [s].
        twin: how far away a second servo with the same id is [ticks]; None: there is none.
        pending: a registered write.
        resting: neither moves nor was written to since it was looked at.
    """

    #: What Return_Delay_Time counts [s].
    delay_unit = 2e-6
    #: Content of Baud_Rate → baud rate.
    bauds: Mapping[int, int] = {}
    #: Registers with the supply [0.1 V] and with what is wrong.
    supply, troubles = "Present_Voltage", "Status"

    def __init__(
        self, joint: Joint, model: Model, order: Literal["little", "big"], factory: Mapping[str, int], position: float
    ) -> None:
        self.joint, self.model, self.registers, self.order = joint, model, model.registers, order
        self.memory = bytearray(max(register.address + register.size for register in self.registers.values()))
        self.gravity, self.slowness = 0.0, 0.0
        self.silent = self.frozen = False
        self.twin: float | None = None
        self.pending: tuple[int, bytes] | None = None
        self._factory = factory
        self._encoder = self._velocity = 0.0
        self._motion: Trapezoid | Ramp | None = None
        self._wanted: Motion | None = None
        self._hand: float | None = None
        self.resting = False
        for name, value in {"Model_Number": model.number or 0, **factory, **self.calibration()}.items():
            self.put(name, value)
        self._shown = self.frame()
        self._place(position)
        self.put("Goal_Position", round(position))
        ends = (joint.range_min - STOP, joint.range_max + STOP)
        turning = joint.range_max - joint.range_min >= model.resolution - 1
        self._stops = None if turning else sorted(self.encoder(end) for end in ends)

    # --- what a maker decides -----------------------------------------------------------------------------------------

    @abstractmethod
    def calibration(self) -> dict[str, int]:
        """Registers that its row fills."""

    @abstractmethod
    def frame(self) -> tuple[int, int]:
        """(direction, offset): a register shows direction · encoder + offset."""

    @abstractmethod
    def wanted(self) -> Motion | None:
        """What its registers have it do while its torque is on, in encoder ticks."""

    @abstractmethod
    def measure(self, load: float) -> None:
        """Show position, velocity and load [‰ of its torque] in the registers."""

    @abstractmethod
    def write(self, address: int, data: bytes) -> int:
        """Write what may be written; returns how a reply says that it was refused, 0: it was not."""

    @abstractmethod
    def report(self, fault: int, on: bool) -> None:
        """Say with every reply that something is wrong, and protect itself; or no longer."""

    @abstractmethod
    def restart(self) -> None:
        """Lose power and get it back."""

    @property
    @abstractmethod
    def status(self) -> int:
        """Bits of the error byte of every reply."""

    # --- registers ----------------------------------------------------------------------------------------------------

    def get(self, name: str) -> int:
        """Value of a register."""
        address, size, sign = self.registers[name]
        content = self.memory[address : address + size]
        if sign == TWOS_COMPLEMENT:
            return int.from_bytes(content, self.order, signed=True)
        number = int.from_bytes(content, self.order)
        return number if sign is None else decode_sign_magnitude(number, sign)

    def put(self, name: str, value: int) -> None:
        """Set a register, locked or not."""
        address, size, sign = self.registers[name]
        if sign == TWOS_COMPLEMENT:
            content = value.to_bytes(size, self.order, signed=True)
        else:
            content = (value if sign is None else encode_sign_magnitude(value, sign)).to_bytes(size, self.order)
        self.memory[address : address + size] = content
        self.resting = False

    def show(self, **values: int) -> None:
        """Put measurements, which are no reason to look at the registers anew."""
        resting = self.resting
        for name, value in values.items():
            self.put(name, value)
        self.resting = resting

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the memory; zeros beyond its end."""
        return bytes(self.memory[address : address + size]).ljust(size, b"\0")

    def act(self) -> int:
        """Do the write that was registered."""
        if self.pending is None:
            return 0
        (address, data), self.pending = self.pending, None
        return self.write(address, data)

    @property
    def id(self) -> int:
        return self.memory[self.registers["ID"].address]

    @property
    def alarms(self) -> int:
        """What it says is wrong with it, in bits."""
        return self.get(self.troubles)

    @property
    def baud(self) -> int:
        return self.bauds.get(self.get("Baud_Rate"), 0)

    @property
    def return_delay(self) -> float:
        """Pause before a reply [s]."""
        return self.get("Return_Delay_Time") * self.delay_unit + self.slowness

    @property
    def torque(self) -> bool:
        return self.get("Torque_Enable") == 1

    # --- accidents ----------------------------------------------------------------------------------------------------

    def power_up(self, eeprom_end: int) -> None:
        """Forget everything beyond the EEPROM and begin anew."""
        self.memory[eeprom_end:] = bytes(len(self.memory) - eeprom_end)
        for name, value in self._factory.items():
            if self.registers[name].address >= eeprom_end:
                self.put(name, value)
        self.pending = None
        self._reframe()
        self._velocity = 0.0
        self.put("Goal_Position", round(self.position))

    def forget(self) -> None:
        """Lose the EEPROM but for id and baud rate."""
        kept = {"ID": self.id, "Baud_Rate": self.get("Baud_Rate")}
        for name in self.calibration():
            self.put(name, 0)
        for name, value in {**self._factory, **kept}.items():
            self.put(name, value)

    def set_baud(self, baud: int | None) -> None:
        """Be at another baud rate; None: at that of the factory."""
        codes = {rate: code for code, rate in self.bauds.items()}
        self.put("Baud_Rate", codes[1_000_000 if baud is None else baud])

    def heat(self, celsius: float | None) -> None:
        """Have a temperature; None: the usual."""
        usual = self._factory["Present_Temperature"]
        self.show(Present_Temperature=usual if celsius is None else round(celsius))

    def feed(self, volts: float | None) -> None:
        """Have a supply; None: the usual."""
        self.show(**{self.supply: self._factory[self.supply] if volts is None else round(volts * 10)})

    def jump(self, ticks: float) -> None:
        """Move the encoder, but not the joint."""
        self._encoder += ticks * self._shown[0]
        self._motion = self._wanted = None
        self.resting = False

    # --- motion -------------------------------------------------------------------------------------------------------

    @property
    def position(self) -> float:
        """Where it is, as its register shows it but between the ticks too."""
        direction, offset = self._shown
        return direction * self._encoder + offset

    def encoder(self, position: float) -> float:
        """Encoder ticks at what a register shows."""
        direction, offset = self._shown
        return direction * (position - offset)

    def middle(self) -> tuple[float, float]:
        """(middle, half width) of its range [ticks]."""
        low, high = self.get("Min_Position_Limit"), self.get("Max_Position_Limit")
        return (low + high) / 2, (high - low) / 2

    def update(self, now: float, hand: float | None) -> None:
        """Move to where it is at `now` [s]; `hand` is where a hand would have it [ticks], None lets go."""
        if self.resting and hand == self._hand:
            return
        self._hand, self.resting = hand, True
        if self._motion is not None:
            self._encoder, self._velocity = self._motion.at(now)
        if self.frame() != self._shown:
            self._reframe()
        wanted = self._pulled(self.wanted()) if self.torque else self._free(hand)
        wanted = self._stopped(wanted)
        if wanted != self._wanted:
            self._wanted = wanted
            self._velocity = self._velocity if wanted is not None else 0.0
            self._motion = wanted.begin(now, self._encoder, self._velocity) if wanted is not None else None
        self.resting = self._at_rest()
        if not self.frozen:
            self.measure(self.load)

    def beside(self, other: Servo) -> None:
        """Be where another servo on the same axle is, turned round."""
        self._encoder, self._velocity = -other._encoder, -other._velocity
        self._motion = self._wanted = None
        if not self.frozen:
            self.measure(self.load)

    def _at_rest(self) -> bool:
        if self._velocity:
            return False
        return self._wanted is None or (isinstance(self._wanted, Reach) and self._wanted.goal == self._encoder)

    def _place(self, position: float) -> None:
        direction, offset = self._shown
        self._encoder = direction * (position - offset)

    def _reframe(self) -> None:
        """Count from where the registers now say, within the first turn."""
        before, self._shown = self._encoder, self.frame()
        self._place(self.within_turn(self.position))
        if self._stops is not None:  # whole turns, by which the stops move in the encoder's count
            self._stops = [stop + self._encoder - before for stop in self._stops]
        self._motion = self._wanted = None

    def within_turn(self, position: float) -> float:
        """What it shows of a position after its offset or direction has changed."""
        return position % self.model.resolution

    def _free(self, hand: float | None) -> Motion | None:
        if hand is not None:
            return Reach(self.encoder(hand), HAND_SPEED, HAND_ACCELERATION)
        if self.gravity and self.joint.weight and self._stops is not None:
            down = self._stops[0 if self.joint.weight * self._shown[0] > 0 else 1]
            return Reach(down, FALL_SPEED * math.sqrt(self.gravity), FALL_ACCELERATION * self.gravity)
        return None

    def _pulled(self, wanted: Motion | None) -> Motion | None:
        """Gravity bends what a controller without an integral part can hold."""
        pull = self._pull()
        if not pull or not isinstance(wanted, Reach):
            return wanted
        return wanted._replace(goal=wanted.goal - pull * SAG / self.stiffness)

    @property
    def stiffness(self) -> float:
        """How stiff it holds, 1 as it comes; infinite with an integral part."""
        return 1.0

    def _pull(self) -> float:
        """What the joint's weight asks of the motor, as a part of its torque, in the direction of the encoder."""
        if not (self.gravity and self.joint.weight):
            return 0.0
        middle, _ = self.middle()
        angle = (self.position - middle) * 2 * math.pi / self.model.resolution
        return self.gravity * self.joint.weight * math.cos(angle) * self._shown[0]

    def _stopped(self, wanted: Motion | None) -> Motion | None:
        """What turns without a goal ends at the joint's stops."""
        if self._stops is None or not isinstance(wanted, Spin):
            return wanted
        low, high = self._stops
        if (self._encoder >= high and wanted.velocity > 0) or (self._encoder <= low and wanted.velocity < 0):
            self._encoder, self._velocity = min(max(self._encoder, low), high), 0.0
            return Spin(0.0, wanted.acceleration)
        return wanted

    @property
    def load(self) -> float:
        """What the motor does [‰ of its torque], positive in the direction of its register."""
        if not self.torque or self._wanted is None:
            return 0.0
        error = self._wanted.goal - self._encoder if isinstance(self._wanted, Reach) else 0.0
        load = self._shown[0] * (error + self._velocity / 20 + 1000 * self._pull())
        return max(-1000.0, min(1000.0, load))
