"""One camera of a recording: hands its pictures to the process that encodes them. Never waits for it while recording.

The control loop only copies a picture into a place of shared memory. When every place is taken the picture is dropped and
counted, and the one before it is stored again in its place, so that row n of the table always belongs to frame n of the
video. The process lives as long as the recording; where none can be had, a thread does the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from lerobot_core.errors import DataError
from lerobot_datasets import records
from lerobot_datasets.video import ring, worker
from lerobot_datasets.video.pictures import Camera, Encoding
from lerobot_datasets.video.ring import Ring

#: Whether pictures are encoded in processes of their own.
PROCESSES = os.name != "nt"

#: For how long a process that has something to do may do nothing [s].
PATIENCE = 20.0

#: How often to look for a place in the ring; and, which costs the encoder less, whether there is still someone at work [s].
_NAP, _WATCH = 0.0005, 0.05


@attrs.frozen(kw_only=True)
class Recorded:
    """What became of a camera in an episode.

    Attributes:
        stats: statistics of the pictures.
        dropped: pictures that found no place.
        cells: cells of a table; empty for a video.
        delay: pictures that the encoder at most had taken and not given out.
        seconds: processor time spent on encoding [s].
    """

    stats: dict[str, np.ndarray]
    dropped: int = 0
    cells: list[dict[str, object]] = attrs.field(factory=list)
    delay: int = 0
    seconds: float = 0.0


def cells(path: Path, kind: str, length: int) -> list[dict[str, object]]:
    """The first `length` pictures of a file of records as cells of a table; `kind` is png or tiff."""
    found = zip(range(length), records.read(path), strict=False)
    return [{"bytes": data, "path": f"frame-{number:06d}.{kind}"} for number, data in found]


class PictureStream:
    """The recording side of a camera.

    Args:
        camera: which, and how it is encoded.
        begin: opens the files of an episode in its folder; for tests, and on a thread only.
        holds: a handle that the process keeps open while it lives, by which others see that it may still write.
    """

    def __init__(self, camera: Camera, begin: Callable[[Path], Any] | None = None, holds: int | None = None) -> None:
        self.camera = camera
        self.dropped = self._length = 0
        self._waits = camera.encoder.when_full == "wait"
        self._begin, self._holds = begin, holds
        self._episode = 0
        self._folder = Path()
        self._heard: dict[str, Any] | None = None
        self._start()

    def _start(self) -> None:
        places = self.camera.encoder.queue_size + 1  # one is being encoded
        memory, handle = ring.share(Ring.size(self.camera.shape, places))
        self._ring = Ring(memory, self.camera.shape, places)
        self._ring.cancelled = self._episode
        self._connection, theirs = Pipe()
        if handle is None or self._begin is not None or not PROCESSES:
            begin = self._begin or (lambda folder: Encoding(self.camera, folder))
            run = worker.Worker(theirs, self._ring, begin).run
            thread = threading.Thread(target=run, args=(lambda: True,), name=f"encode {self.camera.name}", daemon=True)
            thread.start()
            self._process: subprocess.Popen[bytes] | None = None
            self.close = weakref.finalize(self, _end_thread, self._connection, thread, theirs)
        else:
            self._process = _spawn(self.camera, theirs, handle, places, self._holds)
            theirs.close()
            self.close = weakref.finalize(self, _end_process, self._connection, self._process)
        if handle is not None:
            os.close(handle)

    def begin(self, folder: Path) -> None:
        """A new episode in this folder, which exists."""
        if self._gone:
            self.close()
            self._start()
        self._episode += 1
        self._folder, self.dropped, self._length, self._heard = folder, 0, 0, None
        self._send(worker.OPEN, {"episode": self._episode, "folder": str(folder)})

    def add(self, index: int, picture: np.ndarray) -> bool:
        """Frame `index` of the episode; it may be reused by the caller afterwards. Whether it was taken.

        Raises:
            DataError: the encoder failed, or its process ended.
            OSError: the disk is full.
        """
        self._check()
        if self._ring.full:
            if not self._waits:
                self.dropped += 1
                return False
            self._wait_for(lambda: not self._ring.full, _NAP)
        self._ring.put(self._episode, index, picture)
        return True

    def ask(self, length: int) -> None:
        """The episode has `length` frames; `finish` waits until all are written."""
        self._length = length
        self._send(worker.FINISH, {"length": length})

    def finish(self) -> Recorded:
        """Wait until the frames asked for are written, and outlive the machine's power.

        Raises:
            DataError: the encoder failed, or its process ended or does nothing any more.
            OSError: the disk is full.
        """
        self._wait_for(lambda: self._heard is not None, _WATCH)
        found = self._heard or {}
        out = []
        if self.camera.dtype == "image":
            kind = "png" if self.camera.depth is None else "tiff"
            out = cells(self.camera.file(self._folder), kind, self._length)
        stats = {name: np.array(value) for name, value in found["stats"].items()}
        return Recorded(stats=stats, dropped=self.dropped, cells=out, delay=found["delay"], seconds=found["seconds"])

    def cancel(self) -> None:
        """Forget the running episode."""
        self._ring.cancelled = self._episode

    def _send(self, kind: bytes, what: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # its process ended, which the next check says
            self._connection.send_bytes(kind + json.dumps(what).encode())

    @property
    def _gone(self) -> bool:
        return not self.close.alive or (self._process is not None and self._process.poll() is not None)

    def _wait_for(self, done: Callable[[], bool], nap: float) -> None:
        """Wait as long as there is someone at work; a message ends a nap [s]."""
        beats, since = -1, time.monotonic()
        while True:
            self._check()
            if done():
                return
            if self._ring.beats != beats:
                beats, since = self._ring.beats, time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                self.close()
                raise self._lost(f"has done nothing for {PATIENCE:g} s")
            self._connection.poll(nap)

    def _check(self) -> None:
        """Hear what the other side says, and whether it is there."""
        try:
            while self._connection.poll():
                heard = json.loads(self._connection.recv_bytes())
                if heard["episode"] == self._episode:
                    self._heard = heard
        except (EOFError, OSError):
            status = self._process.wait(1.0) if self._process is not None else None
            raise self._lost(f"ended with status {status}") from None
        if self._heard is not None and "error" in self._heard:
            if self._heard["errno"] is not None:
                raise OSError(self._heard["errno"], self._heard["error"])
            raise DataError(f"encode {self.camera.name} failed: {self._heard['error']}", hint="choose another vcodec")

    def _lost(self, what: str) -> DataError:
        return DataError(
            f"the process that encodes '{self.camera.name}' {what}",
            hint="`lr dataset repair` offers what it had written of the episode",
        )


def _spawn(
    camera: Camera, connection: Connection, memory: int, places: int, holds: int | None
) -> subprocess.Popen[bytes]:
    """A process that imports no more than it needs, and is in no terminal's group: Ctrl-C is not for it."""
    handles = (connection.fileno(), memory)
    words = [str(handles[0]), str(handles[1]), json.dumps(camera.to_data()), str(places)]
    process = subprocess.Popen(
        [sys.executable, "-m", worker.__name__, *words],
        pass_fds=handles if holds is None else (*handles, holds),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    worker.give_way(process.pid, os.getpid())  # now: its imports fall into the loop's first second
    return process


def _end_process(connection: Connection, process: subprocess.Popen[bytes]) -> None:
    connection.close()
    try:
        process.wait(2.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_thread(connection: Connection, thread: threading.Thread, theirs: Connection) -> None:
    connection.close()
    thread.join(2.0)
    theirs.close()
