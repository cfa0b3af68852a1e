"""Batches of torch tensors: windows sliced from the columns, frames of all cameras decoded in one pass, cheap to hand over.

Knows rows, no datasets. What a worker process makes crosses to the main process without a copy of the pictures and with a
single small buffer for all else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from lerobot_core.features import Feature
from lerobot_datasets import columns, windows
from lerobot_datasets.columns import Cells
from lerobot_datasets.v3.layout import Place
from lerobot_datasets.v3.reader import Reader, pictures
from lerobot_datasets.v3.rows import Rows
from lerobot_datasets.video import decode, depth

#: Tensors from this size on cross to another process in shared memory, smaller ones through its pipe [bytes].
_LARGE = 1 << 20
_ALIGNED = 16


class Batches:
    """Makes batches of a dataset.

    Args:
        reader: the dataset.
        rows: its columns.
        videos: decodes its frames.
        deltas: key → offsets of its window (T,) [frames].
        return_uint8: give the pictures of videos as uint8, except for depth.
    """

    def __init__(
        self,
        reader: Reader,
        rows: Rows,
        videos: decode.VideoReader,
        deltas: Mapping[str, np.ndarray],
        return_uint8: bool,
    ) -> None:
        self._reader, self._rows, self._videos = reader, rows, videos
        self._deltas, self._return_uint8 = deltas, return_uint8
        self._stored = columns.stored(reader.features)

    def make(self, rows: np.ndarray) -> dict[str, Any]:
        """The batch of some rows (B,): feature → tensor or list, then the masks, then the tasks.

        Raises:
            DataError: a video is missing or does not fit.
        """
        episode = self._rows.episode(rows)
        first, stop = self._rows.bounds(episode)
        alone = self._rows.stored(rows, episode)  # (B,)
        spread: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
        for deltas in self._deltas.values():
            if deltas.tobytes() not in spread:
                inside, pad = windows.window(rows, first, stop, deltas)
                spread[deltas.tobytes()] = self._rows.stored(inside, episode), pad  # (B, T)
        windowed = {key: spread[deltas.tobytes()] for key, deltas in self._deltas.items()}
        wanted = {key: windowed[key][0] if key in windowed else alone for key in self._reader.features}
        batch = self._frames({key: wanted[key] for key in self._cameras}, episode)
        for key, feature in self._stored.items():
            batch[key] = self._column(key, feature, wanted[key])
        for key, (_, pad) in windowed.items():
            batch[f"{key}_is_pad"] = torch.from_numpy(pad.copy())
        tasks = self._rows.columns["task_index"][alone]
        batch["task"] = [self._reader.tasks[i] for i in tasks.tolist()]
        for key, deltas in self._deltas.items():
            if len(deltas) == 1 and self._reader.features[key].is_picture:
                batch[key] = batch[key][:, 0]  # (B, C, H, W)
        return batch

    def _column(self, key: str, feature: Feature, rows: np.ndarray) -> Any:
        """The values at stored rows (B,) or (B, T): a tensor, or lists of strings and of language."""
        values = self._rows.columns[key]
        if not isinstance(values, Cells):
            return torch.from_numpy(values[rows])
        if feature.dtype != "image":
            return values.take(rows)
        found = pictures(values.take(rows.reshape(-1)), feature, self._reader.depth_output_unit)  # (N, H, W, C)
        return _channels_first(torch.from_numpy(found), rows, as_float=not feature.is_depth)

    @cached_property
    def _cameras(self) -> dict[str, _Camera]:
        return {key: _Camera(self._reader, key) for key in self._reader.info.video_keys}

    def _frames(self, rows: Mapping[str, np.ndarray], episode: np.ndarray) -> dict[str, Any]:
        """The frames of each camera at stored rows (B,) or (B, T) of the episodes (B,), all decoded at once."""
        wanted: list[decode.Wanted] = []
        out: dict[str, torch.Tensor] = {}
        for key, camera in self._cameras.items():
            flat = rows[key].reshape(-1)
            whose = np.repeat(episode, len(flat) // max(len(episode), 1))
            times = self._rows.columns["timestamp"][flat].astype(np.float64) + camera.begins[whose]
            files = camera.files[whose]
            for file in np.unique(files).tolist():
                path, slots = camera.path(file), np.flatnonzero(files == file)
                if key not in out:
                    shape = (len(flat), *self._videos.shape(path, camera.pixels))
                    out[key] = empty(shape, torch.uint16 if camera.is_depth else torch.uint8)
                wanted.append(decode.Wanted(path, times[slots], out[key].numpy(), slots, camera.pixels))
        if not wanted:
            return {}
        self._videos.fill(wanted)
        for key, camera in self._cameras.items():
            if camera.is_depth:
                found = torch.from_numpy(camera.distances[out[key].numpy()][..., None])  # (N, H, W, 1)
                out[key] = _channels_first(found, rows[key])
            else:
                out[key] = _channels_first(out[key], rows[key], as_float=not self._return_uint8)
        return dict(out)


class _Camera:
    """Where the frames of one video feature are.

    Attributes:
        begins: when each selected episode begins in its file (E,) [s].
        files: which file holds it (E,), a number for `path`.
        is_depth: it has codes for distances.
        pixels: pixel format to decode to.
        distances: of the codes (4096,) float32; empty but for depth.
    """

    def __init__(self, reader: Reader, key: str) -> None:
        table = reader.episodes
        self.begins = np.asarray(table[f"videos/{key}/from_timestamp"], np.float64)
        places = np.stack([table[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index")], axis=1)
        self._places, self.files = np.unique(places, axis=0, return_inverse=True)
        self.files = self.files.reshape(-1)
        self.is_depth = bool(reader.features[key].is_depth)
        self.pixels = depth.PIXELS if self.is_depth else decode.RGB
        self.distances = reader.distances(key) if self.is_depth else np.empty(0, np.float32)
        self._reader, self._key = reader, key

    def path(self, file: int) -> Any:
        place = Place(*self._places[file].tolist())
        return self._reader.root / self._reader.info.video_file(place, self._key)


def _channels_first(found: torch.Tensor, rows: np.ndarray, as_float: bool = False) -> torch.Tensor:
    """(*rows, C, H, W) of pictures (N, H, W, C), one for each of `rows`: the same memory, or floats from 0 to 1."""
    out = found.permute(0, 3, 1, 2)  # (N, C, H, W)
    if as_float:
        out = torch.div(out, 255, out=empty(tuple(out.shape), torch.float32))
    return out.unflatten(0, rows.shape)


def empty(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """A tensor to be filled; in shared memory in a worker process, so that it crosses without a copy."""
    if torch.utils.data.get_worker_info() is None:
        return torch.empty(shape, dtype=dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    storage = torch.UntypedStorage._new_shared(size)
    return torch.empty(0, dtype=dtype).set_(storage, 0, tuple(shape), torch.empty(shape, device="meta").stride())


# --- handing over -----------------------------------------------------------------------------------------------------


class Items(Sequence[dict[str, Any]]):
    """The items of a batch. They are views of stacked tensors, so that collating them copies nothing."""

    def __init__(self, batch: dict[str, Any], length: int) -> None:
        self.batch = batch
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._length))]
        if not -self._length <= index < self._length:
            raise IndexError(index)
        return {key: value[index] for key, value in self.batch.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[i] for i in range(self._length))


def collate(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A batch of items: tensors stacked, everything else as lists."""
    if isinstance(items, Items):
        batch = items.batch
    else:
        batch = {
            key: torch.stack([item[key] for item in items])
            if isinstance(value, torch.Tensor)
            else [item[key] for item in items]
            for key, value in items[0].items()
        }
    return batch if torch.utils.data.get_worker_info() is None else Crossing(batch)


