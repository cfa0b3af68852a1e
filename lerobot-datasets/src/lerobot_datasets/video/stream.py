"""One camera of the running episode: a bounded queue and the thread that encodes behind it.

The control loop only copies a picture into the queue. When the queue is full the picture is dropped and counted, and
the one before it is stored again in its place, so that row n of the table always belongs to frame n of the video.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import attrs
import numpy as np

from lerobot_core.errors import DataError
from lerobot_datasets import stats
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.records import RecordFile
from lerobot_datasets.video import png
from lerobot_datasets.video.encode import VideoFile

#: Encoding gives way to the control loop where both want the processor.
_NICENESS = 10


class PictureFile(Protocol):
    """What pictures are written to, in order."""

    def write(self, picture: np.ndarray) -> None: ...

    def close(self) -> None: ...


class PngCells:
    """Pictures as cells of a table: PNG bytes and a name.

    Args:
        path: file in which they survive a kill.
    """

    def __init__(self, path: Path) -> None:
        self.cells: list[dict[str, object]] = []
        self._file = RecordFile(path)

    def write(self, picture: np.ndarray) -> None:
        data = png.encode(picture)
        self._file.add(data)
        self.cells.append(cell(len(self.cells), data))

    def close(self) -> None:
        self._file.close()


def cell(number: int, data: bytes) -> dict[str, object]:
    """The cell of a table for picture `number` of an episode."""
    return {"bytes": data, "path": f"frame-{number:06d}.png"}


@attrs.frozen(kw_only=True)
class Recorded:
    """What became of a camera in an episode.

    Attributes:
        stats: statistics of the pictures.
        dropped: pictures that found the queue full.
        cells: cells of a table; empty for a video.
    """

    stats: dict[str, np.ndarray]
    dropped: int
    cells: list[dict[str, object]]

    @classmethod
    def of(cls, levels: Sequence[np.ndarray], dropped: int, cells: list[dict[str, object]]) -> Recorded:
        """With the statistics of sampled pictures, given as counts of their levels."""
        return cls(stats=stats.picture_stats(levels), dropped=dropped, cells=cells)


class PictureStream:
    """Takes pictures and encodes them on a thread of its own.

    Args:
        open_file: makes what is written to, on the thread; an encoder may take a while to start.
        config: how many pictures may wait, and what happens to more.
        name: of the thread.
    """

    def __init__(self, open_file: Callable[[], PictureFile], config: EncoderConfig, name: str) -> None:
        self.dropped = 0
        self._waits = config.when_full == "wait"
        self._open_file = open_file
        self._queue: queue.Queue[tuple[int, np.ndarray | None]] = queue.Queue(config.queue_size)
        self._error: BaseException | None = None
        self._levels: list[np.ndarray] = []
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"encode {name}", daemon=True)
        self._thread.start()

    def add(self, index: int, picture: np.ndarray) -> None:
        """Frame `index` of the episode, (H, W, 3) uint8; it may be reused by the caller afterwards.

        Raises:
            DataError: the encoder failed.
            OSError: the disk is full.
        """
        self._check()
        if self._waits:
            self._put(index, picture.copy())
        elif self._queue.full():
            self.dropped += 1
        else:
            self._queue.put_nowait((index, picture.copy()))

    def _put(self, index: int, picture: np.ndarray | None) -> None:
        """Wait for a place in the queue, for as long as there is someone to make one."""
        while self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._queue.put((index, picture), timeout=0.1)
                return

    def finish(self, length: int) -> Recorded:
        """Wait until all `length` frames are written.

        Raises:
            DataError: the encoder failed.
            OSError: the disk is full.
        """
        self._put(length, None)
        self._thread.join()
        self._check()
        counts = [self._levels[i] for i in stats.sample_indices(length)]
        return Recorded.of(counts, self.dropped, getattr(self._file, "cells", []))

    def cancel(self) -> None:
        """Stop encoding; what was written is of no use."""
        self._cancelled.set()
        with contextlib.suppress(queue.Full):  # a full queue wakes the thread anyway
            self._queue.put_nowait((0, None))
        self._thread.join()

    def _check(self) -> None:
        if self._error is not None:
            if isinstance(self._error, OSError):
                raise self._error
            raise DataError(f"{self._thread.name} failed: {self._error}", hint="choose another vcodec") from self._error

    def _run(self) -> None:
        try:
            self._file = _nicely(self._open_file)
            try:
                self._encode()
            finally:
                self._file.close()
        except Exception as error:  # handed to the recording thread, which raises it
            self._error = error

    def _encode(self) -> None:
        last: np.ndarray | None = None
        while not self._cancelled.is_set():
            index, picture = self._queue.get()
            if last is None:
                last = picture
            while last is not None and len(self._levels) < index:
                self._write(last)  # stands in for a dropped one
            if picture is None:
                return
            self._write(picture)
            last = picture

    def _write(self, picture: np.ndarray) -> None:
        self._file.write(picture)
        self._levels.append(stats.level_counts(picture))


def _nicely(open_file: Callable[[], PictureFile]) -> PictureFile:
    """Open on a thread of low priority, which the encoder's own threads inherit.

    The calling thread keeps its priority: it holds the interpreter's lock at times, and the control loop must not wait
    for a thread that waits for the processor.
    """

    def run() -> PictureFile:
        if hasattr(os, "setpriority"):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        return open_file()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


def video_stream(path: Path, size: tuple[int, int], fps: int, config: EncoderConfig) -> PictureStream:
    """A stream into an mp4."""
    return PictureStream(lambda: VideoFile(path, size, fps, config), config, path.stem)


def png_stream(path: Path, config: EncoderConfig) -> PictureStream:
    """A stream into table cells."""
    return PictureStream(lambda: PngCells(path), config, path.stem)
