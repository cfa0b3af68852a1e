"""One camera of a new dataset: clips of existing videos, one after the other, in numbered files. Knows no tables.

Packets are copied as they are when a clip begins at a key frame and its packets are neighbours in the file, which an
episode recorded as a whole always is. Any other clip is decoded and encoded again, whole, with its source's settings.
A clip that needs another decoder set-up than the file before it begins a new file.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
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


def scan(path: Path) -> Packets:
    """The packets of a video.

    Raises:
        DataError: the file is missing or broken.
    """
    if not path.is_file():
        raise DataError(f"'{path}' not found", path=path, hint=RESTORE)
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            found = [(p.pts, p.is_keyframe, p.size) for p in container.demux(stream) if p.dts is not None]
            context = stream.codec_context
            kind = (context.codec.canonical_name, context.width, context.height, context.pix_fmt, context.extradata)
            tick, offset = stream.time_base, stream.start_time or 0
    except (av.FFmpegError, IndexError) as error:
        raise DataError(f"'{path}' cannot be read: {error}", path=path, hint=RESTORE) from error
    ticks, keys, sizes = np.array(found, dtype=np.int64).reshape(-1, 3).T
    times = (ticks - offset) * float(tick)
    return Packets(kind=(*kind, tick), times=times, ticks=ticks, keys=keys != 0, sizes=sizes)


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
        if run is not None:
            return self._append(clip, packets, run)
        again = self._root / f".{self._key}.mp4"
        try:
            self._encode(clip, again)
            whole = attrs.evolve(clip, path=again, start=0.0)
            return self._append(whole, scan(again), slice(0, clip.length))
        finally:
            again.unlink(missing_ok=True)

    def _encode(self, clip: Clip, target: Path) -> None:
        pictures = clip.pictures()
        first = next(pictures)
        file = VideoFile(target, first.shape[:2], clip.fps, encoder_of(self._key, self._feature))
        try:
            file.write(first)
            for picture in pictures:
                file.write(picture)
        finally:
            file.close()

    def _append(self, clip: Clip, packets: Packets, run: slice) -> tuple[Place, float, float]:
        size, first = int(packets.sizes[run].sum()), int(packets.ticks[run.start])
        with av.open(str(clip.path)) as container:
            source = container.streams.video[0]
            full = self._out is not None and (self._size + size) / MIB >= self._info.video_files_size_in_mb
            if self._out is None or full or self._kind != packets.kind:
                self._open(source, packets.kind)
            at = Fraction(self._frames, clip.fps)
            container.seek(first, stream=source, backward=True)
            self._copy(container.demux(source), first, clip.length, round(at / source.time_base) - first)
        self._frames += clip.length
        self._size += size
        return self._place, float(at), self._frames / clip.fps

    def _open(self, source: Any, kind: tuple[Any, ...]) -> None:
        """Begin the next file, set up as that stream."""
        self.close()
        self._place, self._next = self._next, self._next.next(self._info.chunks_size)
        path = self._root / self._info.video_file(self._place, self._key)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._out = av.open(str(path), "w", options={"movflags": "faststart"})
        self._stream = self._out.add_stream_from_template(source, opaque=True)
        self._kind, self._frames, self._size = kind, 0, 0
        self._last: int | None = None

    def _copy(self, packets: Iterator[Any], first: int, count: int, shift: int) -> None:
        """Copy `count` packets from the one shown at tick `first`, `shift` ticks later.

        Decoding times always grow: those of reordered frames may fall before the end of the clip in front.
        """
        found = False
        for packet in packets:
            found = found or packet.pts == first
            if not found or packet.dts is None:
                continue
            dts = packet.dts + shift
            self._last = dts if self._last is None else max(dts, self._last + 1)
            packet.pts, packet.dts, packet.stream = packet.pts + shift, self._last, self._stream
            self._out.mux(packet)
            count -= 1
            if count == 0:
                return

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
    wanted = set(stats.sample_indices(clip.length).tolist())
    counts = [stats.level_counts(picture) for i, picture in enumerate(clip.pictures()) if i in wanted]
    return stats.picture_stats(np.sum(counts, axis=0, dtype=np.int64), len(counts))
