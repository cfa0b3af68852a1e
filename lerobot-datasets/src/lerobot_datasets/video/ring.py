"""Memory that two processes share: places for pictures, filled and emptied in turn, and how far the emptying is.

One side writes pictures, the other takes them; nothing is copied twice and nobody waits. Knows no encoders.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading

import numpy as np

_PAGE = 4096
_PUT, _TAKEN, _CANCELLED, _BEATS = range(4)  # numbers in the head

#: What the values of a picture may be.
DTYPES = ("uint8", "uint16", "float32")


class Ring:
    """Places for pictures of one camera.

    Args:
        memory: the shared memory, at least `size` bytes.
        shape: (H, W, C) of a picture, three channels of colours or one of depth.
        places: how many pictures there is room for.
    """

    def __init__(self, memory: mmap.mmap, shape: tuple[int, ...], places: int) -> None:
        self._memory, self._shape, self.places = memory, shape, places
        self._head = np.frombuffer(memory, np.int64, 4)
        self._labels = np.frombuffer(memory, np.int64, 3 * places, _PAGE).reshape(places, 3)
        self._count, self._start = int(np.prod(shape)), _PAGE + _pages(24 * places)
        self._lock = threading.Lock()

    @staticmethod
    def size(shape: tuple[int, ...], places: int) -> int:
        """Bytes of memory needed."""
        return _PAGE + _pages(24 * places) + _bytes(shape) * places

    def _place(self, number: int, dtype: str) -> np.ndarray:
        start = self._start + number % self.places * _bytes(self._shape)
        return np.frombuffer(self._memory, dtype, self._count, start).reshape(self._shape)

    @property
    def full(self) -> bool:
        return bool(self._head[_PUT] - self._head[_TAKEN] >= self.places)

    def put(self, episode: int, index: int, picture: np.ndarray) -> None:
        """Put in frame `index` of an episode; there is a place for it."""
        number, dtype = int(self._head[_PUT]), picture.dtype.name
        np.copyto(self._place(number, dtype), picture)
        self._labels[number % self.places] = episode, index, DTYPES.index(dtype)
        self._fence()
        self._head[_PUT] = number + 1

    def peek(self) -> tuple[int, int, np.ndarray] | None:
        """Episode, frame and a view of the oldest picture; None when there is none."""
        number = int(self._head[_TAKEN])
        if self._head[_PUT] == number:
            return None
        self._fence()
        episode, index, kind = self._labels[number % self.places].tolist()
        return episode, index, self._place(number, DTYPES[kind])

    def take(self) -> None:
        """The oldest picture is done with, and its place free."""
        self._fence()
        self._head[_TAKEN] += 1

    def _fence(self) -> None:
        """What was written before is seen before what is written after, also where processors change the order."""
        for _ in range(2):
            with self._lock:
                pass

    @property
    def cancelled(self) -> int:
        """Up to which episode nothing needs to be encoded any more."""
        return int(self._head[_CANCELLED])

    @cancelled.setter
    def cancelled(self, episode: int) -> None:
        self._head[_CANCELLED] = episode

    @property
    def beats(self) -> int:
        """Rises as long as the taking side is alive."""
        return int(self._head[_BEATS])

    def beat(self) -> None:
        self._head[_BEATS] += 1


def _bytes(shape: tuple[int, ...]) -> int:
    """Room for a picture: colours are uint8, depth is float32 at most."""
    return int(np.prod(shape)) * (1 if shape[2] == 3 else 4)


def _pages(size: int) -> int:
    return -(-size // _PAGE) * _PAGE


def share(size: int) -> tuple[mmap.mmap, int | None]:
    """New memory, and the handle by which another process maps it; None where that cannot be had."""
    if os.name == "nt":
        return mmap.mmap(-1, size), None
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("pictures")
    else:
        with tempfile.TemporaryFile() as file:
            handle = os.dup(file.fileno())
    os.ftruncate(handle, size)
    flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)  # no page is to be looked for while recording
    return mmap.mmap(handle, size, flags), handle
