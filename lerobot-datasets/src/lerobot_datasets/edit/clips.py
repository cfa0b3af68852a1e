"""Pictures of one camera in one episode, in a video or in cells of a table, and how they are encoded. Knows no tables."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import attrs
import av
import numpy as np

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets import config, stats
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.v3.metadata import RESTORE
from lerobot_datasets.video import decode, depth, encode, png, tiff


class Pictures(Protocol):
    """What an episode's pictures are taken from."""

    episode: int
    length: int
    fps: int

    def frames(self) -> Iterator[av.VideoFrame]:
        """The pictures, in order, in the form in which they can be encoded with least loss."""
        ...

    def identity(self) -> str:
        """What changes when the pictures may have."""
        ...


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

    def identity(self) -> str:
        file = self.path.stat()
        return f"{self.path.resolve()} {file.st_size} {file.st_mtime_ns} {self.start} {self.length} {self.fps}"

    def part(self, first: int, stop: int) -> Clip:
        """Frames `first` up to, but not including, `stop`."""
        return attrs.evolve(self, start=self.start + first / self.fps, length=stop - first)

    def frames(self) -> Iterator[av.VideoFrame]:
        """The frames as they come from the decoder.

        Raises:
            DataError: there are fewer, or the file is broken.
        """
        half, stop, count = 0.5 / self.fps, self.start + self.length / self.fps, 0
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                stream.codec_context.thread_count = 1  # clips are decoded side by side
                tick, offset = float(stream.time_base), stream.start_time or 0
                container.seek(max(int((self.start - half) / tick) + offset, 0), stream=stream, backward=True)
                for frame in container.decode(stream):
                    time = (frame.pts - offset) * tick
                    if time > stop - half:
                        break
                    if time > self.start - half:
                        count += 1
                        yield frame
        except av.FFmpegError as error:
            raise DataError(f"'{self.path}' cannot be decoded: {error}", path=self.path, hint=RESTORE) from error
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
class Cells:
    """An episode's pictures in a table.

    Attributes:
        cells: their bytes.
        feature: what they are of.
        key: its name.
        episode: number of the episode, for messages.
        fps: frames per second.
    """

    cells: list[bytes]
    feature: Feature
    key: str
    episode: int
    fps: int

    @property
    def length(self) -> int:
        return len(self.cells)

    def identity(self) -> str:
        digest = hashlib.sha256()
        for cell in self.cells:
            digest.update(len(cell).to_bytes(8, "big") + cell)
        return f"{digest.hexdigest()} {self.feature} {self.feature.info} {self.fps}"

    def frames(self) -> Iterator[av.VideoFrame]:
        quantiser = depth.quantiser(self.key, self.feature) if self.feature.is_depth else None
        for cell in self.cells:
            if quantiser is None:
                yield av.VideoFrame.from_ndarray(png.decode(cell), format="rgb24")
            else:
                yield av.VideoFrame.from_ndarray(quantiser.codes(tiff.decode(cell)), format=depth.PIXELS)


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

    def middle(self, clip: Clip) -> tuple[int, int] | None:
        """First frame and the frame after the last of the longest part that can be copied; None if there is none.

        It begins at the first key frame that will do, and ends with the clip or, where its end refers to frames behind
        it, at one of the last key frames before.
        """
        frames = np.round((np.sort(self.times[self.keys]) - clip.start) * clip.fps).astype(int)
        heads = frames[(frames >= 0) & (frames < clip.length)].tolist()
        for i, head in enumerate(heads):
            for tail in (clip.length, *reversed(heads[i + 1 :][-2:])):
                if self.run(clip.part(head, tail)) is not None:
                    return head, tail
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


class Stopped(Exception):
    """Encoding ended early because nobody wants the result any more."""


