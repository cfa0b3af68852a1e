"""The files through which a world shows itself and gives pictures: one of the world, one of each camera that looks at it.

A camera's owner makes its file, with what it wants to see, and keeps its lock; the world finds it in the folder of its cameras,
fills its ring and forgets it when the lock is gone. Knows no simulator.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np

from lerobot_motors import shared_file
from lerobot_motors.envs import scene
from lerobot_motors.shared_file import SharedFile

#: What is known of a world. `orders` counts the resets that were asked for, `obeyed` those done; `arm` is in rad, `cube` is
#: place [m] and quaternion (w, x, y, z).
WORLD = np.dtype(
    [
        *((name, np.int64) for name in ("pid", "stamp", "orders", "obeyed", "seed", "in_zone", "skipped_ns")),
        ("arm", np.float64, 6),
        ("cube", np.float64, 7),
        ("tip", np.float64, 3),
    ]
)
#: What is known of a camera; `view` counts in `scene.VIEWS`, `newest` is the number of the newest picture from 1.
CAMERA = np.dtype(
    [(name, np.int64) for name in ("view", "width", "height", "newest", "dropped", "stamp")]
    + [("fps", np.float64), ("problem", "S256")]
)
#: Number and stamp of the picture in a place of the ring; 0 while it is written.
PLACE = np.dtype([("number", np.int64), ("stamp", np.int64)])
#: Pictures in a ring: a reader has all but one period to copy the newest.
PLACES = 3

_count = itertools.count()


def world_file(name: str) -> Path:
    """File of the world around the emulated arm of that name. Raises as `shared_file.location`."""
    return shared_file.location(name, ".world")


def camera_folder(name: str) -> Path:
    """Where the cameras of that world leave their files."""
    return shared_file.location(name, ".cameras")


def sweep(name: str) -> None:
    """Remove what cameras left behind whose processes were killed."""
    folder = camera_folder(name)
    for path in folder.iterdir() if folder.is_dir() else ():
        if not shared_file.running(path):
            path.unlink(missing_ok=True)


class World(SharedFile):
    """The file of a world.

    Attributes:
        state: fields of `WORLD`, each an array; writable.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        super().__init__(path, WORLD.itemsize, create=create)
        self.state = np.frombuffer(self.map, WORLD)[0]


class Ring(SharedFile):
    """The file of a camera.

    Attributes:
        path: of the file.
        state: fields of `CAMERA`, each an array; writable.
    """

    def __init__(self, path: Path, size: int, *, create: bool = False) -> None:
        super().__init__(path, size, create=create)
        self.path = path
        self.state = np.frombuffer(self.map, CAMERA, 1)[0]

    @classmethod
    def ask(cls, name: str, view: str, width: int, height: int, fps: float) -> Ring:
        """A new camera in the world of that name."""
        folder = camera_folder(name)
        folder.mkdir(mode=0o700, exist_ok=True)
        size = CAMERA.itemsize + PLACES * (PLACE.itemsize + width * height * 3)
        ring = cls(folder / f"{os.getpid()}-{next(_count)}", size, create=True)
        ring.state["view"], ring.state["height"], ring.state["fps"] = scene.VIEWS.index(view), height, fps
        ring.state["width"] = width  # the last: from here on the world sees it
        return ring

    @classmethod
    def found(cls, path: Path) -> Ring | None:
        """The camera of a file, or None where its owner is not done with it or is gone."""
        size = path.stat().st_size
        if size < CAMERA.itemsize or not shared_file.running(path):
            return None
        ring = cls(path, size)
        if ring.state["width"]:
            return ring
        ring.close()
        return None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a picture (H, W, 3)."""
        return int(self.state["height"]), int(self.state["width"]), 3

    def put(self, picture: np.ndarray, stamp: int) -> None:
        """Add a picture (H, W, 3) that shows the world at `stamp` [ns]."""
        number = int(self.state["newest"]) + 1
        place, kept = self._place(number)
        place["number"] = 0
        kept[:] = picture
        place["stamp"], place["number"] = stamp, number
        self.state["newest"] = number

    def newest(self) -> tuple[int, int, np.ndarray] | None:
        """Number, stamp [ns] and copy (H, W, 3) of the newest picture; None before the first."""
        while number := int(self.state["newest"]):
            place, kept = self._place(number)
            stamp, picture = int(place["stamp"]), kept.copy()
            if place["number"] == number:  # else it was written over meanwhile
                return number, stamp, picture
        return None

    def _place(self, number: int) -> tuple[np.void, np.ndarray]:
        places = np.frombuffer(self.map, PLACE, PLACES, CAMERA.itemsize)
        height, width, _ = self.shape
        size, index = height * width * 3, number % PLACES
        begin = CAMERA.itemsize + PLACES * PLACE.itemsize + index * size
        return places[index], np.frombuffer(self.map, np.uint8, size, begin).reshape(self.shape)
