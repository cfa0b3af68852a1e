"""The action queue against a naive one, and the aggregators."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_core.roles import ActionChunk
from lerobot_serve import aggregators
from lerobot_serve.queue import ActionQueue

MIXES = {
    "weighted_average": (aggregators.Mix(aggregators.WeightedAverageConfig()), 0.7),
    "average": (aggregators.Mix(aggregators.MixConfig()), 0.5),
    "conservative": (aggregators.Mix(aggregators.ConservativeConfig()), 0.3),
    "latest_only": (aggregators.LatestOnly(aggregators.LatestOnlyConfig()), 1.0),
}


class NaiveQueue:
    """Step → action, one at a time, as the rule is told."""

    def __init__(self, new_weight: float) -> None:
        self.actions: dict[int, np.ndarray] = {}
        self.weight = new_weight

    def merge(self, chunk: ActionChunk, step: int) -> None:
        merged = {s: a for s, a in self.actions.items() if step <= s < chunk.step}
        for i, action in enumerate(chunk.actions):
            at = chunk.step + i
            if at >= step:
                old = self.actions.get(at)
                merged[at] = action if old is None else (1 - self.weight) * old + self.weight * action
        self.actions = merged

    def pop(self, step: int) -> np.ndarray | None:
        action = self.actions.get(step)
        self.actions = {s: a for s, a in self.actions.items() if s > step}
        return action


@given(st.sampled_from(sorted(MIXES)), st.data())
def test_it_does_what_the_naive_queue_does(name, data):
    aggregator, weight = MIXES[name]
    queue, naive, step = ActionQueue(aggregator), NaiveQueue(weight), 0
    for _ in range(data.draw(st.integers(1, 12))):
        if data.draw(st.booleans()):
            start = max(0, step + data.draw(st.integers(-6, len(naive.actions))))
            values = data.draw(st.lists(st.integers(-9, 9), min_size=1, max_size=8))
            actions = np.repeat(np.array(values, dtype=np.float32)[:, None], 2, axis=1)
            chunk = ActionChunk(actions=actions, step=start, observed=start)
            queue.merge(chunk, step)
            naive.merge(chunk, step)
        else:
            got, wanted = queue.pop(step), naive.pop(step)
            assert (got is None) == (wanted is None)
            if got is not None:
                np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
                step += 1
        assert len(queue) == len(naive.actions)


def _chunk(values, step):
    return ActionChunk(actions=np.array(values, dtype=np.float32)[:, None], step=step, observed=step)


def test_the_rule_by_example():
    queue = ActionQueue(MIXES["weighted_average"][0])
    queue.merge(_chunk([0, 0, 0, 0, 0, 0], 0), 0)
    assert queue.pop(0) == 0
    assert queue.pop(1) == 0
    queue.merge(_chunk([9, 10, 20], 1), 2)  # 1 was executed; 2 and 3 overlap; 4 and 5 are not in the new chunk
    np.testing.assert_allclose([queue.pop(2), queue.pop(3)], [[7], [14]], rtol=1e-6)
    assert queue.pop(4) is None


def test_a_chunk_wholly_in_the_past_leaves_nothing():
    queue = ActionQueue(MIXES["average"][0])
    queue.merge(_chunk([1, 2], 0), 5)
    assert len(queue) == 0
    assert queue.pop(5) is None


def test_a_gap_is_refused():
    queue = ActionQueue(MIXES["average"][0])
    queue.merge(_chunk([1, 2], 0), 0)
    with pytest.raises(ValueError, match="begins at step 3, known are actions up to step 2"):
        queue.merge(_chunk([1], 3), 0)


@pytest.mark.parametrize("name", MIXES)
def test_aggregators(name):
    aggregate, weight = MIXES[name]
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=(2, 7, 6)).astype(np.float32)
    old_copy, new_copy = old.copy(), new.copy()
    out = aggregate(old, new)
    assert out.dtype == np.float32
    assert out.shape == (7, 6)
    np.testing.assert_allclose(out, (1 - weight) * old + weight * new, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(aggregate(old, old), old)
    assert aggregate(old[:0], new[:0]).shape == (0, 6)
    out[:] = 0
    np.testing.assert_array_equal(old, old_copy)
    np.testing.assert_array_equal(new, new_copy)


def test_a_weight_beyond_one_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        aggregators.MixConfig(new_weight=1.5)
