"""Pictures of any frames of a dataset whose videos stay where they are: of a remote one only the bytes of packets are read.

Knows no torch.
"""

from __future__ import annotations

from functools import partial

import av
import numpy as np

from lerobot_core.errors import DataError
from lerobot_datasets.stream.store import BLOCK, RemoteFile, Store
from lerobot_datasets.v3.layout import Place
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.video import decode, decoders, depth
from lerobot_datasets.video.packets import PacketTable


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
        self._files: dict[str, tuple[list[str], np.ndarray]] = {}
        self._start: dict[str, np.ndarray] = {}
        table = reader.episodes
        for key in reader.info.video_keys if len(table) else ():
            places = np.stack([table[f"videos/{key}/chunk_index"], table[f"videos/{key}/file_index"]], axis=1)
            found, which = np.unique(places, axis=0, return_inverse=True)
            paths = [reader.info.video_file(Place(*place), key).as_posix() for place in found.tolist()]
            self._files[key] = (paths, which.reshape(-1))
            self._start[key] = np.asarray(table[f"videos/{key}/from_timestamp"], dtype=np.float64)

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_local": {}}

    @property
    def keys(self) -> list[str]:
        """The cameras that have videos."""
        return list(self._files)

    def frames(self, key: str, episode: np.ndarray, stamps: np.ndarray) -> np.ndarray:
        """Pictures (N, H, W, 3) uint8, or (N, H, W, 1) float32 of depth, at times (N,) [s] of some episodes (N,).

        Raises:
            DataError: a video is missing, broken, or has no frame at a time, or the place cannot be reached.
        """
        is_depth = self._reader.features[key].is_depth
        out: np.ndarray | None = None
        for path, here, times in self._parts(key, episode, stamps):
            decoded = self._read_here if self._store.is_local else self._read_there
            found = decoded(key, path, times, depth.PIXELS if is_depth else decode.RGB)
            if is_depth:
                found = self._reader.distances(key)[found][..., None]  # (n, H, W, 1)
            if len(here) == len(stamps):
                return found
            out = np.empty((len(stamps), *found.shape[1:]), found.dtype) if out is None else out
            out[here] = found
        if out is None:
            raise IndexError("no frames asked for")
        return out

    def fetch(self, key: str, episode: np.ndarray, stamps: np.ndarray) -> None:
        """Have the bytes in the cache that `frames` will want."""
        for path, _, times in self._parts(key, episode, stamps):
            table = self._table(path)
            for run in table.runs(table.shown[table.nearest(times)]):
                first, last = run.begin, int(run.wanted.max())
                low, high = (
                    int(table.pos[first : last + 1].min()),
                    int((table.pos + table.size)[first : last + 1].max()),
                )
                self._store.read(path, low, high - low)

    def _parts(self, key: str, episode: np.ndarray, stamps: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """For each file its path, which of the frames are in it, and when there (n,) [s]."""
        paths, which = self._files[key]
        file, times = which[episode], stamps.astype(np.float64) + self._start[key][episode]
        parts = ((number, np.flatnonzero(file == number)) for number in np.unique(file).tolist())
        return [(paths[number], here, times[here]) for number, here in parts]

    def _read_here(self, key: str, path: str, times: np.ndarray, pixels: str) -> np.ndarray:
        # A reader of its own for each camera: cameras are decoded side by side.
        if key not in self._local:
            self._local[key] = decode.VideoReader(decode.choose(self._backend), self._tolerance_s)
        return self._local[key].frames(self._store.local(path), times, pixels)

    def _read_there(self, key: str, path: str, times: np.ndarray, pixels: str) -> np.ndarray:
        table, name = self._table(path), self._store.name(path)
        wanted, back = np.unique(times, return_inverse=True)
        shown = table.nearest(wanted)
        off = np.abs(table.times[shown] - wanted)
        if off.max() > self._tolerance_s:
            raise DataError(
                f"'{name}' has no frame within {self._tolerance_s} s of {wanted[off.argmax()]:.6f} s",
                path=name,
                hint="the video does not fit the table of frames; raise tolerance_s if its clock is known to be off",
            )
        packets = table.shown[shown]
        size = (table.height, table.width)
        out = np.empty((len(wanted), *size, 3) if pixels == decode.RGB else (len(wanted), *size), _TYPES[pixels])
        place = {packet: np.flatnonzero(packets == packet) for packet in packets.tolist()}
        source = decoders.Source(table, partial(self._store.read, path))
        try:
            for packet, frame in decoders.process.frames(source, list(table.runs(packets))):
                for i in place.get(packet, ()):
                    decoders.write(frame, pixels, out[i])
        except (av.FFmpegError, DataError) as error:
            raise DataError(f"'{name}' cannot be decoded: {error}", path=name) from error
        return out[back]

    def _table(self, path: str) -> PacketTable:
        def read() -> tuple[PacketTable, int]:
            found = PacketTable.of(RemoteFile(self._store, path, ahead=BLOCK))
            return found, 64 * len(found)  # as its arrays take, with those made later

        table: PacketTable = self._store.cache.get((path, "packets"), read)
        return table


_TYPES = {decode.RGB: np.uint8, depth.PIXELS: np.uint16}
