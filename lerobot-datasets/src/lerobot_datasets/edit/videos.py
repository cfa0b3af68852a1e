"""One camera of a new dataset: clips of existing videos, one after the other, in numbered files. Knows no tables.

Packets are copied as they are when a clip begins at a key frame and its packets are neighbours in the file, which an
episode recorded as a whole always is. Any other clip is decoded and encoded again with its source's settings: up to its
first key frame if that gives what the source's decoder is set up for, else whole. A clip that needs another decoder
set-up than the file before it begins a new file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import dropwhile, islice
from pathlib import Path
from typing import Any

import attrs
import av
import numpy as np

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets import stats
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.v3.layout import MIB, Place
from lerobot_datasets.v3.metadata import RESTORE, Info
from lerobot_datasets.video import decode
from lerobot_datasets.video.encode import SOFTWARE, VideoFile


@attrs.frozen(kw_only=True)
class Clip:
    """An episode in a video file, or a part of it.

    Attributes:
        path: the file.
        episode: number of the episode, for messages.
        start: time of the first frame [s].
        length: number of frames.
        fps: frames per second.
    """

    path: Path
    episode: int
    start: float
    length: int
    fps: int

    def pictures(self) -> Iterator[np.ndarray]:
        """The frames, (H, W, 3) uint8.

        Raises:
            DataError: there are fewer.
        """
        count = 0
        for picture in decode.iterate(self.path, self.start, self.start + self.length / self.fps):
            count += 1
            yield picture
        if count != self.length:
            raise self.short(count)

    def short(self, count: int) -> DataError:
        return DataError(
            f"'{self.path}' holds {count} of the {self.length} frames of episode {self.episode} from {self.start:.3f} s",
            path=self.path,
            episode=self.episode,
            hint=RESTORE,
        )


@attrs.frozen(kw_only=True)
class Packets:
    """The packets of a video file in the order they lie in it, each (packets,).

    Attributes:
        kind: what a decoder must be set up for.
        times: when each is shown [s].
        ticks: the same in ticks of the stream.
        keys: which are key frames.
        sizes: bytes.
    """

    kind: tuple[Any, ...]
    times: np.ndarray
    ticks: np.ndarray
    keys: np.ndarray
    sizes: np.ndarray

    def run(self, clip: Clip) -> slice | None:
        """The packets of a clip, if it can be copied; None if it cannot.

        Raises:
            DataError: the video lacks frames of the clip.
        """
        half = 0.5 / clip.fps
        end = clip.start + clip.length / clip.fps
        inside = np.flatnonzero((self.times > clip.start - half) & (self.times < end - half))
        if len(inside) != clip.length:
            raise clip.short(len(inside))
        first, last = int(inside[0]), int(inside[-1])
        neighbours = last - first + 1 == clip.length
        starts = self.keys[first] and self.ticks[first] == self.ticks[inside].min()
        return slice(first, last + 1) if neighbours and starts else None

    def rest(self, clip: Clip) -> Clip | None:
        """The longest end of a clip that can be copied; None if there is none."""
        for time in np.sort(self.times[self.keys]):
            head = round((time - clip.start) * clip.fps)
            if 0 < head < clip.length:
                rest = attrs.evolve(clip, start=clip.start + head / clip.fps, length=clip.length - head)
                if self.run(rest) is not None:
                    return rest
        return None


def scan(path: Path) -> Packets:
    """The packets of a video.

    Raises:
        DataError: the file is missing or broken.
    """
    if not path.is_file():
        raise DataError(f"'{path}' not found", path=path, hint=RESTORE)
    try:
        with av.open(str(path)) as container:
            stream: Any = container.streams.video[0]
            found = [(p.pts, p.is_keyframe, p.size) for p in container.demux(stream) if p.dts is not None]
            context = stream.codec_context
            kind = (context.codec.canonical_name, context.width, context.height, context.pix_fmt, context.extradata)
            tick, offset = stream.time_base, stream.start_time or 0
    except (av.FFmpegError, IndexError) as error:
        raise DataError(f"'{path}' cannot be read: {error}", path=path, hint=RESTORE) from error
    ticks, keys, sizes = np.array(found, dtype=np.int64).reshape(-1, 3).T
    times = (ticks - offset) * float(tick)
    return Packets(kind=(*kind, tick), times=times, ticks=ticks, keys=keys != 0, sizes=sizes)


#: A file, its packets, and which of them.
_Part = tuple[Path, Packets, slice]


class Videos:
    """Writes the files of one camera.

    Args:
        root: folder of the new dataset.
        info: its paths and sizes.
        key: the camera.
    """

    def __init__(self, root: Path, info: Info, key: str) -> None:
        self._root, self._info, self._key = root, info, key
        self._feature = info.features[key]
        self._next = self._place = Place()
        self._again = root / f".{key}.mp4"
        self._out: Any = None

    def add(self, clip: Clip, packets: Packets) -> tuple[Place, float, float]:
        """Append a clip; returns its file, and where it begins and ends in it [s].

        Args:
            clip: what to append.
            packets: those of the clip's file.

        Raises:
            DataError: the video is broken or lacks frames of the clip.
        """
        run = packets.run(clip)
        parts = self._encoded(clip, packets) if run is None else [(clip.path, packets, run)]
        try:
            return self._append(clip, parts)
        finally:
            self._again.unlink(missing_ok=True)

    def _encoded(self, clip: Clip, packets: Packets) -> list[_Part]:
        """The clip with as little as possible encoded again."""
        rest = packets.rest(clip)
        if rest is not None:
            head = clip.length - rest.length
            again = self._encode(attrs.evolve(clip, length=head))
            run = packets.run(rest)
            if again.kind == packets.kind and run is not None:
                return [(self._again, again, slice(0, head)), (clip.path, packets, run)]
        return [(self._again, self._encode(clip), slice(0, clip.length))]

    def _encode(self, clip: Clip) -> Packets:
        pictures = clip.pictures()
        first = next(pictures)
        file = VideoFile(self._again, first.shape[:2], clip.fps, encoder_of(self._key, self._feature))
        try:
            file.write(first)
            for picture in pictures:
                file.write(picture)
        finally:
            file.close()
        return scan(self._again)

    def _append(self, clip: Clip, parts: Sequence[_Part]) -> tuple[Place, float, float]:
        """Append packets that are one clip, to one file."""
        size = sum(int(packets.sizes[run].sum()) for _, packets, run in parts)
        full = self._out is not None and (self._size + size) / MIB >= self._info.video_files_size_in_mb
        if self._out is None or full or self._kind != parts[0][1].kind:
            self._open(*parts[0][:2])
        begin = self._frames
        for path, packets, run in parts:
            self._copy(path, int(packets.ticks[run.start]), run.stop - run.start, clip.fps)
        self._size += size
        return self._place, begin / clip.fps, self._frames / clip.fps

    def _open(self, like: Path, packets: Packets) -> None:
        """Begin the next file, set up as that one."""
        self.close()
        self._place, self._next = self._next, self._next.next(self._info.chunks_size)
        path = self._root / self._info.video_file(self._place, self._key)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._out = av.open(str(path), "w", options={"movflags": "faststart"})
        with av.open(str(like)) as container:
            self._stream = self._out.add_stream_from_template(container.streams.video[0], opaque=True)
        self._kind, self._frames, self._size = packets.kind, 0, 0
        self._last: int | None = None

    def _copy(self, path: Path, first: int, count: int, fps: int) -> None:
        """Copy the `count` packets of a file from the one shown at tick `first`.

        Decoding times always grow: those of reordered frames may fall before the end of the clip in front.
        """
        with av.open(str(path)) as container:
            source: Any = container.streams.video[0]
            shift = round(Fraction(self._frames, fps) / source.time_base) - first
            container.seek(first, stream=source, backward=True)
            packets = (packet for packet in container.demux(source) if packet.dts is not None)
            packet: Any
            for packet in islice(dropwhile(lambda packet: packet.pts != first, packets), count):
                dts = packet.dts + shift
                self._last = dts if self._last is None else max(dts, self._last + 1)
                packet.pts, packet.dts, packet.stream = packet.pts + shift, self._last, self._stream
                self._out.mux(packet)
        self._frames += count

    def close(self) -> None:
        """Finish the file that is open."""
        if self._out is not None:
            self._out.close()
            self._out = None


def require(clip: Clip, packets: Packets, key: str, feature: Feature) -> None:
    """Check that a clip can be appended.

    Raises:
        DataError: the video lacks frames, or must be encoded again as nothing here encodes.
    """
    if packets.run(clip) is None:
        encoder_of(key, feature)


def encoder_of(key: str, feature: Feature) -> EncoderConfig:
    """The settings a video was encoded with, as far as its feature tells; the defaults for the rest.

    Raises:
        DataError: nothing here encodes as that.
    """
    info = feature.info or {}
    codec = info.get("video.codec") or "av1"
    vcodec = "libsvtav1" if codec == "av1" else codec
    if vcodec not in SOFTWARE:
        raise DataError(
            f"camera '{key}' is encoded as '{codec}', which this version cannot encode again",
            hint="cut where a key frame is, or leave the camera out",
        )
    names = ("pix_fmt", "g", "crf", "preset", "fast_decode")
    given = {name: info[f"video.{name}"] for name in names if info.get(f"video.{name}") is not None}
    return EncoderConfig(vcodec=vcodec, **given)


def picture_stats(clip: Clip) -> dict[str, np.ndarray]:
    """Statistics of a clip's frames, as recording makes them."""
    return stats.picture_stats(stats.sampled_levels(clip.pictures(), clip.length))
