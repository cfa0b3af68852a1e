"""Pictures in cells of tables: written as PNG, read as PNG, JPEG, WebP and BMP, through PyAV's codecs. Knows no files."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from lerobot_core.errors import DataError

#: First bytes of a file, and the codec that reads it.
_CODECS = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "mjpeg"), (b"RIFF", "webp"), (b"BM", "bmp"))

KNOWN = "PNG, JPEG, WebP and BMP"


def encode(picture: np.ndarray, level: int = 6) -> bytes:
    """PNG file bytes of a picture (H, W, 3) uint8."""
    codec = av.CodecContext.create("png", "w")
    codec.height, codec.width = picture.shape[:2]
    codec.pix_fmt, codec.time_base = "rgb24", Fraction(1)
    codec.options = {"compression_level": str(level)}
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])


def kind(data: bytes) -> str | None:
    """The codec that reads file bytes, by the first of them; None for no picture known."""
    return next((name for magic, name in _CODECS if data.startswith(magic)), None)


def decode(data: bytes) -> np.ndarray:
    """Picture (H, W, 3) uint8 of file bytes; grey and palettes become colours, transparency is dropped.

    Raises:
        DataError: the bytes are no picture of a kind known, or broken.
    """
    name = kind(data)
    if name is None:
        raise DataError(f"a picture of {len(data)} bytes is of no kind known", hint=f"known are {KNOWN}")
    codec = av.CodecContext.create(name, "r")
    try:
        frames = [*codec.decode(av.Packet(data)), *codec.decode(None)]
    except av.FFmpegError as error:
        raise DataError(f"a picture of {len(data)} bytes is broken: {error}") from error
    if not frames:
        raise DataError(f"a picture of {len(data)} bytes is broken: it holds no picture")
    return frames[0].to_ndarray(format="rgb24")
