"""Pictures to an mp4, one at a time; appending to an mp4 without encoding again. Knows paths, no datasets. PyAV."""

from __future__ import annotations

import errno
import itertools
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np

from lerobot_core.errors import DataError
from lerobot_datasets.config import EncoderConfig

#: Encoders that need no hardware.
SOFTWARE = ("libsvtav1", "h264", "hevc")
#: Hardware encoders in the order `auto` tries them.
HARDWARE = ("h264_videotoolbox", "hevc_videotoolbox", "h264_nvenc", "hevc_nvenc", "h264_vaapi", "h264_qsv")


@cache
def encoder_name(vcodec: str) -> str:
    """The encoder behind a `vcodec`.

    Raises:
        DataError: FFmpeg here has no such encoder.
    """
    if vcodec == "auto":
        return next((name for name in HARDWARE if opens(name)), "libsvtav1")
    name = "libsvtav1" if vcodec == "av1" else vcodec
    try:
        av.Codec(name, "w")
    except ValueError:
        raise DataError(f"there is no video encoder '{name}' here", hint="choose vcodec libsvtav1 or h264") from None
    return name


def opens(name: str) -> bool:
    """Whether a registered encoder finds its hardware."""
    try:
        context = av.CodecContext.create(name, "w")
        context.width, context.height, context.pix_fmt, context.time_base = 256, 256, "yuv420p", Fraction(1, 30)
        context.open()
    except (ValueError, av.FFmpegError):
        return False
    return True


def preset(config: EncoderConfig) -> int | str | None:
    """The preset in effect: libsvtav1 has a default of its own here."""
    if config.preset is None and encoder_name(config.vcodec) == "libsvtav1":
        return 12
    return config.preset


def options(config: EncoderConfig) -> dict[str, str]:
    """The encoder's options in FFmpeg's names."""
    found = dict(config.extra_options) | _structured(config)
    if config.vcodec == "hevc":  # it tells its life to stderr otherwise
        found["x265-params"] = ":".join([*filter(None, [found.get("x265-params")]), "log-level=error"])
    return found


def _structured(config: EncoderConfig) -> dict[str, str]:
    name = encoder_name(config.vcodec)
    out: dict[str, Any] = {"g": config.g}
    if name.endswith("videotoolbox"):
        return _text(out | {"q:v": min(100, max(1, 100 - 2 * config.crf))})
    if name.endswith("nvenc"):
        return _text(out | {"rc": 0, "qp": config.crf, "preset": config.preset})
    if name.endswith("vaapi"):
        return _text(out | {"qp": config.crf})
    if name.endswith("qsv"):
        return _text(out | {"global_quality": config.crf, "preset": config.preset})
    out |= {"crf": config.crf, "preset": preset(config)}
    if name == "libsvtav1":
        words = [f"fast-decode={config.fast_decode}", "lookahead=0"]
        words += [f"lp={config.threads}"] if config.threads else []
        words += ["hierarchical-levels=2"] if config.g <= _SHORT else []
        words += [given] if (given := config.extra_options.get("svtav1-params")) else []
        return _text(out | {"svtav1-params": ":".join(words)})
    out["threads"] = config.threads
    if config.g <= 2:  # nothing to reorder, and decoding times need not lie ahead
        out["bf"] = 0
    if name == "libaom-av1":
        return _text(out | {"row-mt": 1})
    return _text(out | {"tune": "fastdecode" if config.fast_decode else None})


#: Up to this many frames from one key frame to the next, a libsvtav1 that looks no further than four frames ahead gives
#: the same bytes, has fewer frames under way, and is sooner done when an episode ends.
_SHORT = 4


