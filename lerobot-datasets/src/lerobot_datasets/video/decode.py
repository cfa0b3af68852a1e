"""Frames of mp4 files by time: PyAV always, torchcodec where it loads, behind one small interface.

Knows paths and times, no datasets. Both decoders give the same bytes. A batch of times is sorted, decoded in one pass
and put back in the order asked for.
"""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from lerobot_core.errors import DataError

logger = logging.getLogger(__name__)

RGB = "rgb24"

_INSTALL = "pip install torchcodec (a version built for the installed torch) and FFmpeg 4 to 8, or choose pyav"


class Decoder(Protocol):
    """One open video."""

    def frames(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pictures (N, H, W, 3) uint8, or codes (N, H, W) uint16, nearest to ascending times (N,) [s], and their own times (N,) [s]."""
        ...

    def close(self) -> None: ...


class PyavDecoder:
    """Decodes with FFmpeg through PyAV, on one thread: loaders bring their own processes."""

    def __init__(self, path: Path, pixels: str = RGB) -> None:
        self._pixels = pixels
        self._container = av.open(str(path))
        stream = self._stream = self._container.streams.video[0]
        stream.codec_context.thread_count = 1
        self._tick = float(stream.time_base)
        self._start = stream.start_time or 0
        self._period = 1 / float(stream.average_rate)
        self._colours = VideoReformatter()  # kept: setting up the conversion costs more than converting a small picture
        self._keys = np.sort([entry.timestamp for entry in stream.index_entries if entry.is_keyframe])
        self._decoded: Iterator[av.VideoFrame] = iter(())
        self._current: av.VideoFrame | None = None
        self._previous: av.VideoFrame | None = None

    def frames(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        out, stamps = [], np.empty(len(times))
        for i, time in enumerate(times):
            frame = self._nearest(float(time))
            stamps[i] = self._time(frame)
            if i and stamps[i] == stamps[i - 1]:
                out.append(out[-1])
            else:
                out.append(self._colours.reformat(frame, format=self._pixels, threads=1).to_ndarray())
        return np.stack(out), stamps

    def _nearest(self, time: float) -> av.VideoFrame:
        # Frames are exact to a tick; a quarter of a period keeps float error from costing one more decoded frame.
        until = time - self._period / 4
        if self._must_seek(until):
            self._seek(until)
        while self._current is None or self._time(self._current) < until:
            frame = next(self._decoded, None)
            if frame is None:
                break
            self._previous, self._current = self._current, frame
        near = [frame for frame in (self._previous, self._current) if frame is not None]
        if not near:
            raise DataError(f"no frame at {time:.6f} s")
        return min(near, key=lambda frame: abs(self._time(frame) - time))

    def _time(self, frame: av.VideoFrame) -> float:
        return (frame.pts - self._start) * self._tick

    def _must_seek(self, until: float) -> bool:
        if self._current is None:
            return True
        position = self._time(self._current)
        behind = self._previous is None or self._time(self._previous) >= until
        if position >= until:
            return behind and position - until >= self._period / 2
        return bool(self._key_before(until + self._period / 2) * self._tick > position)

    def _key_before(self, time: float) -> int:
        i = int(np.searchsorted(self._keys, time / self._tick, side="right")) - 1
        return int(self._keys[max(i, 0)]) if len(self._keys) else 0

    def _seek(self, until: float) -> None:
        """Stand before the first frame at or after `until`; where key frames are stored out of order, go back further."""
        target = self._key_before(until + self._period / 2)
        while True:
            self._container.seek(max(target, 0), stream=self._stream, backward=True)
            self._decoded = self._container.decode(self._stream)
            self._previous, self._current = None, next(self._decoded, None)
            reached = self._current is not None and self._time(self._current) < until + self._period / 2
            if reached or target <= 0:
                return
            target = self._key_before((target - 1) * self._tick) if target > self._keys[0] else 0

    def close(self) -> None:
        self._container.close()


class TorchcodecDecoder:
    """Decodes with torchcodec, which reads a whole batch of times at once."""

    def __init__(self, path: Path) -> None:
        decoders = _torchcodec()
        if isinstance(decoders, str):
            raise DataError(f"video_backend 'torchcodec' does not load: {decoders}", hint=_INSTALL)
        self._decoder = decoders.VideoDecoder(
            str(path), seek_mode="approximate", dimension_order="NHWC", num_ffmpeg_threads=1
        )
        self._fps = self._decoder.metadata.average_fps
        self._count = self._decoder.metadata.num_frames

    def frames(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        indices = np.clip(np.round(times * self._fps).astype(int), 0, self._count - 1)
        batch = self._decoder.get_frames_at(indices.tolist())
        return batch.data.numpy(), batch.pts_seconds.numpy()

    def close(self) -> None:
        self._decoder = None


_DECODERS = {"pyav": PyavDecoder, "torchcodec": TorchcodecDecoder}


@cache
def _torchcodec() -> Any:
    """The module of torchcodec's decoders, or why it does not load. Probed once: the import takes seconds."""
    try:
        from torchcodec import decoders
    except (ImportError, OSError, RuntimeError) as error:
        return str(error).strip().splitlines()[0]
    return decoders


def torchcodec_problem() -> str:
    """Why torchcodec does not load here, or an empty string."""
    found = _torchcodec()
    return found if isinstance(found, str) else ""


def choose(backend: str | None) -> str:
    """Name of the decoder to use: the one asked for, else torchcodec where it loads, else pyav.

    Raises:
        DataError: an unknown name, or torchcodec asked for where it does not load.
    """
    if backend is None:
        if problem := torchcodec_problem():
            logger.info("videos are decoded by pyav; torchcodec does not load: %s", problem)
            return "pyav"
        return "torchcodec"
    if backend not in _DECODERS:
        raise DataError(f"video_backend is torchcodec or pyav, got '{backend}'")
    if backend == "torchcodec" and (problem := torchcodec_problem()):
        raise DataError(f"video_backend 'torchcodec' does not load: {problem}", hint=_INSTALL)
    return backend


class VideoReader:
    """Frames of many videos. Keeps the decoders used last open; they are never shared with another process.

    Args:
        backend: pyav or torchcodec.
        tolerance_s: how far the nearest frame may be from the time asked for [s].
        size: open decoders kept; $LEROBOT_VIDEO_DECODER_CACHE_SIZE, else 100, when not given.
    """

    def __init__(self, backend: str = "pyav", tolerance_s: float = 1e-4, size: int | None = None) -> None:
        self.backend = backend
        self.tolerance_s = tolerance_s
        self._size = _cache_size() if size is None else size
        self._open: OrderedDict[Path, Decoder] = OrderedDict()
        self._process = os.getpid()

    def frames(self, path: Path, times: np.ndarray, pixels: str = RGB) -> np.ndarray:
        """Pictures (N, H, W, 3) uint8 at times (N,) [s], in the order asked for; pixels but RGB are decoded by pyav.

        Raises:
            DataError: the file is missing or broken, or has no frame within the tolerance of a time.
        """
        wanted, back = np.unique(np.asarray(times, dtype=np.float64), return_inverse=True)
        try:
            pictures, found = self._decoder(path, pixels).frames(wanted)
        except (av.FFmpegError, RuntimeError, IndexError, DataError) as error:
            self._open.pop(path, None)
            raise DataError(
                f"'{path}' cannot be decoded between {wanted[0]:.6f} and {wanted[-1]:.6f} s: {error}", path=path
            ) from error
        off = np.abs(found - wanted)
        if (worst := int(off.argmax())) is not None and off[worst] > self.tolerance_s:
            raise DataError(
                f"'{path}' has no frame within {self.tolerance_s} s of {wanted[worst]:.6f} s, "
                f"the nearest is at {found[worst]:.6f} s",
                path=path,
                hint="the video does not fit the table of frames; raise tolerance_s if its clock is known to be off",
            )
        return pictures if len(back) == len(wanted) and (np.diff(back) > 0).all() else pictures[back]

    def _decoder(self, path: Path, pixels: str) -> Decoder:
        if os.getpid() != self._process:  # forked: the parent's decoders are not ours to use
            self._open, self._process = OrderedDict(), os.getpid()
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        if not path.is_file():
            raise DataError(f"'{path}' not found", path=path, hint="fetch the videos of the dataset")
        decoder = self._open[path] = _DECODERS[self.backend](path) if pixels == RGB else PyavDecoder(path, pixels)
        if len(self._open) > self._size:
            self._open.popitem(last=False)[1].close()
        return decoder

    def close(self) -> None:
        """Close every decoder; the reader can be used again."""
        while self._open:
            self._open.popitem()[1].close()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": OrderedDict()}


def _cache_size() -> int:
    text = os.environ.get("LEROBOT_VIDEO_DECODER_CACHE_SIZE", "100").strip().lower()
    if text in ("none", "unbounded", "-1"):
        return 1 << 30
    if not text.isdigit() or int(text) == 0:
        raise DataError(f"LEROBOT_VIDEO_DECODER_CACHE_SIZE is a number above 0, 'none' or -1, got '{text}'")
    return int(text)


def iterate(path: Path, start: float, stop: float, pixels: str = RGB) -> Iterator[np.ndarray]:
    """The pictures (H, W, 3) uint8, or codes (H, W) uint16, from `start` up to, but not including, `stop` [s], in order.

    Raises:
        DataError: the file is missing or broken.
    """
    if not path.is_file():
        raise DataError(f"'{path}' not found", path=path, hint="fetch the videos of the dataset")
    try:
        with av.open(str(path)) as container:
            stream, colours = container.streams.video[0], VideoReformatter()
            tick, offset = float(stream.time_base), stream.start_time or 0
            half = 0.5 / float(stream.average_rate)
            container.seek(max(int((start - half) / tick), 0), stream=stream, backward=True)
            for frame in container.decode(stream):
                time = (frame.pts - offset) * tick
                if time > stop - half:
                    return
                if time > start - half:
                    yield colours.reformat(frame, format=pixels, threads=1).to_ndarray()
    except av.FFmpegError as error:
        raise DataError(f"'{path}' cannot be decoded: {error}", path=path) from error
