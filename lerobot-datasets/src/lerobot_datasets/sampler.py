"""Order of the frames of an epoch, reproducible and resumable in the middle. Knows episode ranges, no data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Sampler


class EpisodeAwareSampler(Sampler[int]):
    """Rows of some episodes, without the first and last frames of each if wanted, in order or shuffled.

    Each iteration is one epoch; the order of epoch e is `torch.randperm` seeded by numpy's SeedSequence([seed, e]).

    Args:
        dataset_from_indices: first row of each episode.
        dataset_to_indices: row after the last of each episode.
        episode_indices_to_use: positions of the episodes to use; all when not given, duplicates count once.
        drop_n_first_frames: frames left out at the beginning of each episode.
        drop_n_last_frames: frames left out at its end; an episode no longer than both drops gives none.
        shuffle: random order.
        seed: of the random order.
        rank: which of `world` processes this is; it gets every world-th row.
        world: number of processes; all get equally many rows, the first rows come twice where they must.
    """

    def __init__(
        self,
        dataset_from_indices: Sequence[int],
        dataset_to_indices: Sequence[int],
        episode_indices_to_use: Sequence[int] | None = None,
        drop_n_first_frames: int = 0,
        drop_n_last_frames: int = 0,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if drop_n_first_frames < 0 or drop_n_last_frames < 0:
            raise ValueError(f"drops are 0 or more frames, got {drop_n_first_frames} and {drop_n_last_frames}")
        if not 0 <= rank < world:
            raise ValueError(f"rank is 0 to {world - 1}, got {rank}")
        used = None if episode_indices_to_use is None else set(episode_indices_to_use)
        ranges = [
            np.arange(first + drop_n_first_frames, stop - drop_n_last_frames)
            for i, (first, stop) in enumerate(zip(dataset_from_indices, dataset_to_indices, strict=True))
            if used is None or i in used
        ]
        self.indices = np.concatenate(ranges) if ranges else np.zeros(0, dtype=np.int64)
        if len(self.indices) == 0:
            raise ValueError(
                f"no frames left of {len(ranges)} episodes without their first {drop_n_first_frames} "
                f"and last {drop_n_last_frames}"
            )
        self.shuffle, self.seed, self.rank, self.world = shuffle, seed, rank, world
        self.epoch, self.start_index = 0, 0

    def __len__(self) -> int:
        return math.ceil(len(self.indices) / self.world)

    def __iter__(self) -> Iterator[int]:
        order = self.order(self.epoch)
        if padding := -len(order) % self.world:
            order = np.concatenate([order, np.resize(order, padding)])
        mine = order[self.start_index :][self.rank :: self.world]
        self.epoch, self.start_index = self.epoch + 1, 0
        return iter(mine.tolist())

    def order(self, epoch: int) -> np.ndarray:
        """Every row of an epoch, in order, for all processes together."""
        if not self.shuffle:
            return self.indices
        seed = np.random.SeedSequence([self.seed, epoch]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(seed))
        return self.indices[torch.randperm(len(self.indices), generator=generator).numpy()]

    def set_epoch(self, epoch: int) -> None:
        """Begin this epoch with the next iteration, from its start."""
        self.epoch, self.start_index = epoch, 0

    def state_dict(self) -> dict[str, int]:
        """Where the next iteration begins; `start_index` counts the rows of all processes together."""
        return {"epoch": self.epoch, "start_index": self.start_index}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the next iteration where `state_dict` says."""
        self.epoch, self.start_index = state["epoch"], state["start_index"]


def compute_sampler_state(step: int, num_frames: int, batch_size: int, num_processes: int = 1) -> dict[str, int]:
    """State of the sampler after `step` batches per process."""
    per_epoch = math.ceil(math.ceil(num_frames / batch_size) / num_processes)
    epoch, batches = divmod(step, per_epoch)
    return {"epoch": epoch, "start_index": batches * batch_size * num_processes}
