"""The protocols servos speak: instruction packets in, status packets out. *Pure*: knows no pty, no clock and no motion.

Written from the servos' side and apart from the drivers' codecs, so that a mistake in one of them shows.
Source: Feetech's communication protocol manuals (SMS/STS, SCS series); ROBOTIS e-Manual, DYNAMIXEL Protocol 2.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, Protocol

from lerobot_motors.emulators.dynamixel import INSTRUCTION, LENGTH, RANGE, RESULT, DynamixelServo
from lerobot_motors.emulators.servo import Servo

BROADCAST = 0xFE
PING, READ, WRITE, REG_WRITE, ACTION, FACTORY_RESET, REBOOT = 1, 2, 3, 4, 5, 6, 8
STATUS, SYNC_READ, SYNC_WRITE, FAST_SYNC_READ, BULK_READ, BULK_WRITE = 0x55, 0x82, 0x83, 0x8A, 0x92, 0x93


class Answer(NamedTuple):
    """What a servo says to an instruction.

    Attributes:
        servo: who.
        error: what it refused, in bits or as a number.
        data: what was asked for.
    """

    servo: Servo
    error: int = 0
    data: bytes = b""


class Answers(NamedTuple):
    """The answers to an instruction, in their order.

    Attributes:
        each: one per servo that answers.
        how: `apart`, one after the other; `merged`, in one packet; `together`, at the same time.
        asked: how many servos a merged packet is for.
    """

    each: Sequence[Answer] = ()
    how: Literal["apart", "merged", "together"] = "apart"
    asked: int = 0


class Wire(Protocol):
    """A protocol, as servos speak it."""

    def split(self, buffer: bytearray) -> Iterator[bytes]:
        """Take whole instruction packets off the buffer; bytes that belong to none are dropped."""
        ...

    def hear(self, packet: bytes, servos: Sequence[Servo]) -> Answers:
        """What the servos do about an instruction, and what they answer."""
        ...

    def encode(self, number: int, error: int, data: bytes) -> bytes:
        """A status packet."""
        ...

    def merge(self, answers: Sequence[tuple[int, int, bytes]], missing: int) -> bytes:
        """Status packet of several servos, (id, error, data) each; it breaks off where `missing` more should follow."""
        ...


# --- Feetech ----------------------------------------------------------------------------------------------------------


#: Most bytes that fit a status packet.
LONGEST_READ = 253


def checksum(body: bytes) -> int:
    return ~sum(body) & 0xFF


class FeetechWire:
    """Protocols 0 and 1: `FF FF id length instruction … checksum`. They differ in what broadcasts can do.

    Args:
        version: 1 knows no sync read, and its servos answer a broadcast all at once.
    """

    def __init__(self, version: int) -> None:
        self._version = version

    def split(self, buffer: bytearray) -> Iterator[bytes]:
        while True:
            start = buffer.find(b"\xff\xff")
            if start < 0:
                del buffer[: max(0, len(buffer) - 1)]
                return
            del buffer[:start]
            if len(buffer) < 4:
                return
            size = buffer[3] + 4
            if buffer[2] == 0xFF or buffer[3] < 2:
                del buffer[:1]
            elif len(buffer) < size:
                return
            elif checksum(buffer[2 : size - 1]) == buffer[size - 1]:
                yield bytes(buffer[:size])
                del buffer[:size]
            else:
                del buffer[:1]

    def hear(self, packet: bytes, servos: Sequence[Servo]) -> Answers:
        target, instruction, data = packet[2], packet[4], packet[5:-1]
        if instruction == SYNC_READ and len(data) > 2:
            if self._version or data[1] > LONGEST_READ:
                return Answers()
            asked = [servo for number in data[2:] for servo in servos if servo.id == number]
            return Answers([Answer(servo, 0, servo.read(data[0], data[1])) for servo in asked])
        if instruction == SYNC_WRITE and len(data) > 2:
            address, size = data[0], data[1]
            for start in range(2, len(data) - size, size + 1):
                for servo in servos:
                    if servo.id == data[start]:
                        servo.write(address, data[start + 1 : start + 1 + size])
            return Answers()
        addressed = [servo for servo in servos if target in (servo.id, BROADCAST)]
        answers = [answer for servo in addressed if (answer := self._obey(servo, instruction, data)) is not None]
        if target == BROADCAST and instruction != PING:
            return Answers()
        return Answers(answers, "together" if target == BROADCAST and self._version else "apart")

    def _obey(self, servo: Servo, instruction: int, data: bytes) -> Answer | None:
        if instruction == PING:
            return Answer(servo)
        if instruction == READ and len(data) == 2 and data[1] <= LONGEST_READ:
            return Answer(servo, 0, servo.read(data[0], data[1]))
        if instruction == WRITE and len(data) > 1:
            servo.write(data[0], data[1:])
        elif instruction == REG_WRITE and len(data) > 1:
            servo.pending = (data[0], data[1:])
        elif instruction == ACTION:
            servo.act()
        else:
            return None
        return Answer(servo) if servo.get("Response_Status_Level") else None

    def encode(self, number: int, error: int, data: bytes) -> bytes:
        body = bytes([number, len(data) + 2, error]) + data
        return b"\xff\xff" + body + bytes([checksum(body)])

    def merge(self, answers: Sequence[tuple[int, int, bytes]], missing: int) -> bytes:
        return b"".join(self.encode(*answer) for answer in answers)


# --- Dynamixel --------------------------------------------------------------------------------------------------------

HEADER2 = b"\xff\xff\xfd\x00"
#: Longest length field that is believed: more than all ids of a sync write with 8 bytes each.
LONGEST = 4096


def _crc_of(byte: int) -> int:
    value = byte << 8
    for _ in range(8):
        value = (value << 1 ^ (0x8005 if value & 0x8000 else 0)) & 0xFFFF
    return value


_CRC = [_crc_of(byte) for byte in range(256)]


def crc16(data: bytes) -> int:
    """CRC-16/BUYPASS: polynomial 8005h, beginning with 0, most significant bit first."""
    value = 0
    for byte in data:
        value = (value << 8 & 0xFFFF) ^ _CRC[value >> 8 ^ byte]
    return value


def _word(data: bytes, place: int) -> int:
    return data[place] | data[place + 1] << 8


class DynamixelWire:
    """Protocol 2: `FF FF FD 00 id length(2) instruction … crc(2)`, with FD after every FF FF FD between length and CRC."""

    def split(self, buffer: bytearray) -> Iterator[bytes]:
        while True:
            start = buffer.find(HEADER2)
            if start < 0:
                del buffer[: max(0, len(buffer) - 3)]
                return
            del buffer[:start]
            if len(buffer) < 7:
                return
            size = 7 + _word(buffer, 5)
            if not 10 <= size <= LONGEST:
                del buffer[:1]
            elif len(buffer) < size:
                return
            elif crc16(buffer[: size - 2]) == _word(buffer, size - 2):
                yield bytes(buffer[:size])
                del buffer[:size]
            else:
                del buffer[:1]

    def hear(self, packet: bytes, servos: Sequence[Servo]) -> Answers:
        body = packet[7:-2].replace(b"\xff\xff\xfd\xfd", b"\xff\xff\xfd")
        target, instruction, data = packet[4], body[0], body[1:]
        known = [servo for servo in servos if isinstance(servo, DynamixelServo)]
        group = _GROUPS.get(instruction)
        if group is not None:
            return group(data, known) if target == BROADCAST and len(data) > 4 else Answers()
        addressed = [servo for servo in known if target == BROADCAST or servo.hears(target)]
        answers = []
        for servo in addressed:
            answer = _obey(servo, instruction, data)
            level = servo.get("Status_Return_Level")
            wanted = instruction == PING or level == 2 or (level == 1 and instruction == READ)
            if wanted and (target == servo.id or (target == BROADCAST and instruction == PING)):
                answers.append(answer)
        return Answers(answers)

    def encode(self, number: int, error: int, data: bytes) -> bytes:
        body = (bytes([STATUS, error]) + data).replace(b"\xff\xff\xfd", b"\xff\xff\xfd\xfd")
        packet = HEADER2 + bytes([number]) + (len(body) + 2).to_bytes(2, "little") + body
        return packet + crc16(packet).to_bytes(2, "little")

    def merge(self, answers: Sequence[tuple[int, int, bytes]], missing: int) -> bytes:
        """The length is known to the first servo; bytes are not stuffed, since that would change it."""
        size = len(answers[0][2]) + 4
        packet = HEADER2 + bytes([BROADCAST]) + (1 + size * (len(answers) + missing)).to_bytes(2, "little")
        packet += bytes([STATUS])
        for number, error, data in answers:
            packet += bytes([error, number]) + data
            packet += crc16(packet).to_bytes(2, "little")
        return packet


def _obey(servo: DynamixelServo, instruction: int, data: bytes) -> Answer:
    if instruction == PING:
        return Answer(servo, 0, servo.read(0, 2) + servo.read(6, 1))
    if instruction == READ:
        return _read(servo, _word(data, 0), _word(data, 2)) if len(data) == 4 else Answer(servo, LENGTH)
    if instruction == WRITE:
        return Answer(servo, servo.write(_word(data, 0), data[2:])) if len(data) > 2 else Answer(servo, LENGTH)
    if instruction == REG_WRITE:
        if len(data) <= 2:
            return Answer(servo, LENGTH)
        servo.pending = (_word(data, 0), data[2:])
        servo.show(Registered_Instruction=1)
        return Answer(servo)
    if instruction == ACTION:
        servo.show(Registered_Instruction=0)
        return Answer(servo, servo.act())
    if instruction == REBOOT:
        servo.restart()
        return Answer(servo)
    return Answer(servo, RESULT if instruction == FACTORY_RESET else INSTRUCTION)


def _read(servo: DynamixelServo, address: int, size: int) -> Answer:
    if address + size > len(servo.memory):
        return Answer(servo, RANGE)
    return Answer(servo, 0, servo.read(address, size))


def _sync_read(data: bytes, servos: Sequence[DynamixelServo]) -> Answers:
    address, size = _word(data, 0), _word(data, 2)
    return Answers(
        [_read(servo, address, size) for number in data[4:] for servo in _answering(servos) if servo.id == number]
    )


def _fast_sync_read(data: bytes, servos: Sequence[DynamixelServo]) -> Answers:
    address, size = _word(data, 0), _word(data, 2)
    found: list[Answer] = []
    for number in data[4:]:
        here = [servo for servo in _answering(servos) if servo.id == number]
        if not here:  # each waits for the one before it
            break
        found += [_read(servo, address, size) for servo in here]
    return Answers(found, "merged", len(data) - 4)


def _bulk_read(data: bytes, servos: Sequence[DynamixelServo]) -> Answers:
    asked = [data[start : start + 5] for start in range(0, len(data) - 4, 5)]
    return Answers(
        [
            _read(servo, _word(one, 1), _word(one, 3))
            for one in asked
            for servo in _answering(servos)
            if servo.id == one[0]
        ]
    )


def _sync_write(data: bytes, servos: Sequence[DynamixelServo]) -> Answers:
    address, size = _word(data, 0), _word(data, 2)
    for start in range(4, len(data) - size, size + 1):
        for servo in servos:
            if servo.hears(data[start]):
                servo.write(address, data[start + 1 : start + 1 + size])
    return Answers()


def _bulk_write(data: bytes, servos: Sequence[DynamixelServo]) -> Answers:
    start = 0
    while start + 5 < len(data):
        size = _word(data, start + 3)
        for servo in servos:
            if servo.hears(data[start]):
                servo.write(_word(data, start + 1), data[start + 5 : start + 5 + size])
        start += 5 + size
    return Answers()


def _answering(servos: Sequence[DynamixelServo]) -> list[DynamixelServo]:
    return [servo for servo in servos if servo.get("Status_Return_Level")]


_GROUPS: dict[int, Callable[[bytes, Sequence[DynamixelServo]], Answers]] = {
    SYNC_READ: _sync_read,
    SYNC_WRITE: _sync_write,
    FAST_SYNC_READ: _fast_sync_read,
    BULK_READ: _bulk_read,
    BULK_WRITE: _bulk_write,
}
