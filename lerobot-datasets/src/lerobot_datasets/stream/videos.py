"""Pictures of any frames of a dataset whose videos stay where they are: of a remote one only the bytes of packets are read.

Knows no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from lerobot_datasets.stream.store import RemoteFile, Store
from lerobot_datasets.v3.cameras import Camera
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.video import decode
from lerobot_datasets.video.decoders import Source
from lerobot_datasets.video.packets import PacketTable

#: Bytes fetched at least while the boxes of a video are looked through.
_AHEAD = 64 << 10


class Videos:
    """The videos of the episodes a reader has selected.

    Args:
        store: where they lie.
        reader: says which episode is in which.
        backend: decoder of videos that are here, torchcodec or pyav.
        tolerance_s: how far a frame may be from the time asked for [s].
    """

    def __init__(self, store: Store, reader: Reader, backend: str | None, tolerance_s: float) -> None:
        self._store = store
        self._backend, self._tolerance_s = backend, tolerance_s
        self._opened: decode.VideoReader | None = None
        keys = reader.info.video_keys if len(reader.episodes) else ()
        self._cameras = {key: Camera(reader, key) for key in keys}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    @property
    def keys(self) -> list[str]:
        """The cameras that have videos."""
        return list(self._cameras)

    def frames(self, asked: Mapping[str, tuple[np.ndarray, np.ndarray]], uint8: bool = False) -> dict[str, np.ndarray]:
        """Pictures (N, 3, H, W) float32 from 0 to 1 of each camera, (N, 1, H, W) of depth.

        Args:
            asked: camera → episode of each picture (N,) and its time there (N,) [s].
            uint8: give (N, H, W, 3) uint8, but of depth.

        Raises:
            DataError: a video is missing, broken, or has no frame at a time, or the place cannot be reached.
        """
        if self._opened is None:
            self._opened = self._reader_of_videos()
        wanted, out = [], {}
        for key, (episode, stamps) in asked.items():
            camera = self._cameras[key]
            for path, here, times in self._parts(key, episode, stamps):
                place: Any = self._store.local(path) if self._store.is_local else path
                if key not in out:
                    size = self._opened.shape(place, camera.pixels)
                    out[key] = np.empty(*camera.form(len(stamps), size, uint8))
                wanted.append(decode.Wanted(place, times, out[key], here, camera.pixels, camera.distances))
        self._opened.fill(wanted)
        return out

    def fetch(self, key: str, episode: np.ndarray, stamps: np.ndarray) -> None:
        """Have the bytes in the cache that `frames` will want of a camera."""
        for path, _, times in self._parts(key, episode, stamps):
            table = packets(self._store, path)
            for run in table.runs(table.shown[table.nearest(times)]):
                span = slice(run.begin, int(run.wanted.max()) + 1)
                low, high = int(table.pos[span].min()), int((table.pos[span] + table.size[span]).max())
                self._store.read(path, low, high - low)

    def _reader_of_videos(self) -> decode.VideoReader:
        if self._store.is_local:
            return decode.VideoReader(decode.choose(self._backend), self._tolerance_s)
        return _RemoteReader(self._store, self._tolerance_s)

    def _parts(self, key: str, episode: np.ndarray, stamps: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """For each file its path, which of the frames are in it, and when there (n,) [s]."""
        camera = self._cameras[key]
        file, times = camera.files[episode], stamps.astype(np.float64) + camera.begins[episode]
        parts = ((number, np.flatnonzero(file == number)) for number in np.unique(file).tolist())
        return [(camera.name(number).as_posix(), here, times[here]) for number, here in parts]


def packets(store: Store, path: str) -> PacketTable:
    """Where the packets of a remote video lie.

    Raises:
        DataError: there is no such file, it is no video, or the place cannot be reached.
    """

    def read() -> tuple[PacketTable, int]:
        found = PacketTable.of(RemoteFile(store, path, ahead=_AHEAD))
        return found, 64 * len(found)  # as its arrays take, with those made later

    table: PacketTable = store.cache.get((path, "packets"), read)
    return table


class _RemoteReader(decode.VideoReader):
    """Videos by their paths below a place."""

    def __init__(self, store: Store, tolerance_s: float) -> None:
        super().__init__("pyav", tolerance_s)
        self._store = store

    def _decoder(self, path: Any, pixels: str) -> decode.Decoder:
        if (path, pixels) not in self._open:
            self._open[path, pixels] = _RemoteDecoder(self._store, path)
        self._open.move_to_end((path, pixels))
        return self._open[path, pixels]


class _RemoteDecoder(decode.PyavDecoder):
    """One remote video: its packets are read through the store."""

    def __init__(self, store: Store, path: str) -> None:
        self._path: Any = store.name(path)
        self._file, self.bytes = -1, 0
        self._source = Source(packets(store, path), partial(store.read, path))
