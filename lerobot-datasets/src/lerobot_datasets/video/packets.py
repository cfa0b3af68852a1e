"""Where the packets of an MP4 file lie, and which of them some frames need: what decoding without a container takes.

Random frames of a video cost least when its packets are handed to a decoder directly: nothing is sought, parsed or flushed.
Knows the bytes' places, not the bytes; `decode` feeds them. Planning is *pure*.
"""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import attrs
import av
import numpy as np

from lerobot_core.errors import DataError
from lerobot_datasets.cache import Cache
from lerobot_datasets.video import boxes

logger = logging.getLogger(__name__)

#: Codecs that show every packet's frame when it is decoded.
_IN_ORDER = ("av1", "vp9", "vp8", "ffv1", "mjpeg", "png", "rawvideo")
_CONTAINERS = ("mp4", "mov")

#: Most bytes of a file in fragments that are read to open it.
_HEAD = 8 << 20

_ARRAYS = ("pos", "size", "pts", "is_key", "is_shown")


class Run(NamedTuple):
    """Packets to be decoded in one go: from the key packet `begin` on, for the frames of the packets `wanted` (n,)."""

    begin: int
    wanted: np.ndarray


@attrs.frozen(kw_only=True, eq=False)
class PacketTable:
    """The video stream of one file. Arrays are in decode order; a frame is known by the number of its packet.

    Attributes:
        codec: name of FFmpeg's decoder.
        extradata: what the decoder must be told before the first packet.
        height: of the pictures [px].
        width: of the pictures [px].
        pixel_format: of the stream.
        colours: range, matrix, primaries and transfer as FFmpeg numbers them; a decoder takes them where packets do not tell.
        tick: unit of the stamps, as numerator and denominator [s].
        start: stamp of time 0 [ticks].
        rate: average number of frames per second.
        delays: the decoder gives a frame only when it has seen later packets.
        pos: of the first byte (N,) int64.
        size: bytes (N,) int64.
        pts: when the frame is shown (N,) int64 [ticks].
        is_key: decoding can begin here (N,) bool.
        is_shown: whether the frame is to be shown at all (N,) bool.
    """

    codec: str
    extradata: bytes
    height: int
    width: int
    pixel_format: str
    colours: tuple[int, int, int, int]
    tick: tuple[int, int]
    start: int
    rate: float
    delays: bool
    pos: np.ndarray
    size: np.ndarray
    pts: np.ndarray
    is_key: np.ndarray
    is_shown: np.ndarray

    @classmethod
    def of(cls, file: Path | BinaryIO) -> PacketTable:
        """The table of a path or of a file that is open for reading and can seek.

        Raises:
            DataError: the file is no MP4, holds no video, or is broken.
        """
        if isinstance(file, Path):
            with file.open("rb") as opened:
                return cls.of(opened)
        name = getattr(file, "name", "the video")
        path = Path(name) if isinstance(file, io.BufferedReader) else None
        try:
            found, head = _indexed(file)
            file.seek(0)
            # FFmpeg would look through all fragments, which was done.
            source = io.BytesIO(file.read(head)) if head else file if path is None else str(path)
            with closing(av.open(source)) as container:
                if not set(container.format.name.split(",")) & set(_CONTAINERS) or not container.streams.video:
                    raise DataError(f"'{name}' is no MP4 file with a video", path=path)
                stream = container.streams.video[0]
                return cls(**_described(stream), **(found or _demuxed(container, stream)))
        except (av.FFmpegError, UnicodeDecodeError) as error:
            raise DataError(f"'{name}' cannot be decoded: {error}", path=path) from error

    def save(self, path: Path) -> None:
        """Write it to a file that `load` maps."""
        told = {field.name: getattr(self, field.name) for field in attrs.fields(type(self))}
        rows = np.stack([told.pop(name).astype(np.int64) for name in _ARRAYS])
        head = json.dumps(told | {"extradata": self.extradata.hex()}).encode()
        head += b" " * (-(len(head) + 1) % rows.itemsize) + b"\n"
        with path.open("wb") as file:
            file.write(head)
            file.write(rows.tobytes())
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def load(cls, path: Path) -> PacketTable:
        """The table that `save` wrote; its arrays are read when they are used.

        Raises:
            ValueError: the file holds none, or not all of it.
        """
        with path.open("rb") as file:
            head = file.readline()
        told = json.loads(head)
        rows = np.memmap(path, np.int64, "r", offset=len(head)).view(np.ndarray).reshape(len(_ARRAYS), -1)
        told |= {"extradata": bytes.fromhex(told["extradata"])}
        told |= {"colours": tuple(told["colours"]), "tick": tuple(told["tick"])}
        found = dict(zip(_ARRAYS, rows, strict=True))
        return cls(**told, **found | {name: found[name].astype(bool) for name in ("is_key", "is_shown")})

    def __len__(self) -> int:
        return len(self.pos)

    @property
    def kind(self) -> tuple[object, ...]:
        """What a decoder must be told before the first packet; streams of one kind can share one."""
        return self.codec, self.extradata, self.height, self.width, self.pixel_format, self.colours

    @cached_property
    def shown(self) -> np.ndarray:
        """The packets whose frames are shown, in the order of showing (n,) int64."""
        visible = np.flatnonzero(self.is_shown)
        return visible[np.argsort(self.pts[visible], kind="stable")]

    @cached_property
    def times(self) -> np.ndarray:
        """When the frames of `shown` are shown (n,) [s], ascending."""
        return (self.pts[self.shown] - self.start) * (self.tick[0] / self.tick[1])

    @cached_property
    def begins(self) -> np.ndarray:
        """The key packet from which each packet's frame must be decoded (N,) int64.

        It is the last one before it, but for frames shown before that one: these lean on what came earlier still.
        """
        keys = np.flatnonzero(self.is_key)
        if not len(keys) or keys[0]:
            keys = np.append(0, keys)
        which = np.searchsorted(keys, np.arange(len(self)), side="right") - 1
        while True:
            leading = (self.pts < self.pts[keys[which]]) & (which > 0)
            if not leading.any():
                return keys[which]
            which = which - leading

    def nearest(self, times: np.ndarray) -> np.ndarray:
        """Position in `shown` (n,) of the frame nearest to each time (n,) [s]; the earlier of two.

        Raises:
            DataError: there is no frame at all.
        """
        if not len(self.times):
            raise DataError(f"no frame at {times[0]:.6f} s")
        after = np.clip(np.searchsorted(self.times, times), 1, max(len(self.times) - 1, 1))
        if len(self.times) == 1:
            return np.zeros(len(times), np.int64)
        return after - (times - self.times[after - 1] <= self.times[after] - times)

    def between(self, start: float, stop: float) -> np.ndarray:
        """The packets of the frames from `start` up to, but not including, `stop` [s], in the order of showing."""
        half = 0.5 / self.rate
        low, high = (
            np.searchsorted(self.times, start - half, "right"),
            np.searchsorted(self.times, stop - half, "right"),
        )
        return self.shown[low:high]

    def runs(self, wanted: np.ndarray) -> Iterator[Run]:
        """How to decode the frames of some packets (n,), each packet no more often than it must be."""
        if len(wanted) == 1:
            yield Run(int(self.begins[wanted[0]]), wanted)
            return
        wanted = np.unique(wanted)
        begins = self.begins[wanted]
        order = np.argsort(begins, kind="stable")
        wanted, begins = wanted[order], begins[order]
        cuts = np.flatnonzero(begins[1:] != begins[:-1]) + 1
        run: Run | None = None
        for part, begin in zip(np.split(wanted, cuts), begins[np.append(0, cuts)].tolist(), strict=True):
            # Where the run before comes by, it goes on; a decoder that delays also where it would stop just before.
            if run is not None and begin <= run.wanted[-1] + self.delays:
                run = Run(run.begin, np.sort(np.concatenate([run.wanted, part])))
                continue
            if run is not None:
                yield run
            run = Run(begin, part)
        if run is not None:
            yield run


