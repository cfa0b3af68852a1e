"""Servos on one wire: instruction packets in, status packets out, protocol 0. *Pure*: knows no pty and no clock.

Source: Feetech's communication protocol manual (SMS/STS series).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lerobot_motors.emulators.servo import Servo

HEADER = b"\xff\xff"
BROADCAST = 0xFE
PING, READ, WRITE, REG_WRITE, ACTION, SYNC_READ, SYNC_WRITE = 1, 2, 3, 4, 5, 0x82, 0x83


class Faults(NamedTuple):
    """What goes wrong on purpose: every Nth reply is lost, damaged or late (0: none), and some ids never answer."""

    drop: int = 0
    corrupt: int = 0
    late: int = 0
    dead: tuple[int, ...] = ()


class Reply(NamedTuple):
    """A status packet, the pause of the servo before it [s], and whether it comes late."""

    packet: bytes
    delay: float
    late: bool


def split(buffer: bytearray) -> Iterator[bytes]:
    """Take whole instruction packets off the buffer; bytes that belong to none are dropped."""
    while True:
        start = buffer.find(HEADER)
        if start < 0:
            del buffer[: max(0, len(buffer) - 1)]
            return
        del buffer[:start]
        if len(buffer) < 4:
            return
        if buffer[2] == 0xFF or buffer[3] < 2:
            del buffer[:1]
            continue
        size = buffer[3] + 4
        if len(buffer) < size:
            return
        packet = bytes(buffer[:size])
        if checksum(packet[2:-1]) == packet[-1]:
            del buffer[:size]
            yield packet
        else:
            del buffer[:1]


def checksum(body: bytes) -> int:
    return ~sum(body) & 0xFF


class Chain:
    """Servos that hear the same packets."""

    def __init__(self, servos: Sequence[Servo], faults: Faults = Faults()) -> None:
        self.servos = list(servos)
        self._faults = faults
        self._replies = 0

    def handle(self, packet: bytes, baud: int) -> list[Reply]:
        """The replies to a packet in their order, from the servos that listen at that baud rate."""
        target, instruction, data = packet[2], packet[4], packet[5:-1]
        heard = [servo for servo in self.servos if servo.baud == baud and servo.id not in self._faults.dead]
        if instruction == SYNC_READ and len(data) > 2:
            asked = [servo for number in data[2:] for servo in heard if servo.id == number]
            return self._answer((servo, servo.read(data[0], data[1])) for servo in asked)
        if instruction == SYNC_WRITE and len(data) > 2:
            self._sync_write(heard, data)
            return []
        addressed = [servo for servo in heard if target in (servo.id, BROADCAST)]
        answers = [(servo, body) for servo in addressed if (body := self._obey(servo, instruction, data)) is not None]
        silent = target == BROADCAST and instruction != PING
        return [] if silent else self._answer(iter(answers))

    def _obey(self, servo: Servo, instruction: int, data: bytes) -> bytes | None:
        """Data of the reply; None where there is none."""
        if instruction == PING:
            return b""
        if instruction == READ and len(data) == 2:
            return servo.read(data[0], data[1])
        if instruction == WRITE and len(data) > 1:
            servo.write(data[0], data[1:])
        elif instruction == REG_WRITE and len(data) > 1:
            servo.prepare(data[0], data[1:])
        elif instruction == ACTION:
            servo.act()
        else:
            return None
        return b"" if servo.get("Response_Status_Level") else None

    def _sync_write(self, heard: Sequence[Servo], data: bytes) -> None:
        address, size = data[0], data[1]
        for start in range(2, len(data) - size, size + 1):
            for servo in heard:
                if servo.id == data[start]:
                    servo.write(address, data[start + 1 : start + 1 + size])

    def _answer(self, answers: Iterator[tuple[Servo, bytes]]) -> list[Reply]:
        replies = []
        for servo, data in answers:
            self._replies += 1
            body = bytes([servo.id, len(data) + 2, 0]) + data
            check = checksum(body) ^ (0x55 if self._due(self._faults.corrupt) else 0)
            if not self._due(self._faults.drop):
                packet = HEADER + body + bytes([check])
                replies.append(Reply(packet, servo.return_delay, self._due(self._faults.late)))
        return replies

    def _due(self, every: int) -> bool:
        return every > 0 and self._replies % every == 0
