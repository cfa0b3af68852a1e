"""Orders of epochs equal the recorded ones; resuming, ranks; the order that is computed place by place."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_datasets import EpisodeAwareSampler, feistel
from lerobot_datasets.sampler import compute_sampler_state

ORDERS = pytest.mark.parametrize("order", ["permutation", "feistel"])


@ORDERS
def test_ranks_share_an_epoch(order: str) -> None:
    def rows(**process: int) -> list[int]:
        return list(EpisodeAwareSampler([0, 7], [7, 12], shuffle=True, seed=3, order=order, **process))

    whole = rows()
    assert sorted(whole) == list(range(12))
    parts = [rows(rank=r, world=5) for r in range(5)]
    assert {len(part) for part in parts} == {3}
    interleaved = [row for rows in zip(*parts, strict=True) for row in rows]
    assert interleaved == whole + whole[:3]


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="no frames left of 2 episodes"):
        EpisodeAwareSampler([0, 3], [3, 6], drop_n_last_frames=3)
    with pytest.raises(ValueError, match="rank"):
        EpisodeAwareSampler([0], [3], rank=2, world=2)
    with pytest.raises(ValueError, match=r"'feistle'.*feistel"):
        EpisodeAwareSampler([0], [3], order="feistle")
    with pytest.raises(ValueError, match="2 episodes begin and 1 end"):
        EpisodeAwareSampler([0, 3], [3])


lengths = st.lists(st.integers(0, 40), min_size=1, max_size=8)


@given(lengths, st.data())
def test_rows_are_those_of_the_episodes(lengths: list[int], data: st.DataObject) -> None:
    """Against the plain way: a list of every row."""
    ends = np.cumsum(lengths)
    first, last = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 5))
    used = data.draw(st.none() | st.lists(st.integers(0, len(lengths) - 1)))
    chosen = range(len(lengths)) if used is None else sorted(set(used))
    wanted = [row for i in chosen for row in range(ends[i] - lengths[i] + first, ends[i] - last)]

    def sampler(**more: object) -> EpisodeAwareSampler:
        return EpisodeAwareSampler(ends - lengths, ends, used, first, last, **more)

    if not wanted:
        with pytest.raises(ValueError, match="no frames left"):
            sampler()
        return
    assert list(sampler()) == wanted
    for order in ("permutation", "feistel"):
        shuffled = sampler(shuffle=True, seed=data.draw(st.integers(0, 9)), order=order)
        epochs = [list(shuffled), list(shuffled)]
        assert sorted(epochs[0]) == sorted(epochs[1]) == wanted
        assert shuffled.rows_at(range(len(wanted)), epoch=1).tolist() == epochs[1]


@given(
    st.integers(1, 300),
    st.integers(0, 60),
    st.sampled_from(["permutation", "feistel"]),
    st.tuples(st.integers(1, 9), st.integers(1, 4)),
    st.tuples(st.integers(1, 9), st.integers(1, 4)),
)
def test_going_on_with_another_batch_size_and_world(
    frames: int, step: int, order: str, before: tuple[int, int], after: tuple[int, int]
) -> None:
    """What the first run has left of an epoch is what the second reads, whatever its batches and processes."""
    state = compute_sampler_state(step, frames, *before)
    left = EpisodeAwareSampler([0], [frames], shuffle=True, order=order).rows_at(range(frames), state["epoch"])
    left = left[state["start_index"] :].tolist()
    _, world = after
    ranks = []
    for rank in range(world):
        sampler = EpisodeAwareSampler([0], [frames], shuffle=True, order=order, rank=rank, world=world)
        sampler.load_state_dict(state)
        ranks.append(list(sampler))
        assert sampler.state_dict() == {"epoch": state["epoch"] + 1, "start_index": 0}
    assert len({len(rows) for rows in ranks}) == 1
    read = [row for rows in zip(*ranks, strict=True) for row in rows]
    assert read[: len(left)] == left
    assert len(read) - len(left) < world
    assert 0 <= state["start_index"] < frames


def test_states_between_steps_are_where_the_steps_ended() -> None:
    """Two processes, batches of 4: after k steps the sampler stands 8k rows further."""
    for step in range(12):
        state = compute_sampler_state(step, num_frames=30, batch_size=4, num_processes=2)
        assert state == {"epoch": step // 4, "start_index": step % 4 * 8}


def test_nothing_is_kept_per_frame() -> None:
    sampler = EpisodeAwareSampler([0, 10**9], [10**9, 10**12], shuffle=True, order="feistel", drop_n_last_frames=7)
    rows = iter(sampler)
    seen = [next(rows) for _ in range(5000)]
    assert len(set(seen)) == 5000
    assert max(seen) > 9 * 10**11
    assert sum(value.nbytes for value in vars(sampler).values() if isinstance(value, np.ndarray)) < 100


# --- the Feistel network --------------------------------------------------------------------------------------------


def test_every_small_size_is_a_bijection() -> None:
    for size in range(1, 2001):
        order = feistel.permuted(np.arange(size), size, feistel.keys(size))
        assert np.array_equal(np.sort(order), np.arange(size)), size


@given(st.integers(1, 300_000), st.integers(0, 2**64))
def test_any_size_is_a_bijection(size: int, seed: int) -> None:
    order = feistel.permuted(np.arange(size), size, feistel.keys(seed, 1))
    assert np.array_equal(np.bincount(order, minlength=size), np.ones(size))


@given(st.integers(2**31, feistel.LIMIT), st.integers(0, 2**62))
def test_huge_sizes_stay_below_them_without_repeats(size: int, begin: int) -> None:
    positions = (begin % size + np.arange(2000, dtype=np.int64)) % size
    order = feistel.permuted(positions, size, feistel.keys(5))
    assert order.min() >= 0
    assert order.max() < size
    assert len(np.unique(order)) == len(np.unique(positions))
    assert feistel.permuted(positions[:3], size, feistel.keys(5)).tolist() == order[:3].tolist()


def chi_square(counts: np.ndarray) -> float:
    """How far counts are from even, in standard deviations of what chance gives."""
    expected = counts.sum() / counts.size
    return float((((counts - expected) ** 2 / expected).sum() - counts.size) / np.sqrt(2 * counts.size))


@pytest.mark.parametrize("size", [2, 3, 6, 16, 37, 100])
def test_everything_comes_everywhere_equally_often(size: int) -> None:
    """Which number comes at which place, and which comes after which, over many seeds."""
    places, followers = np.zeros((size, size)), np.zeros((size, size))
    for seed in range(max(400, 20 * size)):
        order = feistel.permuted(np.arange(size), size, feistel.keys(seed, 0))
        places[np.arange(size), order] += 1
        np.add.at(followers, (order[:-1], order[1:]), 1)
    assert chi_square(places) < 5
    if size > 2:
        assert chi_square(followers[~np.eye(size, dtype=bool)]) < 5


def test_a_large_order_looks_random() -> None:
    size, count = 10**9, 100_000
    order = feistel.permuted(np.arange(count), size, feistel.keys(1, 0))
    assert abs(chi_square(np.histogram(order, bins=1000, range=(0, size))[0])) < 5
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.015
    assert abs(chi_square(np.histogram(np.diff(order) % size, bins=1000, range=(0, size))[0])) < 5
    other = feistel.permuted(np.arange(count), size, feistel.keys(1, 1))
    assert abs(np.corrcoef(order, other)[0, 1]) < 0.015
    rising = sum(b > a for a, b in pairwise(order[:20_000].tolist())) / 20_000
    assert abs(rising - 0.5) < 0.02


def test_impossible_places_are_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        feistel.permuted(np.arange(1), 0, feistel.keys(0))
    with pytest.raises(ValueError, match="positions are 0 to 4, got 0 to 5"):
        feistel.permuted(np.arange(6), 5, feistel.keys(0))
