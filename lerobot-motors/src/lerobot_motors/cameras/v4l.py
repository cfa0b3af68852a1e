"""What the Linux kernel says of a camera: its name and the formats, sizes and rates it offers.

Asks the driver and opens no stream, so that it also works while another program holds the camera.
Source: Linux media API, VIDIOC_QUERYCAP, VIDIOC_ENUM_FMT, VIDIOC_ENUM_FRAMESIZES and VIDIOC_ENUM_FRAMEINTERVALS.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

QUERYCAP, ENUM_FMT, ENUM_FRAMESIZES, ENUM_FRAMEINTERVALS = 0x80685600, 0xC0405602, 0xC02C564A, 0xC034564B
CAPTURE, DEVICE_CAPS = 0x1, 0x80000000
DISCRETE = 1

#: request, buffer (changed in place) → nothing; OSError ends an enumeration
Ioctl = Callable[[int, bytearray], object]


class Mode(NamedTuple):
    """One thing a camera can give: fourcc, size [px], rate [Hz]."""

    fourcc: str
    width: int
    height: int
    fps: float


class Description(NamedTuple):
    """Name of a camera and its modes, best first; none for a node that gives no pictures, as one for metadata."""

    name: str
    modes: list[Mode]


def describe(device: Path) -> Description:
    """What a device node is.

    Raises:
        OSError: it cannot be asked: no permission, or no camera.
    """
    descriptor = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    try:
        return described(lambda request, buffer: fcntl.ioctl(descriptor, request, buffer, True))
    finally:
        os.close(descriptor)


def described(ioctl: Ioctl) -> Description:
    """The same by a function that asks the driver."""
    capability = bytearray(104)
    ioctl(QUERYCAP, capability)
    _, card, _, _, capabilities, of_device = struct.unpack_from("16s32s32sIII", capability)
    if not (of_device if capabilities & DEVICE_CAPS else capabilities) & CAPTURE:
        return Description(_text(card), [])
    modes = {Mode(_text(code), *size, fps) for code in _formats(ioctl) for size, fps in _sizes(ioctl, code)}
    return Description(_text(card), sorted(modes, key=lambda mode: (-mode.width * mode.height, -mode.fps, mode.fourcc)))


def _formats(ioctl: Ioctl) -> Iterator[bytes]:
    for buffer in _each(ioctl, ENUM_FMT, 64, lambda index: struct.pack("II", index, 1)):
        yield bytes(buffer[44:48])


def _sizes(ioctl: Ioctl, code: bytes) -> Iterator[tuple[tuple[int, int], float]]:
    for sizes in _each(ioctl, ENUM_FRAMESIZES, 44, lambda index: struct.pack("I4s", index, code)):
        kind, *ends = struct.unpack_from("I6I", sizes, 8)
        # a range, as min, max and step of each side, is told by its largest
        size = (ends[0], ends[1]) if kind == DISCRETE else (ends[1], ends[4])
        head = struct.pack("4sII", code, *size)
        for rates in _each(ioctl, ENUM_FRAMEINTERVALS, 52, lambda index, head=head: struct.pack("I", index) + head):
            _, seconds, parts = struct.unpack_from("III", rates, 16)
            if seconds:
                yield size, round(parts / seconds, 3)
        if kind != DISCRETE:
            return


def _each(ioctl: Ioctl, request: int, size: int, head: Callable[[int], bytes]) -> Iterator[bytearray]:
    """The answers to a request for index 0, 1, 2 and so on, until the driver refuses."""
    for index in range(256):
        buffer = bytearray(size)
        start = head(index)
        buffer[: len(start)] = start
        try:
            ioctl(request, buffer)
        except OSError:
            return
        yield buffer


def _text(raw: bytes) -> str:
    return "".join(letter for letter in raw.split(b"\0")[0].decode(errors="replace") if letter.isprintable()).strip()
