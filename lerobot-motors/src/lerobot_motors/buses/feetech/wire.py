"""Transactions with Feetech servos by id and register, through the vendor's packet handler. Knows no names and no units.

The SDK's group reader is not used: it stops at the first missing servo and forgets those that answered.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from scservo_sdk.protocol_packet_handler import protocol_packet_handler
from scservo_sdk.scservo_def import COMM_RX_CORRUPT, COMM_RX_TIMEOUT, COMM_SUCCESS

from lerobot_core.errors import NotConnected
from lerobot_motors import emulators
from lerobot_motors.buses import serial_ports
from lerobot_motors.buses.feetech.port import Port
from lerobot_motors.buses.feetech.tables import Register
from lerobot_motors.buses.health import BusHealth

T = TypeVar("T")

#: What a reply may take beyond its time on the wire [ms]: a few USB frames of 1 ms each; a pty hands bytes over by a worker of
#: the kernel, which waits while the CPU is busy.
SERIAL_SLACK, EMULATED_SLACK = 5.0, 250.0

#: Bytes of a status packet around its data: two of header, id, length, error, checksum.
FRAME = 6
BROADCAST_PING = bytes([0xFF, 0xFF, 0xFE, 0x02, 0x01, 0xFE])


class Lost(Exception):
    """No reply."""


class Corrupt(Exception):
    """A damaged reply, or one of the wrong size."""


class Wire:
    """One open port. A lock keeps the transactions of several threads apart.

    Args:
        path: serial port or emulated one.
        baudrate: bits per second.
        slack_ms: what a reply may take beyond its time on the wire [ms]; None takes the usual.
        health: where transactions are counted.

    Raises:
        NotConnected: the port does not open.
    """

    def __init__(self, path: str, baudrate: int, slack_ms: float | None, health: BusHealth) -> None:
        self.path = path
        self.health = health
        self._lock = threading.Lock()
        self._packets = protocol_packet_handler()
        self._emulator = emulators.open_port(path) if emulators.is_emulated(path) else None
        usual = EMULATED_SLACK if self._emulator else SERIAL_SLACK
        device = self._emulator.path if self._emulator else path
        self._port = Port(device, baudrate, usual if slack_ms is None else slack_ms)
        try:
            self._port.openPort()
        except OSError as failure:
            self.close()
            raise serial_ports.cannot_open(path, failure) from failure

    def close(self) -> None:
        if self._port.is_open:
            self._port.closePort()
        if self._emulator is not None:
            self._emulator.close()

    def read(self, servo: int, register: Register) -> tuple[int, int]:
        """(content, fault bits) of a register.

        Raises:
            Lost, Corrupt: the reply did not come, or not whole.
            NotConnected: the port is gone.
        """

        def ask() -> tuple[int, int]:
            data, result, fault = self._packets.readTxRx(self._port, servo, register.address, register.size)
            self._check(result, len(data) == register.size)
            return int.from_bytes(bytes(data), "little"), fault

        return self._transact(ask)

    def write(self, servo: int, register: Register, content: int) -> int:
        """Write a register; returns the fault bits of the servo's reply. Raises as `read`."""
        data = list(content.to_bytes(register.size, "little"))

        def ask() -> int:
            result, fault = self._packets.writeTxRx(self._port, servo, register.address, register.size, data)
            self._check(result)
            return fault

        return self._transact(ask)

    def sync_read(self, servos: Sequence[int], register: Register) -> dict[int, tuple[int, int]]:
        """(content, fault bits) by id of the servos that answered; a servo that did not is left out."""

        def ask() -> dict[int, tuple[int, int]]:
            ids = list(servos)
            result = self._packets.syncReadTx(self._port, register.address, register.size, ids, len(ids))
            self._check(result)
            return self._gather(set(ids), register.size)

        return self._transact(ask, replies=len(servos))

    def sync_write(self, register: Register, contents: dict[int, int]) -> None:
        """Write a register of several servos at once; servos do not acknowledge it."""
        data: list[int] = []
        for servo, content in contents.items():
            data += [servo, *content.to_bytes(register.size, "little")]

        def tell() -> None:
            packets, port = self._packets, self._port
            self._check(packets.syncWriteTxOnly(port, register.address, register.size, data, len(data)))

        self._transact(tell)

    def scan(self, wait: float = 0.1) -> list[int]:
        """Ids of the servos that answer a broadcast ping within `wait` [s]."""

        def ask() -> list[int]:
            port, found = self._port, []
            port.clearPort()
            port.writePort(list(BROADCAST_PING))
            port.setPacketTimeoutMillis(wait * 1e3)
            while True:
                packet, result = self._packets.rxPacket(port)
                if result == COMM_RX_TIMEOUT:
                    return sorted(set(found))
                if result == COMM_SUCCESS:
                    found.append(packet[2])

        return self._transact(ask)

    def _gather(self, missing: set[int], size: int) -> dict[int, tuple[int, int]]:
        replies: dict[int, tuple[int, int]] = {}
        corrupt = False
        while missing:
            packet, result = self._packets.rxPacket(self._port)
            if result == COMM_RX_TIMEOUT:
                break
            if result == COMM_SUCCESS and packet[2] in missing and len(packet) == FRAME + size:
                missing.discard(packet[2])
                replies[packet[2]] = int.from_bytes(bytes(packet[5 : 5 + size]), "little"), packet[4]
            elif result == COMM_RX_CORRUPT:
                corrupt = True
        if missing:
            self.health.corrupt += corrupt
            self.health.lost += not corrupt
        return replies

    def _check(self, result: int, whole: bool = True) -> None:
        if result == COMM_RX_TIMEOUT:
            self.health.lost += 1
            raise Lost
        if result != COMM_SUCCESS or not whole:
            self.health.corrupt += 1
            raise Corrupt(self._packets.getTxRxResult(result))

    def _transact(self, call: Callable[[], T], replies: int = 1) -> T:
        with self._lock:
            self._port.is_using = False  # left set when the last transaction ended in an exception
            self._port.replies = replies
            self.health.transactions += 1
            try:
                return call()
            except OSError as failure:
                raise NotConnected(
                    f"serial port '{self.path}' is gone: {failure}",
                    device=self.path,
                    hint="check the USB cable, then connect again",
                ) from failure