def encoded(
    pictures: Pictures, target: Path, encoder: EncoderConfig, stopped: Callable[[], bool] = lambda: False
) -> Packets:
    """Encode pictures to an mp4 of their own; its packets.

    Frames stay as the decoder gives them where the encoder takes them so, without a way through RGB and back.

    Args:
        pictures: what to encode.
        target: the file.
        encoder: how.
        stopped: asked before each picture.

    Raises:
        DataError: pictures are missing, or the encoder refuses them.
        Stopped: `stopped` said so.
    """
    os.environ.setdefault("SVT_LOG", "1")  # errors only; it writes a page per file to stderr otherwise
    try:
        with av.open(str(target), "w") as out:
            stream = out.add_stream(
                encode.encoder_name(encoder.vcodec), rate=pictures.fps, options=encode.options(encoder)
            )
            for count, frame in enumerate(pictures.frames()):
                if stopped():
                    raise Stopped
                if count == 0:
                    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, encoder.pix_fmt
                if frame.format.name != encoder.pix_fmt:
                    frame = frame.reformat(format=encoder.pix_fmt)
                frame.pts, frame.time_base = count, Fraction(1, pictures.fps)
                frame.pict_type = 0  # where key frames are is the new encoder's choice
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    except (av.FFmpegError, ValueError) as error:
        raise DataError(
            f"episode {pictures.episode} cannot be encoded by '{encoder.vcodec}' as {encoder.pix_fmt}: {error}",
            episode=pictures.episode,
            hint="choose another vcodec or pix_fmt",
        ) from error
    found = scan(target)
    if len(found.ticks) != pictures.length:
        raise DataError(
            f"encoding episode {pictures.episode} gave {len(found.ticks)} frames of {pictures.length}",
            episode=pictures.episode,
            hint="choose another vcodec or preset",
        )
    return found


def encoder_of(key: str, feature: Feature) -> EncoderConfig:
    """The settings a video was encoded with, as far as its feature tells; the defaults for the rest.

    Raises:
        DataError: nothing here encodes as that.
    """
    info = feature.info or {}
    if feature.is_depth:
        names: tuple[str, ...] = ("g", "preset", "extra_options")
        default, codec = config.DEPTH, info.get("video.codec") or "hevc"
    else:
        names = ("pix_fmt", "g", "crf", "preset", "fast_decode", "extra_options")
        default, codec = EncoderConfig(), info.get("video.codec") or "av1"
    vcodec = "libsvtav1" if codec == "av1" else codec
    if vcodec not in encode.SOFTWARE:
        raise DataError(
            f"camera '{key}' is encoded as '{codec}', which this version cannot encode again",
            hint="cut where a key frame is, or leave the camera out",
        )
    given = {name: info[f"video.{name}"] for name in names if info.get(f"video.{name}")}
    return attrs.evolve(default, vcodec=vcodec, **({"preset": None} if feature.is_depth else {}), **given)


def statistics(pictures: Pictures, key: str, feature: Feature) -> dict[str, np.ndarray]:
    """Statistics of an episode's pictures, as recording makes them; those of depth in the unit of recording."""
    wanted = stats.sample_indices(pictures.length).tolist()
    if isinstance(pictures, Cells):
        cells = [pictures.cells[i] for i in wanted]
        if feature.is_depth:
            return stats.depth_stats(map(tiff.decode, cells))
        return stats.picture_stats([stats.level_counts(png.decode(cell)) for cell in cells])
    if not feature.is_depth:
        return stats.picture_stats([stats.level_counts(picture) for picture in _taken(pictures, wanted, decode.RGB)])
    distances = depth.quantiser(key, feature).distances((feature.info or {}).get("depth_unit") or "mm")
    return stats.depth_stats(distances[codes] for codes in _taken(pictures, wanted, depth.PIXELS))


def _taken(pictures: Pictures, wanted: Iterable[int], pixels: str) -> Iterator[np.ndarray]:
    """Some of an episode's pictures, by their numbers."""
    chosen = set(wanted)
    for i, frame in enumerate(pictures.frames()):
        if i in chosen:
            yield frame.reformat(format=pixels, threads=1).to_ndarray()