def _text(values: dict[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items() if value is not None}


#: Every frame is in the file, and can be found there, as soon as the next one is encoded. When the file is closed an index
#: is put behind them, which makes it an ordinary mp4 without a copy. The first frame is shown at 0 also where an encoder
#: reorders: other readers go by the times as they stand.
_FRAGMENTS = "hybrid_fragmented+frag_every_frame+default_base_moof+negative_cts_offsets"


_BOX = struct.Struct(">I4s")  # how each part of an mp4 begins: its length and its kind


class Encoded:
    """Frames through an encoder: their packets, each in its turn.

    SVT-AV1 (4.1) at times gives out two packets in each other's place where its threads are held up, seen in one of some hundred
    videos on a busy machine: those of AV1, which have the order of their frames (AV1 specification, 7.5), wait for their turn.

    Args:
        stream: of the container; frame n has the time n.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._in_order = stream.codec_context.codec.canonical_name == "av1"
        self._early: dict[int, Any] = {}
        self._next = 0

    def __call__(self, frame: av.VideoFrame | None) -> list[Any]:
        """What there is to write after this frame; all that is left after None.

        Raises:
            DataError: the encoder never gave out one of them.
        """
        packets: list[Any] = self._stream.encode(frame)
        if not self._in_order:
            return packets
        self._early |= {packet.pts: packet for packet in packets}
        ready = []
        while self._next in self._early:
            ready.append(self._early.pop(self._next))
            self._next += 1
        if frame is None and self._early:
            raise DataError(f"the encoder lost frame {self._next}", hint="choose another vcodec")
        return ready


class VideoFile:
    """An mp4 being written, picture by picture; frame n is shown n / fps after the first.

    Attributes:
        count: pictures taken.
        delay: pictures that the encoder at most had taken and not given out.

    Args:
        path: the file; its folder exists.
        size: (H, W) of the pictures.
        fps: frames per second.
        config: how to encode.
        fragments: write it so that it can be read when this process is killed. Where an encoder reorders frames, their
            decoding times lie behind the presentation until the file is copied (`join`).
    """

    def __init__(
        self, path: Path, size: tuple[int, int], fps: int, config: EncoderConfig, *, fragments: bool = False
    ) -> None:
        os.environ.setdefault("SVT_LOG", "1")  # errors only; it writes a page per file to stderr otherwise
        self.count = self.delay = self._out = 0
        self._path = path
        self._flushes = fps if fragments else 0
        how = {"movflags": _FRAGMENTS, "flush_packets": "1"} if fragments else {}
        self._container = av.open(str(path), "w", options=how)
        self._stream = self._container.add_stream(encoder_name(config.vcodec), rate=fps, options=options(config))
        self._stream.height, self._stream.width = size
        self._stream.pix_fmt = config.pix_fmt
        is_depth = config.pix_fmt.startswith("gray")
        self._format = config.pix_fmt if is_depth else "rgb24"
        self._channels, self._dtype = ((), np.uint16) if is_depth else ((3,), np.uint8)
        self._time_base = Fraction(1, fps)
        self._encoded = Encoded(self._stream)
        self._container.start_encoding()  # opens the encoder now, on this thread

    def write(self, picture: np.ndarray) -> None:
        """Append a picture (H, W, 3) uint8, or codes (H, W) uint16 of depth."""
        frame = av.VideoFrame.from_ndarray(picture, format=self._format)
        frame.pts, frame.time_base = self.count, self._time_base
        self.count += 1
        self._mux(self._encoded(frame))
        self.delay = max(self.delay, self.count - self._out)
        if self._flushes and self.count % self._flushes == 0:
            self.flush()  # every second, so that little is left to be done when an episode ends

    def _mux(self, packets: Sequence[Any]) -> None:
        self._container.mux(packets)
        self._out += len(packets)

    def close(self) -> None:
        """Write what the encoder still holds and finish the file."""
        if not self.count:  # an index of nothing is more than the muxer can write
            self.write(np.zeros((self._stream.height, self._stream.width, *self._channels), self._dtype))
        self._mux(self._encoded(None))
        self._container.close()

    def flush(self) -> None:
        """See to it that a closed file outlives the machine's power."""
        handle = os.open(self._path, os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def join(clips: Sequence[tuple[Path, Fraction]], target: Path) -> None:
    """One mp4 of clips with the same encoding and when each begins [s], by copying packets.

    Raises:
        DataError: their encodings differ, or one is damaged.
        OSError: the disk is full.
    """
    wanted, last = None, None
    with av.open(str(target), "w", options={"movflags": "faststart"}) as out:
        for clip, at in clips:
            with _opened(clip) as container:
                source = container.streams.video[0]
                if wanted is None:
                    stream, wanted = out.add_stream_from_template(source, opaque=True), _kind(source)
                if _kind(source) != wanted:
                    raise DataError(f"'{clip}' is {_kind(source)}, the video it continues is {wanted}", path=clip)
                begin = round(at / source.time_base) - _first(container, source)
                last = _copy(container.demux(source), out, stream, begin, last)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A video to read. What is wrong with it is that it is damaged, unless the disk says otherwise."""
    try:
        with av.open(str(path)) as container:
            yield container
    except av.FFmpegError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise DataError(f"'{path}' is damaged: {error}", path=path, hint="discard the episode") from error


def _first(container: Any, source: Any) -> int:
    """When the first picture is shown; some writers begin where their encoder began to decode."""
    packet = next(container.demux(source))
    container.seek(0, stream=source)
    return int(packet.pts or 0)


def _copy(packets: Iterable[Any], out: Any, stream: Any, shift: int, last: int | None) -> int | None:
    """Copy the packets of a clip, `shift` ticks later; returns the last decoding time.

    Presentation times never change. Decoding times are made anew, as late as the order of the frames allows: those of a
    recording in fragments may lie behind the presentation, and those of a clip that begins with frames out of order may
    fall before the end of the clip in front.
    """
    found = [packet for packet in packets if packet.size]
    shown = sorted(packet.pts for packet in found)
    ahead = max((time - packet.pts for time, packet in zip(shown, found, strict=True)), default=0)
    for time, packet in zip(shown, found, strict=True):
        dts = time - ahead + shift
        last = dts if last is None else max(dts, last + 1)
        packet.pts, packet.dts, packet.stream = packet.pts + shift, last, stream
        out.mux(packet)
    return last


def mend(path: Path) -> None:
    """Shorten an mp4 in fragments to the last that is whole; readers stumble over less. One with an index stays."""
    with path.open("r+b") as file:
        end, indexed, hidden = _whole(file)
        if hidden is not None and not indexed:  # killed while it was closed: the fragments show again
            file.seek(hidden)
            file.write(_BOX.pack(16, b"free") + bytes(8))
            end, _, _ = _whole(file)
        file.truncate(end)


def _whole(file: BinaryIO) -> tuple[int, bool, int | None]:
    """Where the last whole part of an mp4 ends, whether it has its index, and where fragments are hidden from readers."""
    end, at, indexed, hidden, size = 0, 0, False, None, file.seek(0, os.SEEK_END)
    while at + 16 <= size:
        file.seek(at)
        length, kind, longer = struct.unpack(">I4sQ", file.read(16))
        if length == 1:
            hidden, length = at, longer
        elif (length, kind) == (8, b"free"):  # and the frames follow
            hidden = at
        at += max(length, 8)
        if at <= size and (kind == b"mdat" or (kind == b"moov" and not indexed)):
            indexed |= kind == b"moov"
            end = at
    return end, indexed, hidden


def cuts(path: Path, fps: int) -> set[int]:
    """After how many frames a mended video can be cut: no frame before refers to one behind, and none is missing."""
    if not path.exists() or not path.stat().st_size:  # mended: there is no whole frame
        return {0}
    with av.open(str(path)) as container:
        source = container.streams.video[0]
        times = [packet.pts for packet in container.demux(source) if packet.dts is not None]
        step = 1 / (fps * source.time_base)
    latest = itertools.accumulate(times, max)
    return {0} | {count for count, time in enumerate(latest, 1) if time - times[0] == (count - 1) * step}


def cut(path: Path, length: int, target: Path) -> None:
    """The first `length` frames of a video, which is one of its `cuts`, by copying packets."""
    with av.open(str(path)) as container, av.open(str(target), "w") as out:
        source = container.streams.video[0]
        stream = out.add_stream_from_template(source, opaque=True)
        shift = -_first(container, source)
        _copy(itertools.islice(container.demux(source), length), out, stream, shift, None)


def pictures(path: Path) -> Iterator[np.ndarray]:
    """All pictures (H, W, 3) uint8 of a video, in order.

    Raises:
        DataError: it is damaged.
    """
    with _opened(path) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def _kind(stream: Any) -> tuple[Any, ...]:
    context = stream.codec_context
    return (context.codec.canonical_name, context.width, context.height, context.pix_fmt, stream.time_base)


def kind(path: Path) -> tuple[Any, ...]:
    """What a decoder must be set up for; videos of one kind can be joined.

    Raises:
        DataError: it is damaged.
    """
    with _opened(path) as container:
        stream = container.streams.video[0]
        return (*_kind(stream), stream.codec_context.extradata)


def reordered(path: Path) -> bool:
    """Whether a video was closed as it was recorded, and decodes frames after they are shown by its times."""
    with _opened(path) as container:
        packets = itertools.islice(container.demux(video=0), 100)
        return any(packet.size and packet.dts is not None and packet.pts < packet.dts for packet in packets)


def describe(path: Path, config: EncoderConfig) -> dict[str, Any]:
    """The `info` of a video feature: what the stream is, then how it was encoded."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        return {
            "video.height": context.height,
            "video.width": context.width,
            "video.codec": context.codec.canonical_name,
            "video.pix_fmt": context.pix_fmt,
            "video.fps": int(stream.base_rate or stream.average_rate),
            "video.channels": len(context.format.components),
            "has_audio": bool(container.streams.audio),
            "video.g": config.g,
            "video.crf": config.crf,
            "video.preset": preset(config),
            "video.fast_decode": config.fast_decode,
            "video.video_backend": "pyav",
            "video.extra_options": dict(config.extra_options),
            "is_depth_map": False,
        }
