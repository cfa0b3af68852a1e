"""One camera of a new dataset: clips of existing videos, one after the other, in numbered files. Knows no tables.

Packets are copied as they are when a clip begins at a key frame and its packets are neighbours in the file, which an
episode recorded as a whole always is. Of any other clip only what lies before its first key frame, and behind its last
where the encoder reordered frames, is decoded and encoded again with its source's settings, if that gives what the
source's decoder is set up for; else the clip is, whole. A clip that needs another decoder set-up than the file before
it begins a new file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import dropwhile, islice
from pathlib import Path
from typing import Any, NamedTuple

import av

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.edit.clips import Clip, Packets, Pictures, encoded, encoder_of, scan
from lerobot_datasets.edit.plan import Filling
from lerobot_datasets.v3.layout import MIB, Place
from lerobot_datasets.v3.metadata import Info

#: A file of the plan's sources: the number of the source, which may be the same dataset twice, and the path.
File = tuple[int, Path]


class Part(NamedTuple):
    """Packets to be copied: a file, all its packets, and which of them."""

    path: Path
    packets: Packets
    run: slice


def parts(
    clip: Clip, packets: Packets, key: str, feature: Feature, scratch: Path, stopped: Callable[[], bool]
) -> list[Part]:
    """The clip as packets, with as little as possible encoded again into files named after `scratch`.

    Raises:
        DataError: the video is broken, lacks frames of the clip, or is encoded as nothing here encodes.
    """
    if (run := packets.run(clip)) is not None:
        return [Part(clip.path, packets, run)]
    if (middle := packets.middle(clip)) is not None:
        first, stop = middle
        out = []
        for name, begin, end in (("head", 0, first), ("", first, stop), ("tail", stop, clip.length)):
            part = clip.part(begin, end)
            if name and end > begin:
                out.append(again(part, encoder_of(key, feature), scratch.with_suffix(f".{name}.mp4"), stopped))
            elif end > begin and (run := packets.run(part)) is not None:
                out.append(Part(clip.path, packets, run))
        if all(part.packets.kind == packets.kind for part in out):
            return out
    return [again(clip, encoder_of(key, feature), scratch, stopped)]


def again(pictures: Pictures, encoder: EncoderConfig, target: Path, stopped: Callable[[], bool]) -> Part:
    """Pictures encoded to a file of their own."""
    found = encoded(pictures, target, encoder, stopped)
    return Part(target, found, slice(0, pictures.length))


def kept(pictures: Pictures, encoder: EncoderConfig, folder: Path, stopped: Callable[[], bool]) -> Part:
    """The same in a folder of such files, which outlives an interruption: what is in it is not encoded a second time."""
    told = f"{pictures.identity()} {encoder}".encode()
    target = folder / f"{hashlib.sha256(told).hexdigest()[:32]}.mp4"
    with suppress(DataError):  # it is not there, or a power cut broke it
        if len((found := scan(target)).ticks) == pictures.length:
            return Part(target, found, slice(0, pictures.length))
    begun = target.with_suffix(f".{os.getpid()}.mp4")
    try:
        part = again(pictures, encoder, begun, stopped)
        begun.replace(target)
    finally:
        begun.unlink(missing_ok=True)
    return part._replace(path=target)


class Videos:
    """Writes the files of one camera.

    Args:
        root: folder of the new dataset.
        info: its paths and sizes.
        key: the camera.
        filling: how files of the sources become files of the new dataset.
    """

    def __init__(self, root: Path, info: Info, key: str, filling: Filling = "filled") -> None:
        self._root, self._info, self._key, self._filling = root, info, key, filling
        self._next = self._place = Place()
        self._out: Any = None
        self._source: File | None = None
        #: the first file that was written
        self.first: Path | None = None

    def add(self, found: Sequence[Part], source: File | None, fps: int) -> tuple[Place, float, float]:
        """Append an episode; returns its file, and where it begins and ends in it [s].

        Args:
            found: its packets.
            source: the file it comes from; None when it is encoded anew.
            fps: frames per second.
        """
        size = sum(int(part.packets.sizes[part.run].sum()) for part in found)
        if self._out is None or self._full(size, found, source) or self._kind != found[0].packets.kind:
            self._open(found[0])
        self._source = source
        begin = self._frames
        for part in found:
            self._copy(part, fps)
        self._size += size
        return self._place, begin / fps, self._frames / fps

    def _full(self, size: int, found: Sequence[Part], source: File | None) -> bool:
        """Whether the episode begins a new file."""
        if self._filling != "filled" and source is not None:
            if source == self._source:
                return False
            size = int(found[-1].packets.sizes.sum())
        kept = self._filling == "kept" and source is not None
        return kept or (self._size + size) / MIB >= self._info.video_files_size_in_mb

    def _open(self, like: Part) -> None:
        """Begin the next file, set up as that one."""
        self.close()
        self._place, self._next = self._next, self._next.next(self._info.chunks_size)
        self._path = self._root / self._info.video_file(self._place, self._key)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.first = self.first or self._path
        self._out = av.open(str(self._path), "w", options={"movflags": "faststart"})
        with av.open(str(like.path)) as container:
            self._stream = self._out.add_stream_from_template(container.streams.video[0], opaque=True)
        self._kind, self._frames, self._size = like.packets.kind, 0, 0
        self._last: int | None = None

    def _copy(self, part: Part, fps: int) -> None:
        """Copy packets of a file.

        Decoding times always grow: those of reordered frames may fall before the end of the clip in front.
        """
        ticks, count = part.packets.ticks[part.run], part.run.stop - part.run.start
        first, earliest = int(ticks[0]), int(ticks.min())
        with av.open(str(part.path)) as container:
            source: Any = container.streams.video[0]
            shift = round(Fraction(self._frames, fps) / source.time_base) - earliest
            container.seek(first, stream=source, backward=True)
            packets = (packet for packet in container.demux(source) if packet.dts is not None)
            packet: Any
            for packet in islice(dropwhile(lambda packet: packet.pts != first, packets), count):
                dts = packet.dts + shift
                self._last = dts if self._last is None else max(dts, self._last + 1)
                packet.pts, packet.dts, packet.stream = packet.pts + shift, self._last, self._stream
                self._out.mux(packet)
        self._frames += count

    def close(self, *, check: bool = True) -> None:
        """Finish the file that is open, and count its frames.

        Raises:
            DataError: it does not hold what was appended.
        """
        if self._out is None:
            return
        self._out.close()
        self._out = None
        if check and (count := len(scan(self._path).ticks)) != self._frames:
            raise DataError(f"'{self._path.name}' of '{self._key}' got {count} of {self._frames} frames")
