"""Pictures of any frames of a dataset whose videos stay where they are. Knows no torch."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np

from lerobot_datasets.stream.store import Store
from lerobot_datasets.v3.layout import Place
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.video import decode, depth


class Videos:
    """The videos of the episodes a reader has selected.

    Args:
        store: where they lie.
        reader: says which episode is in which.
        backend: decoder of local files.
        tolerance_s: how far a frame may be from the time asked for [s].
    """

    def __init__(self, store: Store, reader: Reader, backend: str | None, tolerance_s: float) -> None:
        self._store, self._reader = store, reader
        self._backend, self._tolerance_s = backend, tolerance_s
        self._local: dict[str, decode.VideoReader] = {}
        self._paths, self._start = {}, {}
        table = reader.episodes
        for key in reader.info.video_keys if len(table) else ():
            places = np.stack([table[f"videos/{key}/chunk_index"], table[f"videos/{key}/file_index"]], axis=1)
            found, which = np.unique(places, axis=0, return_inverse=True)
            paths = [PurePosixPath(reader.info.video_file(Place(*place), key)) for place in found.tolist()]
            self._paths[key] = (paths, which.reshape(-1))
            self._start[key] = np.asarray(table[f"videos/{key}/from_timestamp"])

    @property
    def keys(self) -> list[str]:
        """The cameras that have videos."""
        return list(self._paths)

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_local": {}}

    def frames(self, key: str, episode: np.ndarray, stamps: np.ndarray) -> np.ndarray:
        """Pictures (N, H, W, 3) uint8, or (N, H, W, 1) float32 of depth, at times (N,) [s] of some episodes (N,).

        Raises:
            DataError: a video is missing, broken, or has no frame at a time.
        """
        is_depth = self._reader.features[key].is_depth
        times = stamps.astype(np.float64) + self._start[key][episode]
        paths, which = self._paths[key]
        out: np.ndarray | None = None
        for number in np.unique(which[episode]).tolist():
            here = np.flatnonzero(which[episode] == number)
            found = self._decoded(key, paths[number], times[here], depth.PIXELS if is_depth else decode.RGB)
            if is_depth:
                found = self._reader.distances(key)[found][..., None]  # (n, H, W, 1)
            if len(here) == len(times):
                return found
            out = np.empty((len(times), *found.shape[1:]), found.dtype) if out is None else out
            out[here] = found
        if out is None:
            raise IndexError("no frames asked for")
        return out

    def _decoded(self, key: str, path: PurePosixPath, times: np.ndarray, pixels: str) -> np.ndarray:
        # A decoder of its own for each camera: cameras are decoded side by side.
        if key not in self._local:
            self._local[key] = decode.VideoReader(decode.choose(self._backend), self._tolerance_s)
        return self._local[key].frames(self._store.local(path), times, pixels)

    def fetch(self, key: str, episode: np.ndarray, stamps: np.ndarray) -> None:
        """Have the bytes here that `frames` will want."""

    def close(self) -> None:
        for reader in self._local.values():
            reader.close()
