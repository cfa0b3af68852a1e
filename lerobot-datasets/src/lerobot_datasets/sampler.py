"""Order of the frames of an epoch, reproducible and resumable in the middle. Knows where episodes begin and end, no data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch.utils.data import Sampler

from lerobot_core.errors import did_you_mean
from lerobot_datasets import feistel

#: Positions looked up at once: enough that numpy's calls cost little each, few enough that the first comes soon.
_BLOCK = 1024


#: What stands at some positions of an order.
_Order = Callable[[np.ndarray], np.ndarray]


def _permutation(size: int, seed: int, epoch: int) -> _Order:
    word = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]
    return torch.randperm(size, generator=torch.Generator().manual_seed(int(word))).numpy().__getitem__


def _feistel(size: int, seed: int, epoch: int) -> _Order:
    return partial(feistel.permuted, size=size, keys=feistel.keys(seed, epoch))


_ORDERS: dict[str, Callable[[int, int, int], _Order]] = {"permutation": _permutation, "feistel": _feistel}


class EpisodeAwareSampler(Sampler[int]):
    """Rows of some episodes, without the first and last frames of each if wanted, in order or shuffled.

    Each iteration is one epoch; its order is a function of seed and epoch alone. What is kept are the ends of the episodes;
    neighbours that join without a gap count as one.

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
        order: of shuffled epochs: `permutation` is `torch.randperm` seeded by numpy's SeedSequence([seed, epoch]) and takes
            memory for every frame while an epoch runs; `feistel` takes none and begins at once, however many frames there are.
    """

    def __init__(
        self,
        dataset_from_indices: Sequence[int] | np.ndarray,
        dataset_to_indices: Sequence[int] | np.ndarray,
        episode_indices_to_use: Sequence[int] | None = None,
        drop_n_first_frames: int = 0,
        drop_n_last_frames: int = 0,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        order: str = "permutation",
    ) -> None:
        if drop_n_first_frames < 0 or drop_n_last_frames < 0:
            raise ValueError(f"drops are 0 or more frames, got {drop_n_first_frames} and {drop_n_last_frames}")
        if not 0 <= rank < world:
            raise ValueError(f"rank is 0 to {world - 1}, got {rank}")
        if order not in _ORDERS:
            raise ValueError(f"order is {' or '.join(_ORDERS)}, got '{order}'{did_you_mean(order, _ORDERS)}")
        first = np.asarray(dataset_from_indices, dtype=np.int64)
        stop = np.asarray(dataset_to_indices, dtype=np.int64)
        if len(first) != len(stop):
            raise ValueError(f"{len(first)} episodes begin and {len(stop)} end")
        if episode_indices_to_use is not None:
            used = np.isin(np.arange(len(first)), list(episode_indices_to_use))
            first, stop = first[used], stop[used]
        self._ends, self._shift = _joined(first + drop_n_first_frames, stop - drop_n_last_frames)
        if len(self._ends) == 0:
            raise ValueError(
                f"no frames left of {len(first)} episodes without their first {drop_n_first_frames} "
                f"and last {drop_n_last_frames}"
            )
        self.num_rows = int(self._ends[-1])
        self.shuffle, self.seed, self.rank, self.world = shuffle, seed, rank, world
        self.order = order
        self.epoch, self.start_index = 0, 0

    def __len__(self) -> int:
        return math.ceil(self.num_rows / self.world)

    def __iter__(self) -> Iterator[int]:
        epoch, start = self.epoch, self.start_index
        self.epoch, self.start_index = epoch + 1, 0
        return self._rows(epoch, start)

    def _rows(self, epoch: int, start: int) -> Iterator[int]:
        ordered = self._ordered(epoch)
        stop = start + math.ceil((self.num_rows - start) / self.world) * self.world
        for block in range(start + self.rank, stop, self.world * _BLOCK):
            positions = np.arange(block, min(block + self.world * _BLOCK, stop), self.world)
            yield from self._row_of(ordered(positions % self.num_rows)).tolist()

    def rows_at(self, positions: Sequence[int] | np.ndarray, epoch: int) -> np.ndarray:
        """The rows (N,) int64 at some positions (N,) of an epoch's order, which is that of all processes together."""
        return self._row_of(self._ordered(epoch)(np.asarray(positions, dtype=np.int64)))

    def _ordered(self, epoch: int) -> _Order:
        return _ORDERS[self.order](self.num_rows, self.seed, epoch) if self.shuffle else lambda positions: positions

    def _row_of(self, numbers: np.ndarray) -> np.ndarray:
        """The rows of some of the frames used (N,), which are counted from 0."""
        if len(self._ends) == 1:
            return numbers + self._shift[0]
        return numbers + self._shift[np.searchsorted(self._ends, numbers, side="right")]

    def set_epoch(self, epoch: int) -> None:
        """Begin this epoch with the next iteration, from its start."""
        self.epoch, self.start_index = epoch, 0

    def state_dict(self) -> dict[str, int]:
        """Where the next iteration begins; `start_index` counts the rows of all processes together."""
        return {"epoch": self.epoch, "start_index": self.start_index}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the next iteration where `state_dict` says."""
        self.epoch, self.start_index = state["epoch"], state["start_index"]


def _joined(first: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranges of rows, those that join made one.

    Returns:
        frames up to the end of each range (R,), and what is added to the number of a frame in it to have its row (R,).
    """
    if not (some := stop > first).all():
        first, stop = first[some], stop[some]
    breaks = np.flatnonzero(first[1:] != stop[:-1])
    first, stop = first[np.append(0, breaks + 1)[: len(first)]], stop[np.append(breaks, len(stop) - 1)[: len(stop)]]
    ends = np.cumsum(stop - first)
    return ends, stop - ends


def compute_sampler_state(step: int, num_frames: int, batch_size: int, num_processes: int = 1) -> dict[str, int]:
    """State of the sampler after `step` batches per process, with the batch size and processes that made those steps.

    A sampler with another `world`, in batches of another size, goes on from there at the same frame.
    """
    per_epoch = math.ceil(math.ceil(num_frames / batch_size) / num_processes)
    epoch, batches = divmod(step, per_epoch)
    return {"epoch": epoch, "start_index": batches * batch_size * num_processes}
