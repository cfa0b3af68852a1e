"""Windows never leave their episode, and say what they had to clamp."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lerobot_datasets import windows


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[int], list[int], list[int]]:
    lengths = draw(st.lists(st.integers(1, 12), min_size=1, max_size=6))
    rows = draw(st.lists(st.integers(0, sum(lengths) - 1), min_size=1, max_size=10))
    deltas = draw(st.lists(st.integers(-20, 20), min_size=1, max_size=6))
    return lengths, rows, deltas


@given(cases())
def test_window_against_a_loop(case: tuple[list[int], list[int], list[int]]) -> None:
    lengths, rows, deltas = case
    ends = np.cumsum(lengths)
    first, stop = np.repeat(ends - lengths, lengths), np.repeat(ends, lengths)
    found, pad = windows.window(np.array(rows), first[rows], stop[rows], np.array(deltas))
    for b, row in enumerate(rows):
        episode = range(first[row], stop[row])
        for t, delta in enumerate(deltas):
            inside = row + delta in episode
            assert pad[b, t] != inside
            assert found[b, t] == (row + delta if inside else min(max(row + delta, episode[0]), episode[-1]))


@given(st.integers(1, 120), st.lists(st.integers(-300, 300), min_size=1, max_size=20))
def test_offsets_in_seconds_come_back_as_frames(fps: int, frames: list[int]) -> None:
    seconds = [frame / fps for frame in frames]
    assert windows.frame_deltas({"action": seconds}, ["action"], fps)["action"].tolist() == frames
