"""The packets of Dynamixel protocol 2.0. *Pure*: knows no registers and no ports.

Source: ROBOTIS e-Manual, "DYNAMIXEL Protocol 2.0": packet, CRC-16, byte stuffing, instructions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from lerobot_motors.buses.family import BROADCAST, Status

HEADER = b"\xff\xff\xfd\x00"
PING, READ, WRITE, REBOOT, STATUS = 0x01, 0x02, 0x03, 0x08, 0x55
SYNC_READ, SYNC_WRITE, FAST_SYNC_READ = 0x82, 0x83, 0x8A
#: Header, id and length; instruction or error; CRC.
HEAD, CHECK = 7, 2
#: Longest packet a length is believed of, counted as the length is; a fast reply of 253 servos with 8 bytes each.
LONGEST = 1 + 253 * (2 + 8 + CHECK)


def _table() -> tuple[int, ...]:
    made = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x8005 if crc & 0x8000 else crc << 1) & 0xFFFF
        made.append(crc)
    return tuple(made)


_CRC = _table()


def crc16(data: bytes | bytearray, crc: int = 0) -> int:
    """CRC-16 of the protocol (polynomial 0x8005, most significant bit first), going on from `crc`."""
    table = _CRC
    for byte in data:
        crc = (crc << 8 & 0xFF00) ^ table[crc >> 8 ^ byte]
    return crc


def stuff(body: bytes) -> bytes:
    """What is sent for instruction and parameters: no header can be mistaken in it."""
    return body.replace(HEADER[:3], HEADER[:3] + b"\xfd")


def unstuff(body: bytes) -> bytes:
    """The inverse of `stuff`."""
    return body.replace(HEADER[:3] + b"\xfd", HEADER[:3])


def packet(servo: int, body: bytes) -> bytes:
    """A packet around an instruction, or an error, and its parameters."""
    body = stuff(body)
    head = HEADER + bytes([servo]) + (len(body) + CHECK).to_bytes(2, "little") + body
    return head + crc16(head).to_bytes(2, "little")


class Protocol2:
    """Protocol 2.0, with a status packet of each servo in the answer to a sync read.

    Attributes:
        order: byte order of a register.
        overhead: bytes of a status packet around its data.
        groups: whether servos answer a sync read and a broadcast ping.
        silence: longest pause before the next reply to a broadcast ping [s]: a servo waits 3 ms for each id below its own.
    """

    order: Literal["little", "big"] = "little"
    overhead = HEAD + 2 + CHECK
    groups = True
    silence = 253 * 3e-3

    def ping(self, servo: int) -> bytes:
        return packet(servo, bytes([PING]))

    def reboot(self, servo: int) -> bytes:
        return packet(servo, bytes([REBOOT]))

    def read(self, servo: int, address: int, size: int) -> bytes:
        return packet(servo, bytes([READ]) + _words(address, size))

    def write(self, servo: int, address: int, data: bytes) -> bytes:
        return packet(servo, bytes([WRITE]) + _words(address) + data)

    def sync_read(self, servos: Sequence[int], address: int, size: int) -> bytes:
        return packet(BROADCAST, bytes([SYNC_READ]) + _words(address, size) + bytes(servos))

    def sync_write(self, address: int, contents: Mapping[int, bytes]) -> bytes:
        size = len(next(iter(contents.values()), b""))
        blocks = b"".join(bytes([servo]) + data for servo, data in contents.items())
        return packet(BROADCAST, bytes([SYNC_WRITE]) + _words(address, size) + blocks)

    def split(self, received: bytearray) -> Iterator[Status | None]:
        """Take whole status packets off the bytes received, in order; None for each damaged one. An unfinished packet stays.

        A fast reply gives one status per servo. Packets that are no status, as the echo of an instruction, are dropped.
        """
        while (start := received.find(HEADER)) >= 0:
            del received[:start]
            if len(received) < HEAD:
                return
            length = int.from_bytes(received[5:HEAD], "little")
            end = HEAD + length
            if len(received) < end <= HEAD + LONGEST and received.find(HEADER, 1) < 0:
                return
            body = received[HEAD : end - CHECK]
            whole = length > CHECK and len(received) >= end
            if whole and crc16(received[: end - CHECK]) == int.from_bytes(received[end - CHECK : end], "little"):
                taken = bytes(received[:end])
                del received[:end]
                yield from _statuses(taken, bytes(body))
            else:
                del received[: len(HEADER)]
                yield None
        del received[: max(0, len(received) - _begun(received))]


class FastProtocol2(Protocol2):
    """Protocol 2.0, with the answers to a sync read in one packet: 4 bytes around the data of a servo instead of 11, and
    one return delay instead of one per servo. All servos must know it, and all must be there."""

    def sync_read(self, servos: Sequence[int], address: int, size: int) -> bytes:
        return packet(BROADCAST, bytes([FAST_SYNC_READ]) + _words(address, size) + bytes(servos))


def _words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(2, "little") for number in numbers)


def _begun(received: bytearray) -> int:
    """How many of the last bytes may be the beginning of a header."""
    return next((size for size in (3, 2, 1) if received.endswith(HEADER[:size])), 0)


def _statuses(taken: bytes, body: bytes) -> Iterator[Status | None]:
    """The statuses of a whole packet: none in an instruction, one, or the blocks of a fast reply."""
    if body[0] != STATUS:
        return
    if taken[4] == BROADCAST:
        yield from _blocks(taken) or [None]
    elif len(body) > 1:
        content = unstuff(body)
        yield Status(taken[4], content[1], content[2:])
    else:
        yield None


def _blocks(taken: bytes) -> list[Status]:
    """The servos of a fast reply: error, id, data and a CRC of all that came before, for each, without byte stuffing.

    The packet does not say how long the data is: it is the one length with which the CRC of every block is right.
    """
    content = len(taken) - HEAD - 1
    for size in range(2 + 1 + CHECK, content + 1):
        if content % size == 0 and (found := _blocks_of(taken, size)):
            return found
    return []


def _blocks_of(taken: bytes, size: int) -> list[Status]:
    found, crc = [], crc16(taken[: HEAD + 1])
    for start in range(HEAD + 1, len(taken), size):
        end = start + size - CHECK
        crc = crc16(taken[start:end], crc)
        if crc != int.from_bytes(taken[end : end + CHECK], "little"):
            return []
        crc = crc16(taken[end : end + CHECK], crc)
        found.append(Status(taken[start + 1], taken[start], taken[start + 2 : end]))
    return found
