"""Frames in other pixel formats, put into the arrays where they are wanted. Knows frames and arrays, no videos.

PyAV converts into memory of its own, out of which each picture must be copied: a tenth of the time that decoding takes.
swscale, by which it converts, is called directly where it is found and gives the same bytes: it writes into the array.
"""

from __future__ import annotations

import ctypes
from collections import deque
from functools import cache
from typing import Any

import av
import numpy as np
from av.video import reformatter
from av.video.reformatter import VideoReformatter

from lerobot_core.errors import DataError

#: Pixel format of pictures; any other is of distance codes.
RGB = "rgb24"

#: The same values as RGB, in planes of green, blue and red: floats are made of them in less than half the time.
_PLANES = "gbrp"

#: swscale's number of the method by which PyAV converts.
_BILINEAR = 2

#: Bytes around a picture that shall stay as they are when one is tried.
_AROUND = 4096

#: Conversions that are set up and not in use: setting one up costs more than converting a small picture.
_idle: deque[VideoReformatter] = deque()


def form(pixels: str, out: np.ndarray, pixel_format: str, width: int, height: int) -> str:
    """The pixel format to convert such frames to: floats are made of planes, where these hold the same values."""
    if pixels != RGB or out.dtype != np.float32 or not _planes_agree(pixel_format, width, height):
        return pixels
    return _PLANES


def converted(frame: av.VideoFrame, pixels: str) -> av.VideoFrame:
    """A frame in another pixel format; itself when it has it."""
    if frame.format.name == pixels:
        return frame
    try:
        colours = _idle.pop()
    except IndexError:
        colours = VideoReformatter()
    out = colours.reformat(frame, format=pixels, threads=1)
    _idle.append(colours)
    return out


def write(frame: av.VideoFrame, pixels: str, out: np.ndarray, distances: np.ndarray | None = None) -> None:
    """Put a frame into an array; see `form` and `put`.

    Raises:
        DataError: the frame is of another size.
    """
    height, width = out.shape[:2] if out.dtype != np.float32 else out.shape[1:]
    if (frame.height, frame.width) != (height, width):
        raise DataError(f"a frame is {frame.height}x{frame.width}, the others are {height}x{width}")
    if pixels == RGB and out.dtype == np.uint8 and out.flags.c_contiguous and _written(frame, out):
        return
    planes = converted(frame, pixels).planes
    if pixels == _PLANES:
        green, blue, red = (_lines(plane, np.uint8)[:, :width] for plane in planes)
        for plane, channel in zip((red, green, blue), out, strict=True):
            np.divide(plane, np.float32(255), out=channel, dtype=np.float32)
    elif pixels == RGB:
        put(_lines(planes[0], np.uint8)[:, : 3 * width].reshape(height, width, 3), out)
    else:
        put(_lines(planes[0], np.uint16)[:, :width], out, distances)


def put(picture: np.ndarray, out: np.ndarray, distances: np.ndarray | None = None) -> None:
    """Put a picture into an array of the form that is wanted.

    Args:
        picture: (H, W, 3) uint8, or codes of distances (H, W) uint16.
        out: (H, W, 3) uint8 or (H, W) uint16 as they are; (3, H, W) float32 from 0 to 1, or (1, H, W) float32 of distances.
        distances: of the codes (4096,).
    """
    if distances is not None:
        np.take(distances, picture, out=out[0], mode="clip")
    elif out.dtype == np.float32:
        np.divide(picture.transpose(2, 0, 1), np.float32(255), out=out, dtype=np.float32)
    else:
        out[...] = picture


def _lines(plane: av.video.plane.VideoPlane, kind: type[np.generic]) -> np.ndarray:
    """The values of a plane, whose lines end in padding."""
    return np.frombuffer(plane, kind).reshape(plane.height, -1)


