"""What is special to a maker's servos, as data: register tables, models, and the bytes of a wire protocol. *Pure.*

`SerialBus` does everything else for every family; a servo model is a row of a table, a protocol one `Codec`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

TWOS_COMPLEMENT: Literal["two's complement"] = "two's complement"

#: Highest id a servo can have, and the one that addresses all.
MAX_ID, BROADCAST = 253, 254


class Register(NamedTuple):
    """Where a value is and how it is written.

    Attributes:
        address: of its first byte.
        size: bytes.
        sign: the bit that is its sign (sign and magnitude), two's complement, or None: unsigned.
    """

    address: int
    size: int
    sign: int | Literal["two's complement"] | None = None


class Quantity(NamedTuple):
    """What a register counts in: so much of a unit."""

    scale: float
    unit: str


class Model(NamedTuple):
    """A servo model.

    Attributes:
        resolution: ticks per turn.
        number: what it answers a ping with; None for a series, whose models are all accepted.
        registers: its table.
        protocol: version of the wire protocol it speaks: 0 or 1 for Feetech, 2 for Dynamixel.
        quantities: what its registers count in, for those that count in anything.
    """

    resolution: int
    number: int | None
    registers: Mapping[str, Register]
    protocol: int
    quantities: Mapping[str, Quantity] = MappingProxyType({})


class Status(NamedTuple):
    """A whole status packet, its checksum verified.

    Attributes:
        id: of the servo.
        error: fault bits of the servo.
        data: parameters.
    """

    id: int
    error: int
    data: bytes


class Codec(Protocol):
    """The packets of a protocol. Data is in the byte order of the registers.

    Attributes:
        order: byte order of a register.
        overhead: bytes of a status packet around its data.
        groups: whether servos answer a sync read and a broadcast ping; else they are asked one after the other.
        silence: longest pause before the next reply to a broadcast ping [s].
    """

    order: Literal["little", "big"]
    overhead: int
    groups: bool
    silence: float

    def ping(self, servo: int) -> bytes: ...

    def read(self, servo: int, address: int, size: int) -> bytes: ...

    def write(self, servo: int, address: int, data: bytes) -> bytes: ...

    def sync_read(self, servos: Sequence[int], address: int, size: int) -> bytes: ...

    def sync_write(self, address: int, contents: Mapping[int, bytes]) -> bytes: ...

    def split(self, received: bytearray) -> Iterator[Status | None]:
        """Take whole status packets off the bytes received, in order; None for each damaged one. An unfinished packet stays."""
        ...


class Family(NamedTuple):
    """The servos of one maker.

    Attributes:
        name: as in `lr_motor_buses`.
        models: by name.
        codecs: protocol → its packets.
        baud_codes: content of Baud_Rate by baud rate.
        scan_bauds: rates a scan tries, the likeliest first.
        positions: registers whose values are converted to user units.
        torque: registers to write in order to hold (1) or let go (0).
        offset_sign: +1 where present = actual + Homing_Offset, −1 where present = actual − Homing_Offset.
        keeps_drive_mode: whether the servo itself inverts its direction; else the conversion does.
        faults: bit of `Status.error` or of the status register → what it means.
        watched: registers next to each other that `watch` reads in one transaction, the first and the last.
        return_delay_unit: what Return_Delay_Time counts [s].
        ram: first address after the EEPROM, which can be written only while the torque is off.
    """

    name: str
    models: Mapping[str, Model]
    codecs: Mapping[int, Codec]
    baud_codes: Mapping[int, int]
    scan_bauds: Sequence[int]
    positions: Sequence[str]
    torque: Sequence[str]
    offset_sign: Literal[-1, 1]
    keeps_drive_mode: bool
    faults: Mapping[int, str]
    watched: tuple[str, str]
    return_delay_unit: float
    ram: int


class Reading(NamedTuple):
    """The last value of a register that a servo gave.

    Attributes:
        value: in user units where it is a position and was asked for so; else as the register has it.
        stamp: when the transaction that brought it began, monotonic [ns].
        missed: transactions since, in which the servo gave none.
    """

    value: float
    stamp: int
    missed: int
