"""Pictures to an mp4, one at a time; appending to an mp4 without encoding again. Knows paths, no datasets. PyAV."""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

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
        threads = f":lp={config.threads}" if config.threads else ""
        return _text(out | {"svtav1-params": f"fast-decode={config.fast_decode}{threads}"})
    out["threads"] = config.threads
    if name == "libaom-av1":
        return _text(out | {"row-mt": 1})
    return _text(out | {"tune": "fastdecode" if config.fast_decode else None})


def _text(values: dict[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items() if value is not None}


#: Every frame is in the file, and can be found there, as soon as the next one is encoded.
_FRAGMENTS = "frag_every_frame+empty_moov+default_base_moof"


_BOX = struct.Struct(">I4s")  # how each part of an mp4 begins: its length and its kind


class VideoFile:
    """An mp4 being written, picture by picture; frame n is shown n / fps after the first. Killed, it can be read.

    Args:
        path: the file; its folder exists.
        size: (H, W) of the pictures.
        fps: frames per second.
        config: how to encode.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: int, config: EncoderConfig) -> None:
        os.environ.setdefault("SVT_LOG", "1")  # errors only; it writes a page per file to stderr otherwise
        self.count = 0
        self._container = av.open(str(path), "w", options={"movflags": _FRAGMENTS, "flush_packets": "1"})
        self._stream = self._container.add_stream(encoder_name(config.vcodec), rate=fps, options=options(config))
        self._stream.height, self._stream.width = size
        self._stream.pix_fmt = config.pix_fmt
        self._time_base = Fraction(1, fps)
        self._container.start_encoding()  # opens the encoder now, on this thread

    def write(self, picture: np.ndarray) -> None:
        """Append a picture (H, W, 3) uint8."""
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = self.count, self._time_base
        self._container.mux(self._stream.encode(frame))
        self.count += 1

    def close(self) -> None:
        """Write what the encoder still holds and finish the file."""
        if self.count:
            self._container.mux(self._stream.encode(None))
        self._container.close()


def join(clips: Sequence[tuple[Path, Fraction]], target: Path) -> None:
    """One mp4 of clips with the same encoding and when each begins [s], by copying packets.

    Raises:
        DataError: their encodings differ.
    """
    kind, last = None, None
    with av.open(str(target), "w", options={"movflags": "faststart"}) as out:
        for clip, at in clips:
            with av.open(str(clip)) as container:
                source = container.streams.video[0]
                if kind is None:
                    stream, kind = out.add_stream_from_template(source, opaque=True), _kind(source)
                if _kind(source) != kind:
                    raise DataError(f"'{clip}' is {_kind(source)}, the video it continues is {kind}", path=clip)
                begin = round(at / source.time_base) - _first(container, source)
                last = _copy(container.demux(source), out, stream, begin, last)


def _first(container: Any, source: Any) -> int:
    """When the first picture is shown: fragments begin where their encoder began to decode."""
    packet = next(container.demux(source))
    container.seek(0, stream=source)
    return int(packet.pts or 0)


def _copy(packets: Iterable[Any], out: Any, stream: Any, shift: int, last: int | None) -> int | None:
    """Copy packets, `shift` ticks later; returns the last decoding time.

    An encoder that reorders frames begins a clip with decoding times before its first frame, which may fall before the
    end of the clip in front when that was very short; they are then moved behind it. Presentation times never change.
    """
    for packet in packets:
        if packet.dts is None:
            continue
        dts = packet.dts + shift
        last = dts if last is None else max(dts, last + 1)
        packet.pts, packet.dts, packet.stream = packet.pts + shift, last, stream
        out.mux(packet)
    return last


def mend(path: Path) -> None:
    """Shorten an mp4 in fragments to the last that is whole; readers stumble over less."""
    end = at = 0
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        while at + 8 <= size:
            file.seek(at)
            length, kind = _BOX.unpack(file.read(8))
            at += max(length, 8)
            if kind == b"mdat" and at <= size:
                end = at
        file.truncate(end)


def cuts(path: Path, fps: int) -> set[int]:
    """After how many frames a mended video can be cut: no frame before refers to one behind, and none is missing."""
    if not path.exists() or not path.stat().st_size:
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
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except av.FFmpegError as error:
        raise DataError(f"'{path}' is damaged: {error}", path=path, hint="discard the episode") from error


def _kind(stream: Any) -> tuple[Any, ...]:
    context = stream.codec_context
    return (context.codec.canonical_name, context.width, context.height, context.pix_fmt, stream.time_base)


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
