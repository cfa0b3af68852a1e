"""robomimic demonstrations as a map-style torch dataset with windows. A batch is read at once, each demonstration once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from lerobot_core.errors import DataError
from lerobot_datasets import windows
from lerobot_datasets.batches import Items, collate, from_start
from lerobot_datasets.robomimic.reader import Reader
from lerobot_datasets.sampler import EpisodeAwareSampler
from lerobot_datasets.transforms import change

_MOST = 8 << 30  # bytes of columns kept in memory


class RobomimicDataset(torch.utils.data.Dataset):
    """Frames with windows of neighbouring frames, by row; items are those of `LeRobotDataset`.

    Args:
        reader: the demonstrations.
        delta_timestamps: key → offsets of the window [s], multiples of 1 / fps.
        transforms: applied to the pictures of a camera, depth excepted.

    Raises:
        DataError: a key is no feature, an offset no frame, or the columns do not fit memory.
    """

    collate = staticmethod(collate)

    def __init__(self, reader: Reader, delta_timestamps: Mapping[str, Sequence[float]], transforms: Any) -> None:
        self._reader, self._transforms = reader, transforms
        self._deltas = windows.frame_deltas(delta_timestamps, reader.features, reader.fps)
        lengths = np.asarray(reader.episodes["length"])
        self._ends = np.cumsum(lengths)
        self._columns: dict[str, np.ndarray] = {}
        self._require_room(int(self._ends[-1]) if len(lengths) else 0)

    def _require_room(self, frames: int) -> None:
        width = sum(
            int(np.prod(f.shape)) * np.dtype(f.dtype).itemsize
            for f in self._reader.features.values()
            if not f.is_picture
        )
        if frames * width > _MOST:
            raise DataError(
                f"{frames} frames of {width} bytes do not fit memory",
                path=self._reader.file.path,
                hint="choose fewer arrays with --dataset.features, or import the file with `lr dataset import`",
            )

    def __getstate__(self) -> dict[str, Any]:
        # A spawned worker reads the columns itself: faster than through a pipe.
        return self.__dict__ | {"_columns": {}}

    def __len__(self) -> int:
        return self._reader.num_frames

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> Items:
        """The items at these rows, made at once.

        Raises:
            IndexError: a row does not exist.
        """
        rows = from_start(indices, len(self))
        columns = self._loaded()
        episode = np.searchsorted(self._ends, rows, side="right")
        stop = self._ends[episode]
        first = stop - np.asarray(self._reader.episodes["length"])[episode]
        spread = {key: windows.window(rows, first, stop, deltas) for key, deltas in self._deltas.items()}
        batch: dict[str, Any] = {}
        for key in [*self._reader.cameras, *columns]:
            wanted = spread[key][0] if key in spread else rows  # (B,) or (B, T)
            batch[key] = torch.from_numpy(columns[key][wanted]) if key in columns else self._pictures(key, wanted)
        batch |= {f"{key}_is_pad": torch.from_numpy(pad) for key, (_, pad) in spread.items()}
        batch["task"] = [self._reader.tasks[i] for i in columns["task_index"][rows]]
        for key in self._reader.cameras:
            batch[key] = self._finished(key, batch[key], rows)
        return Items(batch, len(rows))

    def _loaded(self) -> dict[str, np.ndarray]:
        if not self._columns:
            parts = [self._reader.columns(episode) for episode in self._reader.selection]
            self._columns = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]} if parts else {}
        return self._columns

    def _pictures(self, key: str, rows: np.ndarray) -> torch.Tensor:
        """(B, C, H, W) or (B, T, C, H, W) of a camera at rows (B,) or (B, T): uint8, or float32 of depth."""
        reader = self._reader
        unique, back = np.unique(rows.reshape(-1), return_inverse=True)
        number = np.searchsorted(self._ends, unique, side="right")
        parts = []
        for episode in np.unique(number):
            first = self._ends[episode] - reader.episodes["length"][episode]
            parts.append(reader.pictures(reader.selection[episode], key, unique[number == episode] - first))
        pictures = torch.from_numpy(np.concatenate(parts)).permute(0, 3, 1, 2)[torch.from_numpy(back)].contiguous()
        return pictures.reshape(*rows.shape, *pictures.shape[1:])

    def _finished(self, key: str, batch: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        is_depth = self._reader.features[key].is_depth
        if not is_depth and not self._reader.config.return_uint8:
            batch = batch.to(torch.float32) / 255
        if key in self._deltas and len(self._deltas[key]) == 1:
            batch = batch[:, 0]  # (B, C, H, W)
        if self._transforms is None or is_depth:
            return batch
        return change(self._transforms, batch, [self._reader.cameras.index(key), *rows.tolist()])

    def sampler(
        self,
        seed: int = 0,
        shuffle: bool = True,
        drop_first: int = 0,
        drop_last: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> EpisodeAwareSampler:
        """Order of this dataset's rows; see `EpisodeAwareSampler`."""
        return EpisodeAwareSampler(
            self._ends - np.asarray(self._reader.episodes["length"]),
            self._ends,
            drop_n_first_frames=drop_first,
            drop_n_last_frames=drop_last,
            shuffle=shuffle,
            seed=seed,
            rank=rank,
            world=world,
        )
