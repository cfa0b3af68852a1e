"""Depth pictures of TIFF file bytes: one channel, uint16 or float32, not compressed. Knows no files. *Pure.*

Source: TIFF 6.0 (Adobe, 1992), sections 2 to 8. PyAV's decoder has no float32.
"""

from __future__ import annotations

import struct

import numpy as np

from lerobot_core.errors import DataError

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _OFFSETS, _SAMPLES, _COUNTS, _FORMAT = 256, 257, 258, 259, 273, 277, 279, 339
_UNSIGNED, _FLOAT = 1, 3
_NUMBERS = {1: "B", 3: "H", 4: "I"}  # field types BYTE, SHORT, LONG
_KINDS = {(16, _UNSIGNED): "u2", (32, _FLOAT): "f4"}
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


def is_tiff(data: bytes) -> bool:
    """Whether file bytes begin as a TIFF does."""
    return bytes(data[:4]) in _ORDERS


def decode(data: bytes) -> np.ndarray:
    """Picture (H, W) uint16 or float32.

    Raises:
        DataError: the bytes are no TIFF, cut off, or of another kind.
    """
    order = _ORDERS.get(bytes(data[:4]))
    if order is None:
        raise DataError(f"a depth picture of {len(data)} bytes is no TIFF")
    try:
        return _picture(data, order, _tags(data, order))
    except (struct.error, KeyError, ValueError) as error:
        raise DataError(f"a depth picture of {len(data)} bytes is a broken TIFF: {error}") from error


def encode(picture: np.ndarray) -> bytes:
    """TIFF file bytes of a picture (H, W) uint16 or float32, in one strip."""
    height, width = picture.shape
    data = picture.astype(picture.dtype.newbyteorder("<")).tobytes()
    bits, kind = picture.dtype.itemsize * 8, _UNSIGNED if picture.dtype.kind == "u" else _FLOAT
    start = 8  # the pixels come behind the header, the directory behind them
    entries = (
        (_WIDTH, 4, width),
        (_HEIGHT, 4, height),
        (_BITS, 3, bits),
        (_COMPRESSION, 3, 1),
        (262, 3, 1),  # black is zero
        (_OFFSETS, 4, start),
        (_SAMPLES, 3, 1),
        (278, 4, height),  # rows in the strip
        (_COUNTS, 4, len(data)),
        (_FORMAT, 3, kind),
    )
    directory = b"".join(struct.pack("<HHII", tag, field, 1, value) for tag, field, value in entries)
    head = struct.pack("<4sI", b"II*\0", start + len(data))
    return head + data + struct.pack("<H", len(entries)) + directory + struct.pack("<I", 0)


def _tags(data: bytes, order: str) -> dict[int, tuple[int, ...]]:
    """The whole numbers of the first directory, by tag."""
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    out = {}
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(f"{order}HHI", data, at)
        if kind in _NUMBERS:
            layout = f"{order}{length}{_NUMBERS[kind]}"
            place = at + 8 if struct.calcsize(layout) <= 4 else struct.unpack_from(f"{order}I", data, at + 8)[0]
            out[tag] = struct.unpack_from(layout, data, place)
    return out


def _picture(data: bytes, order: str, tags: dict[int, tuple[int, ...]]) -> np.ndarray:
    kind, compression = (tags[_BITS][0], tags.get(_FORMAT, (_UNSIGNED,))[0]), tags.get(_COMPRESSION, (1,))[0]
    if compression != 1 or tags.get(_SAMPLES, (1,))[0] != 1 or kind not in _KINDS:
        raise DataError(
            f"a depth picture is a TIFF of {kind[0]} bits, sample format {kind[1]}, compression {compression}",
            hint="depth pictures are uncompressed uint16 or float32 with one channel",
        )
    strips = zip(tags[_OFFSETS], tags[_COUNTS], strict=True)
    flat = np.frombuffer(b"".join(data[at : at + size] for at, size in strips), dtype=order + _KINDS[kind])
    return flat.reshape(tags[_HEIGHT][0], tags[_WIDTH][0]).astype(_KINDS[kind])
