"""Servos on one wire: instruction packets in, replies out, some of them spoilt. *Pure*: knows no pty and no clock."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from lerobot_motors.emulators.dynamixel import HEAT, OVERLOAD, VOLTAGE, DynamixelServo
from lerobot_motors.emulators.faults import KINDS, Fault, Faults
from lerobot_motors.emulators.feetech import FeetechServo
from lerobot_motors.emulators.wires import Answer, DynamixelWire, FeetechWire, Wire


class Reply(NamedTuple):
    """Bytes for the host.

    Attributes:
        packet: the bytes.
        delay: pause before them, in which the line is taken [s].
        late: how much later than that they come, while the line goes on [s].
        echo: whether they are what was sent, which takes no time of its own.
    """

    packet: bytes
    delay: float = 0.0
    late: float = 0.0
    echo: bool = False


class Chain:
    """Servos that hear the same packets.

    Args:
        servos: all of one protocol.
        faults: what goes wrong.

    Attributes:
        wire: their protocol.
        heard: instructions so far.
    """

    def __init__(self, servos: Sequence[FeetechServo] | Sequence[DynamixelServo], faults: Faults | None = None) -> None:
        self.servos = list(servos)
        self.faults = faults or Faults()
        self.heard = 0
        first = self.servos[0]
        self.wire: Wire = DynamixelWire() if isinstance(first, DynamixelServo) else FeetechWire(first.model.protocol)
        numbers = {servo.joint.id: servo for servo in self.servos}
        self._axles = [
            (servo, numbers[servo.joint.follows]) for servo in self.servos if servo.joint.follows is not None
        ]

    def update(self, now: float, hands: Sequence[float | None] = ()) -> None:
        """Let `now` [s] be: faults begin and end, servos move; `hands` are in the order of the servos, [ticks]."""
        for fault, begins in self.faults.advance(now, self.heard):
            for servo in self.servos:
                if fault.hits(servo.joint.id):
                    _happen(servo, fault, begins)
        for servo, hand in zip_longest(self.servos, hands):
            servo.update(now, hand)
        for servo, other in self._axles:
            servo.beside(other)

    def handle(self, packet: bytes, baud: int) -> list[Reply]:
        """The replies to a packet in their order, from the servos that listen at that baud rate."""
        self.heard += 1
        replies = [Reply(packet, echo=True)] if self.faults.line("echo") else []
        if self.faults.line("stuck"):
            return replies
        listening = [servo for servo in self.servos if servo.baud == baud and not servo.silent]
        answers = self.wire.hear(packet, listening)
        if answers.how == "apart":
            for answer in answers.each:
                replies += self._spoil(answer, self._packet(answer))
        elif answers.each:
            replies += self._at_once(answers.each, answers.how == "merged", answers.asked)
        return replies

    def _packet(self, answer: Answer, shift: int = 0) -> bytes:
        servo = answer.servo
        number = (servo.id + shift) % 253
        packet = self.wire.encode(number, answer.error | servo.status, answer.data)
        if servo.twin is None:
            return packet
        return _overlay(packet, self.wire.encode(number, answer.error | servo.status, _twins(servo, answer.data)))

    def _at_once(self, answers: Sequence[Answer], merged: bool, asked: int) -> list[Reply]:
        """One packet of several servos, or all of theirs on top of each other."""
        if not merged:
            packet = b""
            for answer in answers:
                packet = _overlay(packet, self._packet(answer))
            return self._spoil(answers[0], packet)
        said = [(answer.servo.id, answer.error | answer.servo.status, answer.data) for answer in answers]
        return self._spoil(answers[0], self.wire.merge(said, asked - len(answers)))

    def _spoil(self, answer: Answer, packet: bytes) -> list[Reply]:
        """What becomes of a reply on its way."""
        servo, chance = answer.servo, self.faults.chance
        wrong = self.faults.to_reply(servo.joint.id)
        if not wrong:
            return [Reply(packet, servo.return_delay)]
        if "drop" in wrong:
            return []
        if "wrong_id" in wrong:
            packet = self._packet(answer, int(wrong["wrong_id"]))
        if "corrupt" in wrong:
            place = chance.randrange(2, len(packet))
            packet = packet[:place] + bytes([packet[place] ^ 1 << chance.randrange(8)]) + packet[place + 1 :]
        if "checksum" in wrong:
            packet = packet[:-1] + bytes([packet[-1] ^ 0x55])
        if "truncate" in wrong:
            packet = packet[: -max(1, int(wrong["truncate"]))]
        packet = chance.randbytes(int(wrong.get("before", 0))) + packet + chance.randbytes(int(wrong.get("after", 0)))
        replies = [Reply(packet, servo.return_delay, wrong.get("late", 0.0) / 1e3)]
        if "split" in wrong:
            half = len(packet) // 2
            replies = [replies[0]._replace(packet=packet[:half]), Reply(packet[half:], wrong["split"] / 1e3)]
        return replies * 2 if "duplicate" in wrong else replies


def _overlay(one: bytes, other: bytes) -> bytes:
    """What two senders make of the line: it is high only where both leave it so."""
    return bytes(a & b for a, b in zip_longest(one, other, fillvalue=0xFF))


def _twins(servo: FeetechServo | DynamixelServo, data: bytes) -> bytes:
    """The same data of a servo that is `twin` ticks away, where it is a position."""
    register = servo.registers["Present_Position"]
    here = servo.read(register.address, register.size)
    there = int.from_bytes(here, servo.order) + int(servo.twin or 0)
    return data.replace(here, (there % (1 << 8 * register.size)).to_bytes(register.size, servo.order), 1)


def _happen(servo: FeetechServo | DynamixelServo, fault: Fault, begins: bool) -> None:
    """A fault of a servo begins or ends."""
    kind, value = fault.kind, fault.value
    if KINDS[kind].hits != "servo":
        return
    if kind in ("deaf", "dead"):
        servo.silent = begins
        if kind == "dead":
            servo.restart()
    elif kind == "slow":
        servo.slowness = value / 1e3 if begins else 0.0
    elif kind == "collision":
        servo.twin = value if begins else None
    elif kind == "frozen":
        servo.frozen = begins
    elif kind == "jump":
        servo.jump(value)
    elif kind == "restart":
        servo.restart()
    elif kind == "forget":
        servo.forget()
    elif kind == "baud":
        servo.set_baud(int(value) if begins else None)
    elif kind == "low_voltage":
        servo.feed(value if begins else None)
        servo.report(VOLTAGE, begins)
    elif kind == "hot":
        servo.heat(value if begins else None)
        servo.report(HEAT, begins)
    elif kind == "overload":
        servo.report(OVERLOAD, begins)
