"""`StreamingLeRobotDataset`: frames of a dataset one after the other, read while they are used from wherever it lies.

Items are made many at a time: windows are sliced from the columns of a few row groups in memory, the frames of each video
decoded in one pass. The shuffle buffer holds frame numbers, no frames. Items equal those of `LeRobotDataset`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from copy import copy
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from lerobot_core.errors import DataError
from lerobot_datasets import columns, hub, windows
from lerobot_datasets.batches import collate, of_cells, of_video
from lerobot_datasets.meta import Described, LeRobotDatasetMetadata
from lerobot_datasets.stream import place, plan
from lerobot_datasets.stream.ahead import CONNECTIONS, Asked, Windows, fetched
from lerobot_datasets.stream.store import is_url
from lerobot_datasets.stream.tables import BLOCK_ROWS, Tables
from lerobot_datasets.stream.videos import Videos
from lerobot_datasets.transforms import change
from lerobot_datasets.v3.reader import Reader, pictures
from lerobot_datasets.video import depth

#: Bytes of pictures that are made at once.
_MADE = 16 << 20


class StreamingLeRobotDataset(Described, IterableDataset[dict[str, Any]]):
    """Frames of a dataset, each once an epoch, without having it here: for `torch.utils.data.DataLoader`.

    Items equal those of `LeRobotDataset`, windows at the edges of episodes, files and buffers included. The order of an epoch
    is a function of the seed, the epoch and who shares it; each iteration is one epoch.

    Args:
        repo_id: name of the dataset.
        root: its folder, or the address of one that fsspec reaches, as `s3://bucket/set`; else the folder of `repo_id`
            under $HF_LEROBOT_HOME, else the Hub.
        episodes: which episodes; all when not given.
        image_transforms: as for `LeRobotDataset`.
        delta_timestamps: key → offsets of the window [s], multiples of 1 / fps.
        tolerance_s: how far an offset may be from a multiple, and a video's frame from its time [s].
        revision: version tag, branch or commit on the Hub.
        force_cache_sync: read from the Hub even if a copy is here.
        streaming: leave tables and videos where they are; else the dataset is downloaded first.
        buffer_size: frame numbers that are drawn from; more of them mix more of the dataset.
        max_num_shards: parts of the dataset that the buffer is filled from at a time.
        seed: of the random order.
        shuffle: random order; else the dataset's.
        return_uint8: give the pictures of videos as uint8, except for depth.
        video_backend: decoder of videos that are here: pyav, the default, or torchcodec.
        depth_output_unit: unit of depth pictures and their statistics, mm or m.
        rank: which of `world` processes this is; of torch.distributed where that runs, else 0.
        world: number of processes that share an epoch; of torch.distributed where that runs, else 1.
        even: all ranks give equally many frames, for which the first of an epoch come twice where they must; else each frame
            comes once, and some ranks give one frame more than others.
        batch_size: that of the loader: workers are given whole batches of it, so that an epoch has as many batches as without
            workers, the smaller one last, and without shuffling the loader's order is the dataset's.
        cache_bytes: most bytes kept of tables and videos, in each worker.
        storage_options: arguments of fsspec's file system for `root`.

    Raises:
        DataError: no such dataset, it is incomplete or cannot be reached, or an argument does not fit it.
    """

    def __init__(
        self,
        repo_id: str,
        root: str | Path | None = None,
        episodes: Sequence[int] | None = None,
        image_transforms: Callable[[torch.Tensor], torch.Tensor] | None = None,
        delta_timestamps: Mapping[str, Sequence[float]] | None = None,
        tolerance_s: float = 1e-4,
        revision: str | None = None,
        force_cache_sync: bool = False,
        streaming: bool = True,
        buffer_size: int = 1000,
        max_num_shards: int = 16,
        seed: int = 42,
        shuffle: bool = True,
        return_uint8: bool = False,
        *,
        video_backend: str | None = None,
        depth_output_unit: depth.Unit = "mm",
        rank: int | None = None,
        world: int | None = None,
        even: bool = False,
        batch_size: int = 1,
        cache_bytes: int = 256 << 20,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        for name, value in {"buffer_size": buffer_size, "max_num_shards": max_num_shards}.items():
            if value < 1:
                raise DataError(f"{name} is 1 or more, got {value}")
        if not streaming and not is_url(root):
            root = hub.locate(repo_id, root, revision, episodes=episodes, force=force_cache_sync)
            force_cache_sync = False
        self._place = place.locate(
            repo_id, root, revision, force=force_cache_sync, cache_bytes=cache_bytes, options=storage_options
        )
        self.root, self._store = self._place.folder, self._place.store
        self.repo_id, self.revision, self.selected = repo_id, revision, episodes
        self.image_transforms, self.tolerance_s, self.return_uint8 = image_transforms, tolerance_s, return_uint8
        self.delta_timestamps = dict(delta_timestamps or {})
        self._depth_output_unit = depth_output_unit
        self._reader = Reader(self.root, episodes, depth_output_unit)
        self.meta = LeRobotDatasetMetadata.of(self._reader, repo_id, revision)
        self._deltas = windows.frame_deltas(self.delta_timestamps, self.features, self.fps, self.tolerance_s)
        self._tables = Tables(self._store, self._reader, tolerance_s)
        self._wanted = Windows(self._tables, self._deltas)
        self._videos = Videos(self._store, self._reader, video_backend, tolerance_s)
        self._prepare(
            buffer_size=buffer_size,
            open_shards=max_num_shards,
            seed=seed,
            shuffle=shuffle,
            rank=rank,
            world=world,
            even=even,
            batch_size=batch_size,
        )

    def _prepare(
        self,
        rank: int | None,
        world: int | None,
        drop_first: int = 0,
        drop_last: int = 0,
        **order: Any,
    ) -> None:
        """Begin anew, in some order."""
        here = _processes()
        self.rank, self.world = here[0] if rank is None else rank, here[1] if world is None else world
        if not 0 <= self.rank < self.world:
            raise DataError(f"rank is 0 to {self.world - 1}, got {self.rank}")
        tables = self._tables
        self._frames = plan.Frames.of(tables.lengths, drop_first, drop_last)
        shards = self._frames.shards(tables.file, tables.row, BLOCK_ROWS)
        self._order = plan.Order(shards, world=self.world, **order)
        self._position = Position()

    def sampler(
        self,
        seed: int = 0,
        shuffle: bool = True,
        drop_first: int = 0,
        drop_last: int = 0,
        rank: int | None = None,
        world: int | None = None,
        batch_size: int = 1,
    ) -> StreamingLeRobotDataset:
        """This dataset in another order and without some frames of each episode: a loader is given it as its dataset.

        Args are those of `LeRobotDataset.sampler` and of this class.
        """
        other = copy(self)
        order = {"seed": seed, "shuffle": shuffle, "batch_size": batch_size, "even": self._order.even}
        order |= {"buffer_size": self._order.buffer_size, "open_shards": self._order.open_shards}
        other._prepare(rank, world, drop_first, drop_last, **order)
        return other

    # --- what is known ------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Items that this rank gives in an epoch, all workers together."""
        return self._order.count(self.rank)

    collate = staticmethod(collate)

    # --- where it stands ----------------------------------------------------------------------------------------------

    def set_epoch(self, epoch: int) -> None:
        """Begin this epoch with the next iteration, also in workers that run already."""
        self._position.set(epoch, 0)

    def state_dict(self) -> dict[str, int]:
        """Where the iteration in this process stands, or the next begins.

        `start_index` counts the frames of all ranks together. What workers gave is not known here: count the loader's batches
        and load {"epoch": epoch, "start_index": batches * batch size * ranks}.
        """
        epoch, given = self._position.now()
        return {"epoch": epoch, "start_index": given * self.world}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Begin the next iteration where `state_dict` says; with workers, as many as there were, after whole batches.

        Raises:
            DataError: the place does not exist, or lies within a batch of another size.
        """
        epoch, start = state["epoch"], state["start_index"] // self.world
        if epoch < 0 or not 0 <= start <= max(len(self), 1):
            raise DataError(f"an epoch has {len(self)} frames, the state is of epoch {epoch} at {start}")
        self._position.set(epoch, start)

    # --- items --------------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[dict[str, Any]]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        epoch, start = self._position.begin()
        if workers > 1:
            # A loader that is made anew asks its first worker for the next batch: each takes the part of the one whose turn it is.
            batches = -(-start // self._order.batch_size)
            worker = (worker + batches) % workers
            start = self._order.given(self.rank, batches, worker, workers)
        return self._items(self._order.blocks(epoch, self.rank, worker, workers), epoch, start)

    def _items(self, blocks: Iterator[np.ndarray], epoch: int, given: int) -> Iterator[dict[str, Any]]:
        with ExitStack() as stack:
            chunks = self._chunks(blocks, given)
            if not self._store.is_local:
                fetchers = _threads(stack, CONNECTIONS, "lerobot-fetch")
                chunks = fetched(chunks, self._frames.rows, self._wanted, self._videos, fetchers)
            position = self._position
            for numbers, skipped in chunks:
                batch = self._made(self._frames.rows(numbers), epoch)
                keys = list(batch)
                values = [v.unbind() if isinstance(v, torch.Tensor) else v for v in batch.values()]
                del batch
                for item in islice(zip(*values, strict=True), skipped, None):
                    position.given += 1
                    yield dict(zip(keys, item, strict=True))
                del values, item

    def _chunks(self, blocks: Iterator[np.ndarray], given: int) -> Iterator[tuple[np.ndarray, int]]:
        """Frames to make at once, and how many of these were given before."""
        size = max(1, min(plan.DRAWN, _MADE // max(self._item_bytes, 1)))
        for block in blocks:
            if given >= len(block):
                given -= len(block)
                continue
            for start in range(given // size * size, len(block), size):
                yield block[start : start + size], max(given - start, 0)
            given = 0

    @cached_property
    def _item_bytes(self) -> int:
        """Bytes of the pictures of an item as they are decoded."""
        shapes = {key: self._reader.features[key].shape for key in self.meta.camera_keys}
        return sum(int(np.prod(shape)) * len(self._deltas.get(key, [0])) for key, shape in shapes.items())

    def _made(self, rows: np.ndarray, epoch: int) -> dict[str, Any]:
        """The items at some rows (B,), stacked."""
        now = self._wanted.now(rows)
        around = self._wanted.around(now)
        asked = {key: around[key][0] if key in around else now for key in self._reader.features}
        videos = {key: (asked[key].episode, asked[key].column("timestamp").reshape(-1)) for key in self._videos.keys}
        decoded = self._videos.frames(videos, self.return_uint8)
        batch: dict[str, Any] = {
            key: of_video(torch.from_numpy(found), asked[key].rows.shape) for key, found in decoded.items()
        }
        for key, feature in columns.stored(self._reader.features).items():
            batch[key] = self._column(key, feature, asked[key])
        for key, (_, pad) in around.items():
            batch[f"{key}_is_pad"] = torch.from_numpy(pad)
        batch["task"] = [self._reader.tasks[i] for i in now.column("task_index").tolist()]
        for key in self.meta.camera_keys:
            batch[key] = self._changed(key, batch[key], [epoch, *rows.tolist()])
        return batch

    def _column(self, key: str, feature: Any, asked: Asked) -> Any:
        found = asked.column(key)
        if feature.dtype == "image":
            return of_cells(pictures(found.reshape(-1), feature, self._depth_output_unit), asked.rows.shape)
        return found.tolist() if feature.dtype in columns.OBJECTS else torch.from_numpy(found)

    def _changed(self, key: str, batch: torch.Tensor, numbers: list[int]) -> torch.Tensor:
        """Pictures as items have them: a window of one has no axis, and the changes wished are made."""
        if key in self._deltas and len(self._deltas[key]) == 1:
            batch = batch[:, 0]  # (B, C, H, W)
        if self.image_transforms is None or self._reader.features[key].is_depth:
            return batch
        return change(self.image_transforms, batch, [self.meta.camera_keys.index(key), *numbers])


def _threads(stack: ExitStack, count: int, name: str) -> ThreadPoolExecutor:
    """Threads that end with the stack; what waits for them then is not begun."""
    pool = ThreadPoolExecutor(count, name)
    stack.callback(pool.shutdown, cancel_futures=True)
    return pool


def _processes() -> tuple[int, int]:
    """Rank and number of the processes that train together."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


class Position:
    """Where the iteration of this process stands and the next begins. What is set reaches all copies in other processes."""

    def __init__(self) -> None:
        self._set = torch.tensor([1, 0, 0]).share_memory_()  # number of settings, epoch, frames given
        self._seen = 0
        self.epoch, self.given = 0, 0

    def set(self, epoch: int, given: int) -> None:
        """Begin the next iteration there."""
        self._set[1], self._set[2] = epoch, given
        self._set[0] += 1

    def now(self) -> tuple[int, int]:
        """Epoch and frames given of the iteration that runs, or of the next where it was set."""
        if self._seen != int(self._set[0]):
            return int(self._set[1]), int(self._set[2])
        return self.epoch, self.given

    def begin(self) -> tuple[int, int]:
        """Begin an iteration: where it was set, else the next epoch."""
        self.epoch, self.given = self.now() if self._seen != int(self._set[0]) else (self.epoch + 1, 0)
        self._seen = int(self._set[0])
        return self.epoch, self.given
