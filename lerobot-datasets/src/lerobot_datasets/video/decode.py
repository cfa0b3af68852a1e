"""Frames of MP4 files by time: by PyAV unless asked for torchcodec, behind one small interface.

Knows paths and times, no datasets. Both decoders give the same bytes. The frames of a call are decoded in the order of their
packets, each once, and written to where they are wanted.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from lerobot_core.errors import DataError
from lerobot_datasets.video import colours, decoders
from lerobot_datasets.video.decoders import Source
from lerobot_datasets.video.packets import PacketTable, Run

RGB = colours.RGB

_INSTALL = "pip install torchcodec (a version built for the installed torch) and FFmpeg 4 to 8, or choose pyav"


class Wanted(NamedTuple):
    """Frames of one video, and where they are to be put.

    Attributes:
        path: the video.
        times: of the frames (n,) [s], in any order and as often as you like.
        out: what is to be filled, (N, …) of the forms of `colours.put`.
        slots: the place in `out` of each time (n,).
        pixels: pixel format to decode to.
        distances: of the codes of a depth video (4096,), where `out` takes distances.
    """

    path: Path
    times: np.ndarray
    out: np.ndarray
    slots: np.ndarray
    pixels: str = RGB
    distances: np.ndarray | None = None


#: A part of the work that can be done beside others.
Job = Callable[[], None]


class Decoder(Protocol):
    """One open video.

    Attributes:
        bytes: about what it takes, beyond decoders that it shares with others.
    """

    bytes: int

    def jobs(self, wanted: Wanted, tolerance_s: float, parts: int) -> Sequence[Job]:
        """What must be done to fill the wanted frames in, in about as many parts as can be done at once."""
        ...

    def shape(self, pixels: str) -> tuple[int, ...]:
        """Of one frame: (H, W, 3) of rgb24, (H, W) of depth codes."""
        ...

    def close(self) -> None: ...


class PyavDecoder:
    """Decodes with FFmpeg through PyAV, which is fed the packets directly."""

    def __init__(self, path: Path, tables: Callable[[Path], PacketTable] = PacketTable.of) -> None:
        self._path, self.bytes = path, 0
        self._source = Source(tables(path), self._read)
        self._file, self._lock = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0)), threading.Lock()
        self._closed = weakref.finalize(self, os.close, self._file)  # nobody closes a dataset

    def _read(self, offset: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file, size, offset)
        with self._lock:
            os.lseek(self._file, offset, os.SEEK_SET)
            return os.read(self._file, size)

    def shape(self, pixels: str) -> tuple[int, ...]:
        table = self._source.table
        return (table.height, table.width, 3) if pixels == RGB else (table.height, table.width)

    def jobs(self, wanted: Wanted, tolerance_s: float, parts: int) -> Sequence[Job]:
        source, table = self._source, self._source.table
        positions = table.nearest(wanted.times)
        _require_near(self._path, wanted.times, table.times[positions], tolerance_s)
        packets = table.shown[positions]
        ahead = source.goes_on(int(positions.min()), int(positions.max()))
        slots: dict[int, list[int]] = {}
        for packet, slot in zip(packets.tolist(), wanted.slots.tolist(), strict=True):
            slots.setdefault(packet, []).append(slot)
        if ahead and decoders.process.has(source, packets):
            self._fill(list(table.runs(packets)), wanted, slots, ahead)  # not worth a thread
            return []
        if ahead:  # many frames at once cost less than one by one
            more = min(source.streak, max(decoders.process.most(source) - len(packets), 0))
            packets = np.append(packets, table.shown[source.last + 1 :][:more])
        runs = list(table.runs(packets))
        size = len(runs) if ahead else -(-len(runs) // parts)  # one decoder goes on, others would start anew
        chunks = [runs[i : i + size] for i in range(0, len(runs), size)]
        return [partial(self._fill, chunk, wanted, slots, ahead and chunk is chunks[-1]) for chunk in chunks]

    def _fill(self, runs: Sequence[Run], wanted: Wanted, slots: Mapping[int, Sequence[int]], ahead: bool) -> None:
        mine = {packet for run in runs for packet in run.wanted.tolist() if packet in slots}
        table = self._source.table
        pixels = colours.form(wanted.pixels, wanted.out, table.pixel_format, table.width, table.height)
        for packet, frame in decoders.process.frames(self._source, runs, ahead):
            if packet not in mine:
                continue
            first, *others = slots[packet]
            colours.write(frame, pixels, wanted.out[first], wanted.distances)
            for slot in others:
                wanted.out[slot] = wanted.out[first]

    def close(self) -> None:
        self._closed()


class TorchcodecDecoder:
    """Decodes with torchcodec, which reads a whole batch of times at once."""

    def __init__(self, path: Path) -> None:
        library = _torchcodec()
        if isinstance(library, str):
            raise DataError(f"video_backend 'torchcodec' does not load: {library}", hint=_INSTALL)
        self._decoder = library.VideoDecoder(
            str(path), seek_mode="approximate", dimension_order="NHWC", num_ffmpeg_threads=1
        )
        self._path = path
        self.bytes = decoders.held(self._decoder.metadata.height, self._decoder.metadata.width)
        self._fps = self._decoder.metadata.average_fps
        self._count = self._decoder.metadata.num_frames

    def shape(self, pixels: str) -> tuple[int, ...]:
        return self._decoder.metadata.height, self._decoder.metadata.width, 3

    def jobs(self, wanted: Wanted, tolerance_s: float, parts: int) -> Sequence[Job]:
        return [partial(self._fill, wanted, tolerance_s)]

    def _fill(self, wanted: Wanted, tolerance_s: float) -> None:
        times, back = np.unique(wanted.times, return_inverse=True)
        indices = np.clip(np.round(times * self._fps).astype(int), 0, self._count - 1)
        batch = self._decoder.get_frames_at(indices.tolist())
        _require_near(self._path, times, batch.pts_seconds.numpy(), tolerance_s)
        pictures = batch.data.numpy()
        for slot, i in zip(wanted.slots.tolist(), back.tolist(), strict=True):
            colours.put(pictures[i], wanted.out[slot])

    def close(self) -> None:
        self._decoder = None


def _require_near(path: Path, wanted: np.ndarray, found: np.ndarray, tolerance_s: float) -> None:
    off = np.abs(found - wanted)
    if off[worst := int(off.argmax())] > tolerance_s:
        raise DataError(
            f"'{path}' has no frame within {tolerance_s} s of {wanted[worst]:.6f} s, "
            f"the nearest is at {found[worst]:.6f} s",
            path=path,
            hint="the video does not fit the table of frames; raise tolerance_s if its clock is known to be off",
        )


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
    """Name of the decoder to use: the one asked for, else pyav, without a look at torchcodec.

    Fed with packets, pyav is ahead on every clip measured here. Frames of 480x640 per second of one core, pyav / torchcodec:
    at random 704 / 645 (AV1, a key frame every 2), 949 / 633 (H.264, 2), 182 / 169 (AV1, 30), 172 / 153 (H.264, 30); 64 at
    random at once 768 / 482, 1041 / 534, 442 / 346, 370 / 260; in order 1114 / 1045, 1322 / 1224, 1745 / 1532, 1446 / 1318.
    Importing torchcodec takes two seconds besides.

    Raises:
        DataError: an unknown name, or torchcodec asked for where it does not load.
    """
    if backend is None:
        return "pyav"
    if backend not in _DECODERS:
        raise DataError(f"video_backend is torchcodec or pyav, got '{backend}'")
    if backend == "torchcodec" and (problem := torchcodec_problem()):
        raise DataError(f"video_backend 'torchcodec' does not load: {problem}", hint=_INSTALL)
    return backend


#: Opens a video: how each backend does it.
Opener = Callable[[Path, Callable[[Path], PacketTable]], Decoder]

_DECODERS: dict[str, Opener] = {"pyav": PyavDecoder, "torchcodec": lambda path, tables: TorchcodecDecoder(path)}


class VideoReader:
    """Frames of many videos. Keeps those used last open.

    Args:
        backend: pyav or torchcodec.
        tolerance_s: how far the nearest frame may be from the time asked for [s].
        size: open videos and decoders kept; $LEROBOT_VIDEO_DECODER_CACHE_SIZE, else 100, when not given.
        tables: finds the packets of a video.
        cap: what decoders and recent frames of this process may take together [bytes]; as it was when not given.
    """

    def __init__(
        self,
        backend: str = "pyav",
        tolerance_s: float = 1e-4,
        size: int | None = None,
        tables: Callable[[Path], PacketTable] = PacketTable.of,
        cap: int | None = None,
    ) -> None:
        self.backend = backend
        self.tolerance_s = tolerance_s
        self._size = _cache_size() if size is None else size
        decoders.process.count = self._size
        if cap is not None:
            decoders.process.cap = cap
        self._tables = tables
        self._open: OrderedDict[tuple[Path, str], Decoder] = OrderedDict()
        self._process = os.getpid()

    def frames(self, path: Path, times: np.ndarray, pixels: str = RGB) -> np.ndarray:
        """Pictures (N, H, W, 3) uint8, or codes (N, H, W) uint16, at times (N,) [s], in the order asked for.

        Pixels but RGB are decoded by pyav.

        Raises:
            DataError: the file is missing or broken, or has no frame within the tolerance of a time.
        """
        out = np.empty((len(times), *self.shape(path, pixels)), np.uint8 if pixels == RGB else np.uint16)
        self.fill([Wanted(path, np.asarray(times, np.float64), out, np.arange(len(times)), pixels)])
        return out

    def shape(self, path: Path, pixels: str = RGB) -> tuple[int, ...]:
        """Of one frame: (H, W, 3) of RGB, (H, W) of depth codes.

        Raises:
            DataError: the file is missing or broken.
        """
        return self._decoder(path, pixels).shape(pixels)

    def fill(self, wanted: Sequence[Wanted]) -> None:
        """Decode frames of several videos into arrays; on all cores, but in a process that others stand beside on one.

        Raises:
            DataError: a file is missing or broken, or has no frame within the tolerance of a time.
        """
        threads = _threads()
        _done([job for one in wanted for job in self._jobs(one, -(-threads // len(wanted)))], threads)
        while len(self._open) > self._most():  # not before: the jobs need them
            self._open.popitem(last=False)[1].close()

    def _most(self) -> int:
        """Videos to keep open. The decoders of torchcodec, one a video, are under the same cap as those shared by all."""
        size = max((video.bytes for video in self._open.values()), default=0)
        return max(1, min(self._size, decoders.process.cap // size if size else self._size))

    def _jobs(self, wanted: Wanted, parts: int) -> list[Job]:
        jobs: list[Job] = []

        def opened() -> None:
            jobs.extend(self._decoder(wanted.path, wanted.pixels).jobs(wanted, self.tolerance_s, parts))

        self._guarded(opened, wanted)
        return [partial(self._guarded, job, wanted) for job in jobs]

    def _guarded(self, job: Job, wanted: Wanted) -> None:
        """Do it; what goes wrong is said with the path and the times, and the video is opened anew the next time."""
        path = wanted.path
        try:
            job()
        except (av.FFmpegError, RuntimeError, IndexError, OSError, DataError) as error:
            self._open.pop((path, wanted.pixels), None)
            if isinstance(error, DataError) and error.path:
                raise
            low, high = wanted.times.min(), wanted.times.max()
            raise DataError(
                f"'{path}' cannot be decoded between {low:.6f} and {high:.6f} s: {error}", path=path
            ) from error

    def _decoder(self, path: Path, pixels: str) -> Decoder:
        if os.getpid() != self._process:  # forked: the parent's decoders are not ours to use
            self._open, self._process = OrderedDict(), os.getpid()
        if (path, pixels) in self._open:
            self._open.move_to_end((path, pixels))
            return self._open[path, pixels]
        if not path.is_file():
            raise DataError(f"'{path}' not found", path=path, hint="fetch the videos of the dataset")
        backend = self.backend if pixels == RGB else "pyav"
        decoder = self._open[path, pixels] = _DECODERS[backend](path, self._tables)
        return decoder

    def close(self) -> None:
        """Close every video; the reader can be used again."""
        while self._open:
            self._open.popitem()[1].close()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": OrderedDict()}


def _threads() -> int:
    """How many decode at once: loaders bring their own processes."""
    return (
        1
        if multiprocessing.parent_process()
        else len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )


def _done(jobs: Sequence[Job], threads: int) -> None:
    """Do all jobs on some threads and this one; they take milliseconds, starting a thread a twentieth of one.

    Raises:
        Exception: of the first job that failed, when none is at work any more.
    """
    waiting, failed = iter(jobs), list[BaseException]()
    lock = threading.Lock()

    def work() -> None:
        while not failed:
            with lock:
                job = next(waiting, None)
            if job is None:
                return
            try:
                job()
            except BaseException as error:
                failed.append(error)

    others = [threading.Thread(target=work, name="decode") for _ in range(min(threads, len(jobs)) - 1)]
    for thread in others:
        thread.start()
    work()
    for thread in others:
        thread.join()
    if failed:
        raise failed[0]


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
