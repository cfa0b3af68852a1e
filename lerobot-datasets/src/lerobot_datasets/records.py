"""A file of records that a killed process leaves readable: each with its length and checksum, in one write. Knows bytes only."""

from __future__ import annotations

import os
import struct
import threading
import weakref
import zlib
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

_HEAD = struct.Struct("<II")  # length and CRC-32 of what follows


class RecordFile:
    """Takes records; each is with the operating system when `add` returns, and survives the end of the process.

    Args:
        path: the file; its folder exists.
        every: how often a thread sees to it that they survive the machine's power, too [s]; never when not given.
    """

    def __init__(self, path: Path, every: float | None = None) -> None:
        self._file = FileIO(path, "wb")
        self._every = every
        self._flusher: threading.Thread | None = None
        self._closed = threading.Event()
        self._added = threading.Event()  # since the last flush
        self._failed: list[OSError] = []
        self.close = weakref.finalize(self, self._file.close)

    def add(self, data: bytes) -> None:
        """One record.

        Raises:
            OSError: the disk is full.
        """
        if self._failed:
            raise self._failed[0]
        rest = memoryview(_HEAD.pack(len(data), zlib.crc32(data)) + data)
        while rest:  # a disk that has room for a part takes that part, and refuses the next
            rest = rest[self._file.write(rest) :]
        self._added.set()
        if self._every is not None and self._flusher is None:
            what = (self._every, self._file, self._closed, self._added, self._failed)
            self._flusher = threading.Thread(target=_flush_every, args=what, name="flush records", daemon=True)
            self._flusher.start()
            self.close.detach()
            self.close = weakref.finalize(self, _close, self._file, self._closed, self._flusher)


def _flush_every(
    seconds: float, file: FileIO, closed: threading.Event, added: threading.Event, failed: list[OSError]
) -> None:
    while not closed.wait(seconds):
        if added.is_set():
            added.clear()
            try:
                os.fsync(file.fileno())
            except OSError as error:  # raised to whoever adds next
                failed.append(error)
                return


def _close(file: FileIO, closed: threading.Event, thread: threading.Thread) -> None:
    closed.set()
    thread.join()
    file.close()


def read(path: Path) -> Iterator[bytes]:
    """The whole records of a file, up to the first that is cut off or damaged."""
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, checksum = _HEAD.unpack(head)
            data = file.read(length)
            if len(data) < length or zlib.crc32(data) != checksum:
                return
            yield data