class Crossing(dict[str, Any]):
    """A batch on its way out of a worker process; a plain dict comes out there.

    A tensor that crosses takes a file descriptor and a handshake, which costs more than copying a small one: all small
    tensors go through the pipe as one run of bytes.
    """

    def __reduce__(self) -> tuple[Callable[..., dict[str, Any]], tuple[Any, ...]]:
        small, rest, offset = [], {}, 0
        parts = []
        for key, value in self.items():
            if not isinstance(value, torch.Tensor) or value.nbytes >= _LARGE or value.device.type != "cpu":
                rest[key] = value
                continue
            data = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            small.append((key, str(value.dtype).removeprefix("torch."), tuple(value.shape), offset))
            data += bytes(-len(data) % _ALIGNED)
            parts.append(data)
            offset += len(data)
        return _arrived, (list(self), b"".join(parts), small, rest)


def _arrived(
    keys: list[str], data: bytes, small: list[tuple[str, str, tuple[int, ...], int]], rest: dict[str, Any]
) -> dict[str, Any]:
    memory = torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8)
    found = dict(rest)
    for key, name, shape, offset in small:
        dtype = getattr(torch, name)
        size = int(np.prod(shape)) * dtype.itemsize
        found[key] = memory[offset : offset + size].view(dtype).reshape(shape)
    return {key: found[key] for key in keys}
