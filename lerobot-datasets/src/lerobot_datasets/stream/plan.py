"""Which frames of an epoch each process gives, and in which order: functions of a seed and numbers alone. *Pure.*

The frames used are numbered from 0 in the order of the dataset. A *shard* is a run of neighbouring episodes within one
table. An epoch is its shards in random order, laid end to end and cut into equal parts for the ranks, those into equal
parts for the workers of each: a cut may go through a shard, so that parts differ by no more than one unit. Within its part
a worker walks along several shards at once into a buffer of frame numbers, and draws from there.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

#: Frames that leave the buffer at once: enough that numpy's calls cost little each.
DRAWN = 128


@attrs.frozen(eq=False)
class Frames:
    """The frames used of some episodes.

    Attributes:
        ends: frames used up to the end of each episode (E,).
        shift: what is added to the number of a frame used in an episode to have its row among all frames (E,).
    """

    ends: np.ndarray
    shift: np.ndarray

    @classmethod
    def of(cls, lengths: np.ndarray, drop_first: int = 0, drop_last: int = 0) -> Frames:
        """All frames of episodes of these lengths (E,) but the first and last of each."""
        stops = np.cumsum(lengths)
        used = np.maximum(lengths - drop_first - drop_last, 0)
        ends = np.cumsum(used)
        return cls(ends, (stops - lengths + drop_first) - (ends - used))

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """Rows among all frames of some frames used (N,)."""
        return numbers + self.shift[np.searchsorted(self.ends, numbers, side="right")]

    def shards(self, file: np.ndarray, row: np.ndarray, size: int) -> np.ndarray:
        """Cut into shards: frames used before each, and all of them at last (S + 1,).

        Args:
            file: number of the table that holds each episode (E,).
            row: row of that table at which the episode begins (E,).
            size: a shard begins with the first episode after each multiple of so many rows of a table.
        """
        place = np.stack([file, row // size])
        cuts = np.flatnonzero((np.diff(place) != 0).any(axis=0)) + 1
        return np.unique(np.concatenate([[0], self.ends[cuts - 1], self.ends[-1:]]))


@attrs.frozen(eq=False)
class Order:
    """The order of the frames used.

    Attributes:
        shards: frames used before each shard, and all of them at last (S + 1,).
        shuffle: random order; else that of the dataset.
        seed: of the random order.
        buffer_size: frame numbers that are drawn from.
        open_shards: shards the buffer is filled from.
        world: processes that share an epoch.
        even: all of them give equally many frames; the first of an epoch come twice where they must.
        batch_size: workers are given whole batches, so that an epoch has as many as without workers.
    """

    shards: np.ndarray
    shuffle: bool = True
    seed: int = 42
    buffer_size: int = 1000
    open_shards: int = 16
    world: int = 1
    even: bool = False
    batch_size: int = 1

    def count(self, rank: int) -> int:
        """Frames that a rank gives in an epoch."""
        start, stop = self._of_rank(rank)
        return stop - start

    def _of_rank(self, rank: int) -> tuple[int, int]:
        total = int(self.shards[-1])
        if self.even:
            share = -(-total // self.world)
            return rank * share, (rank + 1) * share
        return rank * total // self.world, (rank + 1) * total // self.world

    def part(self, rank: int, worker: int = 0, workers: int = 1) -> tuple[int, int]:
        """First position of an epoch that a worker gives, and the one after its last."""
        start, stop = self._of_rank(rank)
        batches = -(-(stop - start) // self.batch_size)
        # Loaders ask workers in turns. The one asked for the last batch has the end of the part, so that the smaller batch
        # comes last.
        last = (batches - 1) % workers
        turn = (worker - last - 1) % workers
        shares = np.array([len(range((last + 1 + i) % workers, batches, workers)) for i in range(workers)])
        ends = np.minimum(start + np.cumsum(shares) * self.batch_size, stop)
        return int(ends[turn - 1]) if turn else start, int(ends[turn])

    def given(self, rank: int, batches: int, worker: int = 0, workers: int = 1) -> int:
        """Frames that a worker has given when its loader has had so many batches of an epoch."""
        start, stop = self.part(rank, worker, workers)
        return min(len(range(worker, batches, workers)) * self.batch_size, stop - start)

    def blocks(self, epoch: int, rank: int, worker: int = 0, workers: int = 1) -> Iterator[np.ndarray]:
        """The frames a worker gives in an epoch, in order: arrays (n,) of `DRAWN` numbers, at the end fewer.

        Without shuffling a worker gives the batches it will be asked for, so that a loader gives the dataset's order.
        """
        start, stop = self.part(rank, worker, workers)
        if not self.shuffle:
            return self._in_order(stop - start, rank, worker, workers)
        random = np.random.default_rng([self.seed, epoch, rank, self.world, worker, workers])
        return self._drawn(self._runs(epoch, start, stop), random)

    def _in_order(self, count: int, rank: int, worker: int, workers: int) -> Iterator[np.ndarray]:
        first, _ = self._of_rank(rank)
        for begin in range(0, count, DRAWN):
            batch, within = np.divmod(np.arange(begin, min(begin + DRAWN, count)), self.batch_size)
            yield (first + (batch * workers + worker) * self.batch_size + within) % self.shards[-1]

    def _runs(self, epoch: int, start: int, stop: int) -> list[tuple[int, int]]:
        """The frames at some positions of an epoch as ranges; past its end it begins anew."""
        total, order = int(self.shards[-1]), np.arange(len(self.shards) - 1)
        if self.shuffle:
            order = np.random.default_rng([self.seed, epoch]).permutation(order)
        first, sizes = self.shards[order], np.diff(self.shards)[order]
        ends = np.cumsum(sizes)
        out: list[tuple[int, int]] = []
        while start < stop:
            lap = start // total * total
            begin, until = start - lap, min(stop - lap, total)
            low, high = np.searchsorted(ends, [begin, until - 1], side="right")
            touched = slice(low, high + 1)
            moved = first[touched] - (ends - sizes)[touched]  # number of a frame minus its position
            firsts = np.maximum((ends - sizes)[touched], begin) + moved
            stops = np.minimum(ends[touched], until) + moved
            out += zip(firsts.tolist(), stops.tolist(), strict=True)
            start = lap + until
        return out

    def _drawn(self, runs: list[tuple[int, int]], random: np.random.Generator) -> Iterator[np.ndarray]:
        drawn = max(1, min(DRAWN, self.buffer_size // 4))
        waiting = iter(runs)
        opened: list[list[int]] = []
        buffer = np.empty(0, dtype=np.int64)
        while True:
            parts = [buffer]
            room = self.buffer_size - len(buffer)
            while room > 0:
                while len(opened) < self.open_shards and (run := next(waiting, None)) is not None:
                    opened.append(list(run))
                if not opened:
                    break
                turns = np.bincount(random.integers(len(opened), size=room), minlength=len(opened)).tolist()
                for run, turn in zip(opened, turns, strict=True):
                    taken = np.arange(run[0], min(run[0] + turn, run[1]))
                    parts.append(taken)
                    run[0] += len(taken)
                    room -= len(taken)
                opened = [run for run in opened if run[0] < run[1]]
            buffer = np.concatenate(parts)
            if not len(buffer):
                return
            # The first of a partial shuffle leave; the others stay where they are or fill the places of those.
            leaving = random.choice(len(buffer), min(drawn, len(buffer)), replace=False)
            yield buffer[leaving]
            buffer = np.delete(buffer, leaving)
