"""A file of records that a killed process leaves readable: each with its length and checksum, in one write. Knows bytes only."""

from __future__ import annotations

import struct
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path

_HEAD = struct.Struct("<II")  # length and CRC-32 of what follows


class RecordFile:
    """Takes records; each is with the operating system when `add` returns, and survives the end of the process.

    Args:
        path: the file; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self.close = weakref.finalize(self, self._file.close)

    def add(self, data: bytes) -> None:
        """One record.

        Raises:
            OSError: the disk is full.
        """
        rest = memoryview(_HEAD.pack(len(data), zlib.crc32(data)) + data)
        while rest:  # a disk that has room for a part takes that part, and refuses the next
            rest = rest[self._file.write(rest) :]


def read(path: Path) -> Iterator[bytes]:
    """The whole records of a file, up to the first that is cut off or damaged."""
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, checksum = _HEAD.unpack(head)
            data = file.read(length)
            if len(data) < length or zlib.crc32(data) != checksum:
                return
            yield data