def _noise(pixel_format: str, width: int, height: int) -> av.VideoFrame:
    """A frame to try conversions with."""
    frame, rng = av.VideoFrame(width, height, pixel_format), np.random.default_rng(0)
    for plane in frame.planes:
        plane.update(rng.bytes(plane.buffer_size))
    return frame


@cache
def _planes_agree(pixel_format: str, width: int, height: int) -> bool:
    """Whether FFmpeg converts such frames to planes as it does to RGB.

    Each has code of its own for every pixel format and processor, and some leave out the last columns.
    """
    if not pixel_format:
        return False
    frame = _noise(pixel_format, width, height)
    one, other = (converted(frame, pixels).to_ndarray() for pixels in (RGB, _PLANES))
    return bool(np.array_equal(one, other))


# --- straight into an array -------------------------------------------------------------------------------------------


def _written(frame: av.VideoFrame, out: np.ndarray) -> bool:
    """Convert a frame into an array (H, W, 3) uint8; False where that cannot be done as PyAV does it."""
    scaler = _scaler(frame.format.name, frame.width, frame.height, int(frame.colorspace), int(frame.color_range))
    if scaler is None:
        return False
    scaler(frame, out)
    return True


@cache
def _scaler(pixel_format: str, width: int, height: int, matrix: int, limits: int) -> _Scaler | None:
    """What converts such frames; None where it cannot be had, gives other bytes than PyAV, or writes past a picture."""
    library = _library()
    if library is None:
        return None
    frame = _noise(pixel_format, width, height)
    frame.colorspace, frame.color_range = matrix, limits
    try:
        wanted = converted(frame, RGB).to_ndarray()
    except av.FFmpegError:  # PyAV will say so
        return None
    scaler, memory = _Scaler(library, pixel_format, width, height), np.zeros(2 * _AROUND + wanted.size, np.uint8)
    out = memory[_AROUND:-_AROUND].reshape(wanted.shape)
    scaler(frame, out)
    spilt = memory[:_AROUND].any() or memory[-_AROUND:].any()
    return scaler if np.array_equal(out, wanted) and not spilt else None


@cache
def _library() -> Any:
    """The swscale that PyAV uses, found through the module of PyAV that is linked to it; None where systems do not."""
    try:
        found = ctypes.CDLL(reformatter.__file__)
        found.sws_getContext.restype = ctypes.c_void_p
        found.sws_getContext.argtypes = [ctypes.c_int] * 7 + [ctypes.c_void_p] * 3
        pointers, strides = ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_int)
        found.sws_scale.argtypes = [ctypes.c_void_p, pointers, strides, *[ctypes.c_int] * 2, pointers, strides]
        found.av_get_pix_fmt.argtypes = [ctypes.c_char_p]
    except (OSError, AttributeError):
        return None
    return found


class _Scaler:
    """Converts frames of one kind to RGB, on any threads.

    Args:
        library: swscale.
        pixel_format: of the frames.
        width: of the frames [px].
        height: of the frames [px].
    """

    def __init__(self, library: Any, pixel_format: str, width: int, height: int) -> None:
        formats = [library.av_get_pix_fmt(name.encode()) for name in (pixel_format, RGB)]
        self._library, self._idle = library, deque[int]()
        self._asked = (width, height, formats[0], width, height, formats[1], _BILINEAR, None, None, None)

    def __call__(self, frame: av.VideoFrame, out: np.ndarray) -> None:
        try:
            context = self._idle.pop()
        except IndexError:
            context = self._library.sws_getContext(*self._asked)
        planes = frame.planes
        sources = (ctypes.c_void_p * 4)(*[plane.buffer_ptr for plane in planes])
        strides = (ctypes.c_int * 4)(*[plane.line_size for plane in planes])
        target, stride = (ctypes.c_void_p * 4)(out.ctypes.data), (ctypes.c_int * 4)(out.strides[0])
        self._library.sws_scale(context, sources, strides, 0, out.shape[0], target, stride)
        self._idle.append(context)
