"""What an aggregator must do: merge two opinions on the same steps, and nothing else."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core.roles import Aggregator
from lerobot_core.testing.suite import Suite


class AggregatorSuite(Suite):
    """Subclass it and give the fixture `aggregator`."""

    role: ClassVar[type] = Aggregator

    @pytest.fixture
    def aggregator(self) -> Any:
        return self.part()

    @pytest.fixture
    def chunks(self) -> tuple[np.ndarray, np.ndarray]:
        """Two chunks (7, 3) float32 on the same steps."""
        rng = np.random.default_rng(0)
        return rng.normal(size=(7, 3)).astype(np.float32), rng.normal(size=(7, 3)).astype(np.float32)

    def test_what_both_say_is_kept_exactly(self, aggregator: Any, chunks: Any) -> None:
        """Agreement must not make an arm creep. Fix: weights that add up to one, also in floating point."""
        for x in (chunks[0], chunks[0] * np.float32(100), np.full((3, 2), 0.1, np.float32)):
            np.testing.assert_array_equal(aggregator(x, x.copy()), x)

    def test_shape_and_dtype_are_kept(self, aggregator: Any, chunks: Any) -> None:
        """The queue holds (T, A) float32. Fix: no float64 weights, no squeezing of single steps."""
        old, new = chunks
        for steps in (7, 1):
            merged = aggregator(old[:steps], new[:steps])
            assert (merged.shape, merged.dtype) == ((steps, 3), np.float32)

    def test_inputs_stay_untouched(self, aggregator: Any, chunks: Any) -> None:
        """The old chunk may still be sent. Fix: compute into a new array."""
        old, new = (chunk.copy() for chunk in chunks)
        aggregator(old, new)
        np.testing.assert_array_equal(old, chunks[0])
        np.testing.assert_array_equal(new, chunks[1])

    def test_no_overlap_is_no_steps(self, aggregator: Any) -> None:
        """After a pause nothing is left of the old chunk. Fix: return what (0, A) becomes by itself."""
        empty = np.zeros((0, 3), np.float32)
        assert aggregator(empty, empty).shape == (0, 3)

    def test_the_answer_depends_on_nothing_else(self, aggregator: Any, chunks: Any) -> None:
        """One aggregator serves many clients. Fix: keep nothing between calls."""
        old, new = chunks
        first = np.array(aggregator(old, new))
        aggregator(new, old)
        np.testing.assert_array_equal(aggregator(old, new), first)

    def test_the_answer_lies_between_the_two(self, aggregator: Any, chunks: Any) -> None:
        """An average beyond both would be a command nobody gave. Fix: weights between zero and one."""
        old, new = chunks
        merged = aggregator(old, new)
        assert np.all(merged >= np.minimum(old, new) - 1e-6)
        assert np.all(merged <= np.maximum(old, new) + 1e-6)

    def test_borrowed_chunks_are_merged(self, aggregator: Any, chunks: Any) -> None:
        """Chunks from the wire are read-only, and the queue gives slices. Fix: write to no input."""
        old, new = (chunk.copy() for chunk in chunks)
        wanted = np.array(aggregator(old, new))
        views = [np.repeat(chunk, 2, axis=1)[:, ::2] for chunk in chunks]
        for view in views:
            view.flags.writeable = False
        np.testing.assert_allclose(aggregator(*views), wanted, atol=1e-6)

    def test_it_has_the_role(self, aggregator: Any) -> None:
        """The queue calls it with the old and the new. Fix: make it callable with two arrays."""
        assert isinstance(aggregator, Aggregator)
