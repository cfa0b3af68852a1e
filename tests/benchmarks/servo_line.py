"""Servos in a process of their own that answer at once, or at the pace of a wire: `python servo_line.py [--baud 1000000]`

They are memory and nothing else, and do not share a line with what is measured. The path of their pty is printed first. Byte 56
and 57, the position, count the questions that came, so that a value tells which question it answers.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import sys
import time
import tty

from lerobot_core.priority import real_time
from lerobot_motors.emulators import handover

READ, WRITE, SYNC_READ = 2, 3, 0x82
POSITION = 56
#: Part of a wait that spins instead of sleeping [s]: the system stops what never sleeps for 50 ms of each second.
SPIN = 300e-6
#: Positions have 15 bits and a sign.
COUNTED = 1 << 15


def status(servo: int, data: bytes) -> bytes:
    body = bytes([servo, len(data) + 2, 0]) + data
    return b"\xff\xff" + body + bytes([~sum(body) & 0xFF])


class Servos:
    """What ids answer, with faults by chance."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.ids = set(range(1, options.servos + 1)) - set(options.dead)
        self.lost, self.corrupt, self.count = options.lost, options.corrupt, options.count
        self.chance = random.Random(options.seed)
        self.asked = 0

    def answer(self, packet: bytes) -> bytes:
        self.asked += 1
        instruction, data = packet[4], packet[5:-1]
        if instruction == SYNC_READ:
            memory = self.memory(data[0], data[1])
            return b"".join(self.spoilt(status(servo, memory)) for servo in data[2:] if servo in self.ids)
        if packet[2] not in self.ids:
            return b""
        if instruction == READ:
            return self.spoilt(status(packet[2], self.memory(data[0], data[1])))
        return self.spoilt(status(packet[2], b"")) if instruction == WRITE else b""

    def memory(self, address: int, size: int) -> bytes:
        if address != POSITION or not self.count:
            return bytes(size)
        return (self.asked % COUNTED).to_bytes(2, "little").ljust(size, b"\0")[:size]

    def spoilt(self, reply: bytes) -> bytes:
        if self.lost or self.corrupt:
            luck = self.chance.random()
            if luck < self.lost:
                return b""
            if luck < self.lost + self.corrupt:
                place = self.chance.randrange(len(reply))
                flipped = reply[place] ^ self.chance.randrange(1, 256)
                return reply[:place] + bytes([flipped]) + reply[place + 1 :]
        return reply


def serve(servos: Servos, master: int, baud: int, early: float) -> None:
    """Answer until standard input closes. With a baud rate, the host has a reply when its last byte would be there."""
    buffer, byte = b"", 10 / baud if baud else 0.0
    while True:
        ready, _, _ = select.select([master, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        buffer += os.read(master, 4096)
        due = time.monotonic() - early
        while len(buffer) >= 4 and len(buffer) >= buffer[3] + 4:
            packet, buffer = buffer[: buffer[3] + 4], buffer[buffer[3] + 4 :]
            reply = servos.answer(packet)
            if baud:
                due += (len(packet) + len(reply)) * byte
                time.sleep(max(0.0, due - time.monotonic() - SPIN))
                while time.monotonic() < due:
                    pass
            if reply:
                os.write(master, reply)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servos", type=int, default=6)
    parser.add_argument("--baud", type=int, default=0, help="0: at once")
    parser.add_argument("--lost", type=float, default=0.0, help="part of the replies")
    parser.add_argument("--corrupt", type=float, default=0.0, help="part of the replies")
    parser.add_argument("--dead", type=int, nargs="*", default=[])
    parser.add_argument("--count", action="store_true", help="positions count the questions")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    master, slave = os.openpty()
    tty.setraw(slave)
    with real_time():  # a servo does not wait for the machine's other work
        early = handover.measure() if options.baud else 0.0
        sys.stdout.write(os.ttyname(slave) + "\n")
        sys.stdout.flush()
        serve(Servos(options), master, options.baud, early)


if __name__ == "__main__":
    main()
