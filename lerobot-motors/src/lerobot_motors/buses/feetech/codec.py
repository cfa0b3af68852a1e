"""The packets of Feetech's protocols 0 (STS, SMS) and 1 (SCS), which differ in the byte order of registers. *Pure.*

Both are `FF FF id length instruction parameters checksum`; a reply has an error byte in place of the instruction. The length
counts what follows it, the checksum is the inverted sum of all after the header. Source: Feetech's communication protocol
manual (SMS/STS and SCS series).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from lerobot_motors.buses.family import BROADCAST, MAX_ID, Status

HEADER = b"\xff\xff"
PING, READ, WRITE, SYNC_READ, SYNC_WRITE = 1, 2, 3, 0x82, 0x83
#: Bytes before the length ends, and the shortest length: instruction or error, and checksum.
FRONT, SHORTEST = 4, 2


class FeetechCodec:
    """
    Args:
        order: of the bytes of a register.
        groups: whether servos answer a sync read and a broadcast ping.
    """

    overhead = FRONT + SHORTEST
    silence = 0.1

    def __init__(self, order: Literal["little", "big"], groups: bool) -> None:
        self.order = order
        self.groups = groups

    def ping(self, servo: int) -> bytes:
        return _packet(servo, PING, b"")

    def read(self, servo: int, address: int, size: int) -> bytes:
        return _packet(servo, READ, bytes((address, size)))

    def write(self, servo: int, address: int, data: bytes) -> bytes:
        return _packet(servo, WRITE, bytes((address,)) + data)

    def sync_read(self, servos: Sequence[int], address: int, size: int) -> bytes:
        return _packet(BROADCAST, SYNC_READ, bytes((address, size, *servos)))

    def sync_write(self, address: int, contents: Mapping[int, bytes]) -> bytes:
        size = len(next(iter(contents.values())))
        each = b"".join(bytes((servo,)) + data for servo, data in contents.items())
        return _packet(BROADCAST, SYNC_WRITE, bytes((address, size)) + each)

    def split(self, received: bytearray) -> Iterator[Status | None]:
        """Take whole status packets off the bytes received, in order; None for each damaged one. An unfinished packet stays.

        Bytes that belong to no packet are dropped. A damaged length may promise more than ever comes, so an unfinished packet
        is given up once a whole one lies behind its header.
        """
        data, at = bytes(received), 0
        found: list[Status | None] = []
        while (start := data.find(HEADER, at)) >= 0:
            at = start
            if len(data) < at + FRONT:
                break
            servo, length = data[at + 2], data[at + 3]
            end = at + FRONT + length
            if servo > MAX_ID or length < SHORTEST:
                at += 1
            elif end > len(data) and not _whole_behind(data, at + 2):
                break
            elif end <= len(data) and sum(data[at + 2 : end]) & 0xFF == 0xFF:
                found.append(Status(servo, data[at + 4], data[at + 5 : end - 1]))
                at = end
            else:
                found.append(None)
                at += 2  # only the header: what follows may be in front of, or inside, a packet that is whole
        else:
            at = max(at, len(data) - data.endswith(HEADER[:1]))
        del received[:at]
        return iter(found)


def _packet(servo: int, instruction: int, parameters: bytes) -> bytes:
    body = bytes((servo, len(parameters) + SHORTEST, instruction)) + parameters
    return HEADER + body + bytes((~sum(body) & 0xFF,))


def _whole_behind(data: bytes, at: int) -> bool:
    while (at := data.find(HEADER, at)) >= 0:
        if len(data) >= at + FRONT + SHORTEST and data[at + 2] <= MAX_ID and data[at + 3] >= SHORTEST:
            end = at + FRONT + data[at + 3]
            if len(data) >= end and sum(data[at + 2 : end]) & 0xFF == 0xFF:
                return True
        at += 1
    return False


#: Protocol → its packets.
CODECS = {0: FeetechCodec("little", groups=True), 1: FeetechCodec("big", groups=False)}
