"""The order of streaming: every frame once an epoch, whoever shares it, and any place of it found again."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_datasets.stream.plan import DRAWN, Frames, Order


def flat(parts: Iterable[list[int]]) -> list[int]:
    return list(chain.from_iterable(parts))


@st.composite
def orders(draw: Any, **fixed: Any) -> Order:
    sizes = draw(st.lists(st.integers(1, 60), min_size=1, max_size=12))
    options = {
        "shuffle": draw(st.booleans()),
        "seed": draw(st.integers(0, 9)),
        "buffer_size": draw(st.sampled_from([1, 3, 7, 50, 1000])),
        "open_shards": draw(st.integers(1, 5)),
        "world": draw(st.integers(1, 4)),
        "even": draw(st.booleans()),
        "batch_size": draw(st.integers(1, 9)),
    }
    return Order(np.append(0, np.cumsum(sizes)), **options | fixed)


def given_by(order: Order, rank: int, workers: int, epoch: int = 0) -> list[list[int]]:
    """What each worker of a rank gives."""
    return [
        [int(n) for block in order.blocks(epoch, rank, worker, workers) for n in block] for worker in range(workers)
    ]


def loaded(parts: list[list[int]], size: int) -> list[list[int]]:
    """Batches as a loader gives them that asks its workers in turns."""
    queues = [[part[i : i + size] for i in range(0, len(part), size)] for part in parts]
    return [queue[turn] for turn in range(max(map(len, queues))) for queue in queues if turn < len(queue)]


@given(orders(even=False), st.integers(1, 4), st.integers(0, 3))
def test_every_frame_comes_once(order: Order, workers: int, epoch: int) -> None:
    ranks = [flat(given_by(order, rank, workers, epoch)) for rank in range(order.world)]
    assert sorted(flat(ranks)) == list(range(order.shards[-1]))
    counts = [len(rank) for rank in ranks]
    assert counts == [order.count(rank) for rank in range(order.world)]
    assert max(counts) - min(counts) <= 1


@given(orders(even=True), st.integers(1, 4))
def test_even_ranks_repeat_the_fewest_frames(order: Order, workers: int) -> None:
    ranks = [flat(given_by(order, rank, workers)) for rank in range(order.world)]
    total = int(order.shards[-1])
    assert {len(rank) for rank in ranks} == {-(-total // order.world)}
    times = np.bincount(flat(ranks), minlength=total)
    assert len(times) == total
    assert times.min() >= 1
    assert times.sum() - total < order.world


@given(orders(), st.integers(1, 4))
def test_only_the_last_batch_is_smaller(order: Order, workers: int) -> None:
    for rank in range(order.world):
        batches = loaded(given_by(order, rank, workers), order.batch_size)
        assert [len(batch) for batch in batches[:-1]] == [order.batch_size] * (len(batches) - 1)
        assert len(batches) == -(-order.count(rank) // order.batch_size)


@given(orders(shuffle=False), st.integers(1, 4))
def test_unshuffled_a_loader_gives_the_order_of_the_dataset(order: Order, workers: int) -> None:
    total, told = int(order.shards[-1]), []
    for rank in range(order.world):
        told += flat(loaded(given_by(order, rank, workers), order.batch_size))
    assert told == [n % total for n in range(len(told))]


@given(orders(), st.integers(1, 4), st.data())
def test_what_workers_gave_follows_from_the_batches(order: Order, workers: int, data: Any) -> None:
    parts = given_by(order, 0, workers)
    batches = loaded(parts, order.batch_size)
    number = data.draw(st.integers(0, len(batches)))
    known = [order.given(0, number, worker, workers) for worker in range(workers)]
    left = loaded([part[n:] for part, n in zip(parts, known, strict=True)], order.batch_size)
    assert sorted(flat(left)) == sorted(flat(batches[number:]))
    assert sum(known) == len(flat(batches[:number]))


@given(orders(shuffle=True))
def test_epochs_and_seeds_differ_and_repeat(order: Order) -> None:
    again = attrs.evolve(order)
    assert given_by(order, 0, 2, 1) == given_by(again, 0, 2, 1)
    if order.shards[-1] > 200 and order.world == 1 and order.buffer_size > 3:
        assert given_by(order, 0, 1, 0) != given_by(order, 0, 1, 1)
        assert given_by(order, 0, 1, 0) != given_by(attrs.evolve(order, seed=order.seed + 1), 0, 1, 0)


def test_it_is_well_mixed() -> None:
    """Neighbours of an epoch are no neighbours of the dataset; a shard is not used up before others begin."""
    order = Order(np.arange(0, 64_001, 1000), buffer_size=1000, open_shards=16)
    (told,) = given_by(order, 0, 1)
    numbers = np.array(told)
    assert np.mean(np.abs(np.diff(numbers)) < 50) < 0.08
    shards = numbers // 1000
    assert len(np.unique(shards[:1000])) >= 16
    assert np.mean([len(np.unique(shards[i : i + 64])) for i in range(0, 50_000, 64)]) > 12


def test_memory_and_blocks_are_bounded() -> None:
    order = Order(np.array([0, 10**9]), buffer_size=1000)
    blocks = order.blocks(0, 0)
    assert [len(next(blocks)) for _ in range(50)] == [DRAWN] * 50
    assert max(next(blocks).max() for _ in range(50)) < 20_000, "frames enter in order, not from anywhere"


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(0, 3), st.integers(0, 3), st.integers(1, 20))
def test_frames_left_out(lengths: list[int], first: int, last: int, size: int) -> None:
    frames = Frames.of(np.array(lengths), first, last)
    ends = np.cumsum(lengths)
    wanted = [row for end, length in zip(ends, lengths, strict=True) for row in range(end - length + first, end - last)]
    assert len(frames) == len(wanted)
    assert frames.rows(np.arange(len(frames))).tolist() == wanted
    shards = frames.shards(np.zeros(len(lengths), np.int64), ends - lengths, size)
    assert shards[0] == 0
    assert shards[-1] == len(wanted)
    starts = {int(ends[i] - lengths[i] + first) for i in range(len(lengths))}
    assert {int(frames.rows(shards[i : i + 1])[0]) for i in range(len(shards) - 1)} <= starts


def test_shards_end_with_their_table() -> None:
    frames = Frames.of(np.array([10, 10, 10, 10]))
    assert frames.shards(np.array([0, 0, 1, 1]), np.array([0, 10, 0, 10]), 100).tolist() == [0, 20, 40]
    assert frames.shards(np.array([0, 0, 0, 0]), np.array([0, 10, 20, 30]), 20).tolist() == [0, 20, 40]
    with pytest.raises(StopIteration):
        next(Order(Frames.of(np.empty(0, np.int64)).shards(*[np.empty(0, np.int64)] * 2, 5)).blocks(0, 0))
