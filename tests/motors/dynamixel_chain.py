"""A few Dynamixel servos on a pty, as the manual has them: memory, torque, alerts, both kinds of sync read. No motion."""

from __future__ import annotations

import os
import pty
import select
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from lerobot_motors.buses.dynamixel.codec import STATUS, crc16, packet, unstuff
from lerobot_motors.buses.dynamixel.tables import BAUD_CODES, MODELS, REGISTERS

RAM = REGISTERS["Torque_Enable"].address
SPEEDS = {getattr(termios, f"B{baud}"): baud for baud in (9600, 57600, 115_200, 1_000_000, 2_000_000)}


class FakeServo:
    """The memory of one servo, by register name.

    Attributes:
        silent: it hears nothing.
        spoilt: its replies come damaged.
    """

    def __init__(self, number: int, model: str = "xl330-m288", firmware: int = 50, baud: int = 1_000_000) -> None:
        self.memory = bytearray(256)
        self.silent = self.spoilt = False
        for name, value in {
            "ID": number,
            "Model_Number": MODELS[model].number or 0,
            "Firmware_Version": firmware,
            "Baud_Rate": BAUD_CODES[baud],
            "Operating_Mode": 3,
            "Max_Position_Limit": 4095,
            "Status_Return_Level": 2,
            "Present_Input_Voltage": 121,
            "Present_Temperature": 33,
            "Present_Position": 2000 + number,
        }.items():
            self.put(name, value)

    def get(self, name: str) -> int:
        place = REGISTERS[name]
        content = self.memory[place.address : place.address + place.size]
        return int.from_bytes(content, "little", signed=place.sign is not None)

    def put(self, name: str, value: int) -> None:
        place = REGISTERS[name]
        self.memory[place.address : place.address + place.size] = value.to_bytes(place.size, "little", signed=value < 0)

    @property
    def baud(self) -> int:
        return next(baud for baud, code in BAUD_CODES.items() if code == self.get("Baud_Rate"))

    def write(self, address: int, data: bytes) -> int:
        if address < RAM and self.get("Torque_Enable"):
            return 7
        self.memory[address : address + len(data)] = data
        return 0

    def reply(self, error: int, data: bytes = b"") -> bytes:
        error |= 0x80 if self.get("Hardware_Error_Status") else 0
        whole = bytearray(packet(self.get("ID"), bytes([STATUS, error]) + data))
        whole[-1] ^= 0x55 if self.spoilt else 0
        return bytes(whole)


class FakeChain:
    """Answers on a pty in a thread of its own.

    Attributes:
        path: device to open as a serial port.
        heard: instructions so far.
    """

    def __init__(self, servos: list[FakeServo]) -> None:
        self.servos = servos
        self.heard: list[int] = []
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)

    def _serve(self) -> None:
        received = bytearray()
        while not self._end.is_set():
            if not select.select([self._master], [], [], 0.02)[0]:
                continue
            received += os.read(self._master, 4096)
            while len(received) >= 7 and len(received) >= (end := 7 + int.from_bytes(received[5:7], "little")):
                servo, body = received[4], unstuff(bytes(received[7 : end - 2]))
                del received[:end]
                self.heard.append(body[0])
                if answer := self._answer(servo, body):
                    os.write(self._master, answer)

    def _answer(self, target: int, body: bytes) -> bytes:
        baud = SPEEDS.get(termios.tcgetattr(self._slave)[4], 0)
        heard = [servo for servo in self.servos if servo.baud == baud and not servo.silent]
        if body[0] in (0x82, 0x8A):
            address, size = (int.from_bytes(body[at : at + 2], "little") for at in (1, 3))
            return (self._fast if body[0] == 0x8A else self._each)(heard, address, size, body[5:])
        if body[0] == 0x83:
            address, size = (int.from_bytes(body[at : at + 2], "little") for at in (1, 3))
            for at in range(5, len(body), size + 1):
                for servo in heard:
                    if servo.get("ID") == body[at]:
                        servo.write(address, body[at + 1 : at + 1 + size])
            return b""
        return b"".join(self._single(servo, body) for servo in heard if target in (servo.get("ID"), 254))

    def _each(self, heard: list[FakeServo], address: int, size: int, ids: bytes) -> bytes:
        asked = [servo for number in ids for servo in heard if servo.get("ID") == number]
        return b"".join(servo.reply(0, bytes(servo.memory[address : address + size])) for servo in asked)

    def _fast(self, heard: list[FakeServo], address: int, size: int, ids: bytes) -> bytes:
        """Each adds to the packet what the one before it has begun; nobody goes on after one that says nothing."""
        whole = b"\xff\xff\xfd\x00\xfe" + (1 + len(ids) * (4 + size)).to_bytes(2, "little") + bytes([STATUS])
        for number in ids:
            servo = next((servo for servo in heard if servo.get("ID") == number), None)
            if servo is None or servo.get("Firmware_Version") < 46:
                return whole if number != ids[0] else b""
            alert = 0x80 if servo.get("Hardware_Error_Status") else 0
            whole += bytes([alert, number]) + bytes(servo.memory[address : address + size])
            whole += (crc16(whole) ^ (0x55 if servo.spoilt else 0)).to_bytes(2, "little")
        return whole

    def _single(self, servo: FakeServo, body: bytes) -> bytes:
        instruction, address = body[0], int.from_bytes(body[1:3], "little")
        if instruction == 1:
            return servo.reply(0, bytes([*servo.memory[0:2], servo.get("Firmware_Version")]))
        if instruction == 2:
            return servo.reply(0, bytes(servo.memory[address : address + int.from_bytes(body[3:5], "little")]))
        if instruction == 3:
            before = servo.get("ID")
            error = servo.write(address, body[3:])
            after, _ = servo.get("ID"), servo.put("ID", before)
            answer = servo.reply(error)
            servo.put("ID", after)
            return answer
        if instruction == 8:
            servo.put("Hardware_Error_Status", 0)
            servo.put("Torque_Enable", 0)
            return servo.reply(0)
        return servo.reply(2)


@contextmanager
def chain(*servos: FakeServo) -> Iterator[FakeChain]:
    """Servos that answer within the block."""
    made = FakeChain(list(servos))
    try:
        yield made
    finally:
        made.close()
