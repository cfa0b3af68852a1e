"""Servos that are nothing but memory, on a pty in a thread: any reply can be spoilt, and nothing is shared with the bus's codec."""

from __future__ import annotations

import os
import select
import threading
import time
import tty
from collections.abc import Callable, Iterable, Sequence

PING, READ, WRITE, SYNC_READ, SYNC_WRITE = 1, 2, 3, 0x82, 0x83
ALL = 0xFE
#: What is sent in place of replies: bytes, or pauses [s] between them.
Answer = list[bytes | float]
Spoil = Callable[[int, bytes, list[bytes]], Answer]


def status(servo: int, data: bytes = b"", error: int = 0) -> bytes:
    """A reply."""
    body = bytes([servo, len(data) + 2, error]) + data
    return b"\xff\xff" + body + bytes([255 - sum(body) % 256])


class MemoryServos:
    """What servos answer; `memory[id]` is 256 bytes."""

    def __init__(self, ids: Iterable[int]) -> None:
        self.memory = {number: bytearray(256) for number in ids}
        self.error = 0

    def answer(self, packet: bytes) -> list[bytes]:
        target, instruction, data = packet[2], packet[4], packet[5:-1]
        if instruction == SYNC_READ:
            asked = [number for number in data[2:] if number in self.memory]
            return [self._read(number, data[0], data[1]) for number in asked]
        if instruction == SYNC_WRITE:
            step = data[1] + 1
            for start in range(2, len(data), step):
                self._write(data[start], data[0], data[start + 1 : start + step])
            return []
        if instruction == PING:
            return [status(number, error=self.error) for number in self.memory if target in (number, ALL)]
        if target not in self.memory:
            return []
        if instruction == READ:
            return [self._read(target, data[0], data[1])]
        if instruction == WRITE:
            self._write(target, data[0], data[1:])
            return [status(target, error=self.error)]
        return []

    def _read(self, number: int, address: int, size: int) -> bytes:
        return status(number, bytes(self.memory[number][address : address + size]), self.error)

    def _write(self, number: int, address: int, data: bytes) -> None:
        if number in self.memory:
            self.memory[number][address : address + len(data)] = data


class Line:
    """A pty that a thread answers on.

    Args:
        servos: who answers.
        spoil: (number of the question, question, replies) → what is sent.

    Attributes:
        path: device to open.
        asked: the packets that came.
    """

    def __init__(self, servos: MemoryServos, spoil: Spoil | None = None) -> None:
        self.servos, self.spoil = servos, spoil
        self.asked: list[bytes] = []
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._stop, self._stopping = os.pipe()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        os.close(self._stopping)
        self._thread.join()
        for file in (self._master, self._slave, self._stop):
            os.close(file)

    def _serve(self) -> None:
        buffer = b""
        while True:
            ready, _, _ = select.select([self._master, self._stop], [], [])
            if self._stop in ready:
                return
            buffer += os.read(self._master, 4096)
            while len(buffer) >= 4 and len(buffer) >= buffer[3] + 4:
                packet, buffer = buffer[: buffer[3] + 4], buffer[buffer[3] + 4 :]
                self.asked.append(packet)
                replies = self.servos.answer(packet)
                answer = self.spoil(len(self.asked), packet, replies) if self.spoil else replies
                self._send(answer)

    def _send(self, answer: Sequence[bytes | float]) -> None:
        for part in answer:
            if isinstance(part, bytes):
                os.write(self._master, part)
            else:
                time.sleep(part)
