"""Where the frames of a camera's videos are, and what they are decoded to. Knows metadata, opens nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lerobot_datasets.v3.layout import Place
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.video import decode, depth


class Camera:
    """The videos of one feature.

    Attributes:
        begins: when each selected episode begins in its file (E,) [s].
        files: which file holds it (E,), a number for `name`.
        pixels: pixel format to decode to.
        distances: of the codes of a depth camera (4096,) float32; None of others.

    Args:
        reader: the dataset.
        key: the feature.
    """

    def __init__(self, reader: Reader, key: str) -> None:
        table = reader.episodes
        self.begins = np.asarray(table[f"videos/{key}/from_timestamp"], np.float64)
        places = np.stack([table[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index")], axis=1)
        found, which = np.unique(places, axis=0, return_inverse=True)
        self.files = which.reshape(-1)
        self._names = [reader.info.video_file(Place(*place), key) for place in found.tolist()]
        self.distances = reader.distances(key) if reader.features[key].is_depth else None
        self.pixels = decode.RGB if self.distances is None else depth.PIXELS

    def name(self, file: int) -> Path:
        """Path of a file within the dataset folder."""
        return self._names[file]

    def form(self, count: int, size: tuple[int, ...], uint8: bool) -> tuple[tuple[int, ...], type[np.generic]]:
        """Shape and dtype of what frames of a size (H, W, …) are decoded into.

        Returns:
            (N, H, W, 3) uint8 if that is wanted, else (N, 3, H, W) float32; of depth always (N, 1, H, W) float32.
        """
        if uint8 and self.distances is None:
            return (count, *size), np.uint8
        return (count, 3 if self.distances is None else 1, *size[:2]), np.float32
