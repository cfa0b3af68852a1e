"""Encodes one camera in a process of its own: `python -m lerobot_datasets.video.worker CONNECTION MEMORY CAMERA PLACES`.

Pictures come through shared memory (`ring`), which is looked at every few milliseconds, so that whoever puts one in wakes
nobody; what is to be done with them comes through a connection: a letter and what it needs. The process ends when the other side of the connection does, and hears no Ctrl-C. It lives on between episodes.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lerobot_datasets.video.pictures import Camera, Encoding
from lerobot_datasets.video.ring import Ring

OPEN, FINISH = b"o", b"f"

#: Encoding gives way to the control loop where both want the processor.
_NICENESS = 10

#: How often to look for pictures while an episode runs; and else, whether anyone is there [s].
_LOOK, _REST = 0.004, 1.0


class Worker:
    """The encoding side of a camera.

    Args:
        connection: what is to be done comes, and what became of it goes, here.
        ring: where the pictures are.
        begin: opens the files of an episode in its folder.
        hurry: called before what is left of an episode is encoded, which somebody waits for.
    """

    def __init__(
        self,
        connection: Connection,
        ring: Ring,
        begin: Callable[[Path], Any],
        hurry: Callable[[], None] = lambda: None,
    ) -> None:
        self._connection, self._ring, self._begin, self._hurry = connection, ring, begin, hurry
        self._episode = 0
        self._encoding: Encoding | None = None
        self._failed = False

    def run(self, anyone: Callable[[], bool]) -> None:
        """Do what is said until the other side is gone, or `anyone` says it is."""
        try:
            while True:
                looking = self._encoding is not None or self._ring.peek() is not None
                if self._connection.poll(_LOOK if looking else _REST):
                    self._try(self._message, self._connection.recv_bytes())
                elif not anyone():
                    return
                self._ring.beat()
                self._try(self._pictures)
        except (EOFError, OSError):  # nobody wants anything any more
            return

    def _try(self, do: Callable[..., None], *what: bytes) -> None:
        try:
            do(*what)
        except Exception as error:  # the recording side raises it
            self._encoding = None
            if not self._failed:
                self._say({"error": str(error), "errno": error.errno if isinstance(error, OSError) else None})
            self._failed = True

    def _message(self, message: bytes) -> None:
        said = json.loads(message[1:])
        if message[:1] == OPEN:
            self._pictures()
            encoding, self._encoding = self._encoding, None
            if encoding is not None:
                encoding.cancel()
            self._episode, self._failed = said["episode"], False
            if self._ring.cancelled < self._episode:
                self._encoding = self._begin(Path(said["folder"]))
            return
        self._hurry()
        self._pictures()
        if self._encoding is not None and self._ring.cancelled < self._episode:
            encoding, self._encoding = self._encoding, None
            self._say(encoding.finish(said["length"]))

    def _pictures(self) -> None:
        """Encode what has come of the episode; what came of one before is of no use."""
        while (found := self._ring.peek()) is not None and found[0] <= self._episode:
            episode, index, picture = found
            try:
                if self._encoding is not None and episode == self._episode > self._ring.cancelled:
                    self._encoding.add(index, picture)
            finally:
                self._ring.take()
                self._ring.beat()

    def _say(self, found: dict[str, Any]) -> None:
        self._connection.send_bytes(json.dumps(found | {"episode": self._episode}).encode())


def spread(process: int, beside: int, free: int = 0) -> None:
    """Let every thread of a process run where another one may, but for the first `free` processors if there are more."""
    if hasattr(os, "sched_getaffinity"):
        with contextlib.suppress(OSError):
            cores = sorted(os.sched_getaffinity(beside))
            for thread in os.listdir(f"/proc/{process}/task"):
                os.sched_setaffinity(int(thread), cores[free:] or cores)


def give_way(process: int, to: int) -> None:
    """Put every thread of a process behind the control loop of another, as far as the system lets us.

    Again after an encoder was opened: where root runs it, SVT-AV1 gives its threads the highest priority of the machine. And
    where the kernel shares processors out among sessions (autogroups, sched(7)), niceness counts within a session only.
    One processor stays free where there are several: bytes of a serial port pass through a thread of the kernel, which Linux
    lets wait for milliseconds behind whatever runs, with any niceness.
    """
    spread(process, to, free=1)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, process)))
        if not hasattr(os, "SCHED_BATCH"):
            return
        for thread in os.listdir(f"/proc/{process}/task"):  # and a batch pushes nobody aside when something comes in
            os.sched_setscheduler(int(thread), os.SCHED_BATCH, os.sched_param(0))
        group = Path(f"/proc/{process}/autogroup")
        if not group.read_text(encoding="ascii").endswith(f" {_NICENESS}\n"):  # the kernel hears that only now and then
            group.write_text(str(_NICENESS), encoding="ascii")


def main(connection: int, memory: int, camera: str, places: int) -> None:
    """Serve until the process that started this one is gone."""
    own, parent = os.getpid(), os.getppid()
    known = Camera.of(json.loads(camera))
    ring = Ring(mmap.mmap(memory, Ring.size(known.shape, places)), known.shape, places)
    os.close(memory)

    def begin(folder: Path) -> Encoding:
        encoding = Encoding(known, folder)
        give_way(own, parent)
        return encoding

    worker = Worker(Connection(connection), ring, begin, hurry=lambda: spread(own, parent))
    worker.run(lambda: os.getppid() == parent)
    os._exit(0)  # nothing is left to be done, and libraries take their time over it


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
