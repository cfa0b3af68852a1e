"""A serial port that sleeps until bytes come. Knows no packets, no servos and no retries."""

from __future__ import annotations

import contextlib
import os
import select
import time

import serial

#: Most that is taken from the port at once [bytes]: more than any reply.
CHUNK = 4096
#: Longest the machine may take to accept a packet [s].
SEND_TIMEOUT = 1.0


class Port:
    """An open serial port of one process.

    Args:
        path: device.
        baudrate: bits per second.

    Raises:
        OSError: it does not open.
    """

    def __init__(self, path: str, baudrate: int) -> None:
        self._serial = serial.Serial(path, baudrate, timeout=0, write_timeout=SEND_TIMEOUT, exclusive=True)
        # pyserial's own read and write cost as much as a whole transaction should; Windows has no descriptor to do without
        self._file = self._serial.fileno() if os.name == "posix" else None
        if hasattr(self._serial, "set_low_latency_mode"):
            # FTDI adapters hold bytes back for 16 ms unless told not to; what has no such timer refuses
            with contextlib.suppress(ValueError, OSError):
                self._serial.set_low_latency_mode(True)

    def close(self) -> None:
        self._serial.close()

    def send(self, packet: bytes) -> None:
        """
        Raises:
            OSError: the device is gone.
        """
        if self._file is None:
            self._serial.write(packet)
            return
        left = packet
        while left:
            try:
                left = left[os.write(self._file, left) :]
            except BlockingIOError:
                if not select.select([], [self._file], [], SEND_TIMEOUT)[1]:
                    raise OSError("the port takes no bytes") from None

    def receive(self, deadline: float) -> bytes:
        """What has come; else waits for the first bytes. Empty when the deadline [s, monotonic] has passed without any.

        Bytes that are here are given even after the deadline: then the machine was late, not they.

        Raises:
            OSError: the device is gone.
        """
        if self._file is None:
            self._serial.timeout = max(0.0, deadline - time.monotonic())
            return bytes(self._serial.read(1)) + bytes(self._serial.read(self._serial.in_waiting))
        ready, _, _ = select.select([self._file], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return b""
        try:
            data = os.read(self._file, CHUNK)
        except BlockingIOError:
            return b""
        if not data:
            raise OSError("the device is gone")
        return data

    def drain(self) -> bytes:
        """What has come and nobody waited for.

        Raises:
            OSError: the device is gone.
        """
        if self._file is None:
            return bytes(self._serial.read(self._serial.in_waiting))
        try:
            return os.read(self._file, CHUNK)
        except BlockingIOError:
            return b""
