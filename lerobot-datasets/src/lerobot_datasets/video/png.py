"""PNG bytes of pictures and back, through PyAV's codecs. Knows no files."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from lerobot_core.errors import DataError


def encode(picture: np.ndarray, level: int = 6) -> bytes:
    """PNG file bytes of a picture (H, W, 3) uint8."""
    codec = av.CodecContext.create("png", "w")
    codec.height, codec.width = picture.shape[:2]
    codec.pix_fmt, codec.time_base = "rgb24", Fraction(1)
    codec.options = {"compression_level": str(level)}
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])


def decode(data: bytes) -> np.ndarray:
    """Picture (H, W, 3) uint8 of PNG file bytes.

    Raises:
        DataError: the bytes are no PNG.
    """
    codec = av.CodecContext.create("png", "r")
    try:
        frames = [*codec.decode(av.Packet(data)), *codec.decode(None)]
    except av.FFmpegError as error:
        raise DataError(f"a picture of {len(data)} bytes is no PNG: {error}") from error
    if not frames:
        raise DataError(f"a picture of {len(data)} bytes is no PNG")
    return frames[0].to_ndarray(format="rgb24")
