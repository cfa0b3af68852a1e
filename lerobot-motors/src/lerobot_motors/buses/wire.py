"""Transactions with servos by id and address: one question, its replies, a deadline. Knows no names, registers and units.

No reply is taken for the answer to another question. Packets carry no number, but a servo answers in the order it was asked and a
reply shows its size: a servo that still owes one is next asked for another size, a byte or two more than needed. Where it owes
all sizes, as after the machine stood still, its next reply only says which of them it owes no more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, TypeVar

from lerobot_core.errors import NotConnected
from lerobot_motors import emulators
from lerobot_motors.buses import serial_ports
from lerobot_motors.buses.family import BROADCAST, MAX_ID, Codec, Status
from lerobot_motors.buses.health import BusHealth
from lerobot_motors.buses.port import Port

T = TypeVar("T")

#: What a reply may take beyond its time on the wire [ms]: two USB frames of 1 ms each; a pty hands bytes over by a worker of the
#: kernel, which waits while the CPU is busy.
SERIAL_SLACK, EMULATED_SLACK = 2.0, 25.0
#: The same where nothing waits for it, as while connecting [ms]: the machine may be loading programs.
PATIENT_SLACK = 100.0
#: Most a scan waits for one id beyond the wire time [ms]: 254 of them are asked.
SCAN_SLACK = 10.0
#: Longest delay a servo can be set to before it replies [s]: 254 times 2 µs; assumed until its setting is known.
LONGEST_DELAY = 0.508e-3
#: A reply is owed this long while others answer [s]: no adapter holds bytes back longer; and this long while nobody does, when a
#: machine that stands still may hold back all.
OWED, OWED_IN_SILENCE = 0.1, 10.0
#: How many sizes a question can have, and one that no reply has.
SIZES, NONE = 16, -1
#: How long a late reply of no distinct size may still trickle in [s].
SETTLE = 0.002
#: Bits of a byte on the wire.
BITS = 10


class Lost(Exception):
    """No reply."""


class Corrupt(Exception):
    """A damaged reply, or one of the wrong size."""


class Gathered(NamedTuple):
    """What came of a question to several servos.

    Attributes:
        replies: by id; a servo whose reply did not come or was damaged is not in it.
        damaged: ids of those whose reply came damaged.
    """

    replies: dict[int, Status]
    damaged: set[int]


class Wire:
    """One open port. A lock keeps the transactions of several threads apart.

    Args:
        path: serial port or emulated one.
        baudrate: bits per second.
        slack_ms: what a reply may take beyond its time on the wire [ms]; None takes the usual.
        health: where transactions are counted.

    Attributes:
        delays: pause of a servo before its reply [s], by id, where it is known.
        slack: what a reply may take beyond its time on the wire [s].
        port: the port itself.

    Raises:
        NotConnected: the port does not open.
    """

    def __init__(self, path: str, baudrate: int, slack_ms: float | None, health: BusHealth) -> None:
        self.path = path
        self.health = health
        self.delays: dict[int, float] = {}
        self._byte = BITS / baudrate
        self._lock = threading.Lock()
        # servo → size of each reply and when it was asked for, in that order
        self._owed: dict[int, list[tuple[int, float]]] = {}
        self._answered = 0.0  # when the last question was asked that somebody answered
        self._emulator = emulators.open_port(path) if emulators.is_emulated(path) else None
        usual = EMULATED_SLACK if self._emulator else SERIAL_SLACK
        self.slack = (usual if slack_ms is None else slack_ms) / 1e3
        try:
            self.port = Port(self._emulator.path if self._emulator else path, baudrate)
        except OSError as failure:
            self._let_go()
            raise serial_ports.cannot_open(path, failure) from failure

    def close(self) -> None:
        self.port.close()
        self._let_go()

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Give replies in the block longer than a loop could."""
        usual, self.slack = self.slack, max(self.slack, PATIENT_SLACK / 1e3)
        try:
            yield
        finally:
            self.slack = usual

    def _let_go(self) -> None:
        if self._emulator is not None:
            self._emulator.close()

    # --- questions ----------------------------------------------------------------------------------------------------

    def ping(self, codec: Codec, servo: int, slack: float | None = None) -> Status:
        """
        Raises:
            Lost, Corrupt: the reply did not come, or not whole. NotConnected: the port is gone.
        """
        return self._one(codec, servo, codec.ping(servo), None, slack)

    def read(self, codec: Codec, servo: int, address: int, size: int) -> Status:
        """Bytes of a servo's memory. Raises as `ping`."""
        return self._transact(lambda: _only(servo, self._read_one(codec, servo, address, size, None)))

    def write(self, codec: Codec, servo: int, address: int, data: bytes) -> Status:
        """Write a servo's memory; it has acknowledged it on return. Raises as `ping`."""
        return self._one(codec, servo, codec.write(servo, address, data), 0)

    def command(self, codec: Codec, servo: int, packet: bytes) -> Status:
        """Send an instruction that a servo acknowledges. Raises as `ping`."""
        return self._one(codec, servo, packet, 0)

    def sync_read(
        self, codec: Codec, servos: Sequence[int], address: int, size: int, until: float | None = None
    ) -> Gathered:
        """Bytes of the memories of several servos, in one transaction where the protocol has that.

        Args:
            until: latest time to wait for replies [s, monotonic], where that is before their deadline.

        Raises:
            NotConnected: the port is gone.
        """
        if codec.groups:
            return self._transact(lambda: self._read_all(codec, servos, address, size, until))
        replies: dict[int, Status] = {}
        damaged: set[int] = set()
        for servo in servos:
            if until is None or time.monotonic() < until:
                found = self._transact(partial(self._read_one, codec, servo, address, size, until))
                replies |= found.replies
                damaged |= found.damaged
        return Gathered(replies, damaged)

    def sync_write(self, codec: Codec, address: int, contents: Mapping[int, bytes]) -> None:
        """Write the memories of several servos with one packet, which they do not acknowledge.

        Raises:
            NotConnected: the port is gone.
        """
        packet = codec.sync_write(address, contents)
        self._transact(lambda: self.port.send(packet))

    def scan(self, codec: Codec) -> list[int]:
        """Ids of the servos that answer.

        Raises:
            NotConnected: the port is gone.
        """
        if codec.groups:
            return sorted(self._transact(lambda: self._call_all(codec)))
        found = []
        for servo in range(MAX_ID + 1):
            try:
                found.append(self.ping(codec, servo, min(self.slack, SCAN_SLACK / 1e3)).id)
            except (Lost, Corrupt):
                continue
        return found

    def seconds(self, codec: Codec, servos: Collection[int], size: int, sent: int) -> float:
        """Time on the wire of a question of `sent` bytes and its replies, with the pauses of the servos before them."""
        known = self.delays
        delay = sum([known.get(servo, LONGEST_DELAY) for servo in servos])
        return (sent + len(servos) * (codec.overhead + size)) * self._byte + delay

    # --- one transaction, under the lock ------------------------------------------------------------------------------

    def _one(self, codec: Codec, servo: int, packet: bytes, size: int | None, slack: float | None = None) -> Status:
        def ask() -> Status:
            self._settle(servo)
            return _only(servo, self._ask(codec, packet, (servo,), size, None, slack))

        return self._transact(ask)

    def _read_one(self, codec: Codec, servo: int, address: int, size: int, until: float | None) -> Gathered:
        asked, known = self._distinct((servo,), size)
        return self._ask(codec, codec.read(servo, address, asked), (servo,), asked, until, known=known)

    def _read_all(self, codec: Codec, servos: Sequence[int], address: int, size: int, until: float | None) -> Gathered:
        asked, known = self._distinct(servos, size)
        return self._ask(codec, codec.sync_read(servos, address, asked), servos, asked, until, known=known)

    def _ask(
        self,
        codec: Codec,
        packet: bytes,
        servos: Sequence[int],
        size: int | None,
        until: float | None,
        slack: float | None = None,
        known: bool = True,
    ) -> Gathered:
        """Send, and gather replies of `size` bytes (None: of any) until all are there or the deadline has passed.

        Where they are not `known` from those to older questions, none is taken for an answer.
        """
        self._drain(codec)
        slack = self.slack if slack is None else slack
        self.port.send(packet)
        started = time.monotonic()
        deadline = started + self.seconds(codec, servos, size or 0, len(packet)) + slack
        if until is not None:
            deadline = min(deadline, until)
        found = self._gather(codec, packet, servos, size if known else NONE, deadline, slack)
        if found.replies:
            self._answered = started
        if len(found.replies) == len(servos) and not self._owed:
            return found
        for servo in servos:
            if servo in found.replies:
                self._owed.pop(servo, None)
            else:
                self._owed.setdefault(servo, []).append((size or 0, started))
                self.health.count(servo, "corrupt" if servo in found.damaged else "lost")
        return found

    def _gather(
        self, codec: Codec, packet: bytes, servos: Sequence[int], size: int | None, deadline: float, slack: float
    ) -> Gathered:
        received, replies, damaged = bytearray(), {}, set()
        missing, place, echoed, extended = set(servos), 0, False, False
        while missing and place < len(servos):  # they answer in the order asked: after the last one nobody does
            chunk = self.port.receive(deadline)
            if not chunk:
                break
            received += chunk
            if not echoed:
                if packet[: len(received)] == received:
                    continue  # an adapter may give back what was sent, which looks like a reply
                echoed = True
                if received.startswith(packet):
                    del received[: len(packet)]
            for status in codec.split(received):
                if status is None:
                    damaged.update(servos[place : place + 1])
                    place += 1
                elif status.id in missing and (size is None or len(status.data) == size):
                    missing.discard(status.id)
                    replies[status.id] = status
                    place = servos.index(status.id) + 1
                elif not self._note_late(status):
                    damaged.add(status.id)
            if not extended and time.monotonic() > deadline:  # the machine stood still, not the servos
                deadline, extended = time.monotonic() + slack, True
        if received:
            damaged.update(servos[place : place + 1])  # a part of a reply
        return Gathered(replies, damaged & missing)

    def _call_all(self, codec: Codec) -> set[int]:
        packet, received, found = codec.ping(BROADCAST), bytearray(), set()
        self._drain(codec)
        self.port.send(packet)
        while chunk := self.port.receive(time.monotonic() + max(codec.silence, self.slack)):
            received += chunk
            if received.startswith(packet):
                del received[: len(packet)]
            found.update(status.id for status in codec.split(received) if status is not None)
        return found

    def _transact(self, call: Callable[[], T]) -> T:
        with self._lock:
            self.health.transactions += 1
            try:
                return call()
            except OSError as failure:
                raise NotConnected(
                    f"serial port '{self.path}' is gone: {failure}",
                    device=self.path,
                    hint="check the USB cable, then connect again",
                ) from failure

    # --- replies that may still come ----------------------------------------------------------------------------------

    def _distinct(self, servos: Iterable[int], size: int) -> tuple[int, bool]:
        """The next size that none of the servos owes, and whether there is one."""
        if not self._owed:
            return size, True
        self._forget()
        owed = {other for servo in servos for other, _ in self._owed.get(servo, ())}
        free = next((other for other in range(size, size + SIZES) if other not in owed), None)
        return (size, False) if free is None else (free, True)

    def _settle(self, *servos: int) -> None:
        """Wait out what servos owe, for a question whose reply has no other size."""
        self._forget()
        if any(servo in self._owed for servo in servos):
            time.sleep(SETTLE)

    def _forget(self) -> None:
        before = max(self._answered - max(OWED, 2 * self.slack), time.monotonic() - OWED_IN_SILENCE)
        for servo, owed in list(self._owed.items()):
            self._owed[servo] = [(size, asked) for size, asked in owed if asked >= before]
            if not self._owed[servo]:
                del self._owed[servo]

    def _drain(self, codec: Codec) -> None:
        """Take what came since the last transaction, so that it answers no question."""
        data = self.port.drain()
        if data and self._owed:
            for status in codec.split(bytearray(data)):
                if status is not None:
                    self._note_late(status)

    def _note_late(self, status: Status) -> bool:
        """Whether it is the reply to an older question. What its servo owed before that does not come any more."""
        sizes = [size for size, _ in self._owed.get(status.id, ())]
        if len(status.data) not in sizes:
            return False
        del self._owed[status.id][: sizes.index(len(status.data)) + 1]
        self.health.count(status.id, "late")
        return True


def _only(servo: int, found: Gathered) -> Status:
    if servo in found.replies:
        return found.replies[servo]
    if servo in found.damaged:
        raise Corrupt("its checksum or its size is wrong")
    raise Lost
