"""Batches of torch tensors: windows sliced from the columns, frames of all cameras decoded in one pass, cheap to hand over.

Knows rows, no datasets. What a worker process makes crosses to the main process without a copy of the pictures and with a
single small buffer for all else.
"""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from lerobot_core.features import Feature
from lerobot_datasets import columns, windows
from lerobot_datasets.columns import Cells
from lerobot_datasets.v3.cameras import Camera
from lerobot_datasets.v3.reader import Reader, pictures
from lerobot_datasets.v3.rows import Rows
from lerobot_datasets.video import decode

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
        if torch.utils.data.get_worker_info():
            gc.freeze()  # a worker's imports stay: looking through them for garbage costs some of each batch

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
        found = pictures(values.take(rows.reshape(-1)), feature, self._reader.depth_output_unit)
        return of_cells(found, rows.shape)

    @cached_property
    def _cameras(self) -> dict[str, Camera]:
        return {key: Camera(self._reader, key) for key in self._reader.info.video_keys}

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
                path, slots = self._reader.root / camera.name(file), np.flatnonzero(files == file)
                if key not in out:
                    size = self._videos.shape(path, camera.pixels)
                    out[key] = empty(*camera.form(len(flat), size, self._return_uint8))
                wanted.append(
                    decode.Wanted(path, times[slots], out[key].numpy(), slots, camera.pixels, camera.distances)
                )
        if wanted:
            self._videos.fill(wanted)
        return {key: of_video(found, rows[key].shape) for key, found in out.items()}


def from_start(indices: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
    """Rows (B,) int64 counted from the start, of rows of which negative ones are counted from the end.

    Raises:
        IndexError: a row does not exist.
    """
    rows = np.asarray(indices, dtype=np.int64)
    if len(rows) and (rows.min() < -size or rows.max() >= size):
        raise IndexError(f"row {rows[(rows < -size) | (rows >= size)][0]} of {size}")
    return np.where(rows < 0, rows + size, rows)


def of_video(filled: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Pictures (*shape, C, H, W) of what a decoder filled: (N, H, W, 3) uint8, whose axes only change names, or floats."""
    return (filled.permute(0, 3, 1, 2) if filled.dtype == torch.uint8 else filled).unflatten(0, shape)


def of_cells(found: np.ndarray, shape: tuple[int, ...]) -> torch.Tensor:
    """Pictures (*shape, C, H, W) float32 of those of a table: (N, H, W, 3) uint8, or (N, H, W, 1) float32 of depth."""
    out = empty((len(found), found.shape[3], *found.shape[1:3]), np.float32)
    torch.div(torch.from_numpy(found).permute(0, 3, 1, 2), 255 if found.dtype == np.uint8 else 1, out=out)
    return out.unflatten(0, shape)


# --- handing over -----------------------------------------------------------------------------------------------------


def empty(shape: tuple[int, ...], dtype: type[np.generic]) -> torch.Tensor:
    """A tensor to be filled; in a worker process, in memory that it shares with the main process."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size < _LARGE * (1 if torch.utils.data.get_worker_info() else _WORTH):
        return torch.from_numpy(np.empty(shape, dtype))
    return torch.from_numpy(_arenas.take(size).view(dtype).reshape(shape))


class _Arenas:
    """Memory for large tensors, used again when nobody looks at it any more: new pages cost a quarter of the time.

    In a worker process it is shared with the main process. The first bytes of an arena say who still looks at it: `_MAKER`
    is set while this process has a tensor in it, `_TAKER` from when it is sent until the main process has none in it any more.
    """

    def __init__(self) -> None:
        self._all: list[torch.Tensor] = []

    def forget(self) -> None:
        """In a forked process: its parent's memory is shared with nobody."""
        self._all = []

    def take(self, size: int) -> np.ndarray:
        """Some free bytes (size,)."""
        for arena in self._all:
            if size <= len(arena) - _HEAD <= 2 * size and not arena[:_HEAD].any():
                break
        else:
            arena = torch.empty(0, dtype=torch.uint8).set_(_storage(_HEAD + size))
            arena[:_HEAD] = 0
            self._all.append(arena)
        return _leased(arena, _MAKER, self.trim)[:size]

    def trim(self) -> None:
        """Give idle memory back: in a worker the oldest of many arenas, elsewhere what is over the cap."""
        if torch.utils.data.get_worker_info():
            del self._all[:-_MOST]
            return
        idle = 0
        for arena in [arena for arena in self._all if not arena[:_HEAD].any()]:
            idle += len(arena)
            if idle > _IDLE:
                self._all = [other for other in self._all if other is not arena]

    def holding(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """The arena that a tensor is in."""
        address = tensor.untyped_storage().data_ptr() - _HEAD
        return next((arena for arena in self._all if arena.data_ptr() == address), None)


#: Bytes before the data, and which of them says what.
_HEAD, _MAKER, _TAKER = 64, 0, 1
#: Arenas that a worker keeps, and what another process keeps of them idle [bytes].
_MOST, _IDLE = 16, 512 << 20
#: Outside of workers, smaller tensors than this many large ones come cheap from the heap.
_WORTH = 8

_arenas = _Arenas()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_arenas.forget)


def _storage(size: int) -> torch.UntypedStorage:
    if torch.utils.data.get_worker_info():
        return torch.UntypedStorage._new_shared(size)
    return torch.from_numpy(np.empty(size, np.uint8)).untyped_storage()  # numpy asks for huge pages


def _leased(arena: torch.Tensor, who: int, then: Callable[[], None] = lambda: None) -> np.ndarray:
    """The bytes of an arena, which is marked as in use until nothing refers to them."""
    arena[who] = 1
    # Not a slice of the arena's array: views of a slice refer to that array, views of a buffer to what was made of it here.
    data = np.frombuffer(memoryview(arena.numpy())[_HEAD:], np.uint8)

    def free() -> None:
        arena[who] = 0
        then()

    weakref.finalize(data, free).atexit = False
    return data


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
        parts, small, leased, rest, offset = [], [], [], {}, 0
        for key, value in self.items():
            if not isinstance(value, torch.Tensor) or value.device.type != "cpu":
                rest[key] = value
            elif (arena := _arenas.holding(value)) is not None:
                arena[_TAKER] = 1
                leased.append((key, arena, value.dtype, value.shape, value.stride(), value.storage_offset()))
            elif value.nbytes >= _LARGE:
                rest[key] = value
            else:
                parts.append(value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
                small.append((key, value.dtype, value.shape, offset, value.nbytes))
                parts.append(bytes(-value.nbytes % _ALIGNED))
                offset += len(parts[-1]) + value.nbytes
        return _arrived, (list(self), b"".join(parts), small, leased, rest)


def _arrived(keys: list[str], data: bytes, small: list[Any], leased: list[Any], rest: dict[str, Any]) -> dict[str, Any]:
    found = dict(rest)
    memory = torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8)
    for key, dtype, shape, offset, size in small:
        found[key] = memory[offset : offset + size].view(dtype).reshape(shape)
    for key, arena, dtype, shape, stride, offset in leased:
        found[key] = torch.from_numpy(_leased(arena, _TAKER)).view(dtype).as_strided(shape, stride, offset)
    return {key: found[key] for key in keys}
