"""The SDK's port with its faults mended: knows bytes and deadlines, no packets and no registers.

What feetech-servo-sdk 1.0.0 does, and what this does instead:

- `clearPort` drains the output, so a reply that came late answers the next question: here the input is emptied.
- It waits 34 ms for a reply that does not come, by the wall clock: here for the wire time and a small slack, by a monotonic
  clock.
- It spins on an empty port, which starves every other thread: here reading sleeps until a byte comes.
"""

from __future__ import annotations

import time

import serial
from scservo_sdk.port_handler import PortHandler

#: Longest sleep of one read [s]: how late a missing reply is noticed.
SLICE = 0.001
#: How long a reply that was given up may still trickle in [s].
SETTLE = 0.002
#: Longest programmable delay of a servo before its reply [ms] (STS3215 memory table, Return_Delay_Time).
RETURN_DELAY_MS = 0.508


class Port(PortHandler):
    """A serial port for the SDK's packet handler.

    Args:
        path: device.
        baudrate: bits per second.
        slack_ms: what a reply may take beyond its time on the wire: USB frames, scheduling.
    """

    def __init__(self, path: str, baudrate: int, slack_ms: float) -> None:
        super().__init__(path)
        self.baudrate = baudrate
        self.replies = 1  # how many the running transaction waits for
        self._slack = slack_ms
        self._deadline = 0.0
        self._extended = False
        self._sent = 0
        self._suspect = False
        self._buffer = bytearray()

    def setupPort(self, cflag_baud: int) -> bool:
        if self.is_open:
            self.closePort()
        self.ser = serial.Serial(self.port_name, self.baudrate, timeout=SLICE, exclusive=True)
        self.is_open = True
        self.tx_time_per_byte = 10_000 / self.baudrate  # [ms]
        return True

    def clearPort(self) -> None:
        if self._suspect:
            time.sleep(SETTLE)
            self._suspect = False
        self._buffer.clear()
        waiting = self.ser.in_waiting
        if waiting:
            self.ser.read(waiting)

    def writePort(self, packet: list[int]) -> int:
        self._sent = len(packet)
        return self.ser.write(bytes(packet))

    def readPort(self, length: int) -> bytes:
        """Up to `length` bytes; waits at most SLICE for the first."""
        if length <= 0:
            return b""
        if len(self._buffer) < length:
            self._buffer += self.ser.read(1)
            self._buffer += self.ser.read(self.ser.in_waiting)  # the rest of what woke us
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        return taken

    def setPacketTimeout(self, packet_length: int) -> None:
        wire = (self._sent + packet_length) * self.tx_time_per_byte
        self.setPacketTimeoutMillis(wire + self.replies * RETURN_DELAY_MS + self._slack)

    def setPacketTimeoutMillis(self, msec: float) -> None:
        self._deadline = time.monotonic() + msec / 1e3
        self._extended = False

    def isPacketTimeout(self) -> bool:
        if time.monotonic() < self._deadline:
            return False
        if not self._extended and self.ser.in_waiting:  # the machine stood still, not the servo: its bytes are here
            self._deadline, self._extended = time.monotonic() + self._slack / 1e3, True
            return False
        self._suspect = True
        return True