class Tables:
    """The tables of a dataset's videos, kept in its cache."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def __call__(self, path: Path) -> PacketTable:
        """
        Raises:
            DataError: the file is no MP4, holds no video, or is broken.
        """
        built: list[PacketTable] = []

        def build(part: Path) -> None:
            built.append(PacketTable.of(path))
            built[0].save(part)

        kept = self._cache.file("packets", path, build)
        if built or kept is None:
            return built[0] if built else PacketTable.of(path)
        try:
            return PacketTable.load(kept)
        except (OSError, ValueError, TypeError, KeyError):
            self._cache.remove(kept)
            return PacketTable.of(path)


def _described(stream: Any) -> dict[str, Any]:
    context = stream.codec_context
    return {
        "codec": context.codec.name,
        "extradata": bytes(context.extradata or b""),
        "height": context.height,
        "width": context.width,
        "pixel_format": context.pix_fmt or "",
        "colours": tuple(
            int(value)
            for value in (context.color_range, context.colorspace, context.color_primaries, context.color_trc)
        ),
        "tick": (stream.time_base.numerator, stream.time_base.denominator),
        "rate": float(stream.average_rate or 1),
        "delays": context.codec.canonical_name not in _IN_ORDER,
    }


def _indexed(file: BinaryIO) -> tuple[dict[str, np.ndarray] | None, int]:
    """The packets from the tables of a file; None where these are of a kind that FFmpeg has to make sense of.

    And by how many bytes from the beginning on a file in fragments can be opened; 0 where it takes the file.
    """

    def read(offset: int, size: int) -> bytes:
        file.seek(offset)
        return file.read(size)

    size = file.seek(0, os.SEEK_END)
    try:
        found, head = boxes.packets(read, size)
    except boxes.Unusual as why:
        logger.info("'%s' is read as a whole: %s", getattr(file, "name", "the video"), why)
        return None, 0
    shown = found["pts"][found["is_shown"]]
    start = int(shown.min()) if len(shown) else 0
    return found | {"start": start}, head if head < min(size, _HEAD) else 0


def _demuxed(container: Any, stream: Any) -> dict[str, Any]:
    """The packets as they come when the whole file is read."""
    container.seek(0, stream=stream)
    rows = []
    for packet in container.demux(stream):
        if packet.size and packet.pos is not None and packet.pts is not None:
            rows.append((packet.pos, packet.size, packet.pts, packet.is_keyframe, not packet.is_discard))
    found = dict(zip(_ARRAYS, np.ascontiguousarray(np.array(rows, np.int64).reshape(-1, 5).T), strict=True))
    flags = {name: found[name].astype(bool) for name in ("is_key", "is_shown")}
    return found | flags | {"start": stream.start_time or 0}
