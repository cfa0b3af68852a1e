"""A rate with absolute deadlines."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_core.clock import MonotonicClock, Rate
from lerobot_core.testing.clocks import FakeClock


def test_deadlines_are_a_grid_whatever_the_work_costs(clock: FakeClock) -> None:
    start = clock.time
    rate = Rate(100, clock)
    for work in (0.001, 0.009, 0.004, 0.0099):
        clock.pass_seconds(work)
        rate.wait()
    assert [deadline - start for deadline in clock.deadlines] == [10_000_000, 20_000_000, 30_000_000, 40_000_000]
    assert (rate.late, rate.skipped) == (0, 0)


def test_a_late_turn_skips_whole_slots_and_does_not_burst(clock: FakeClock) -> None:
    start = clock.time
    rate = Rate(100, clock)
    clock.pass_seconds(0.035)
    rate.wait()
    rate.wait()
    assert (rate.late, rate.skipped) == (1, 2)
    assert [(deadline - start) // 10_000_000 for deadline in clock.deadlines] == [3, 4]


@given(st.lists(st.floats(0, 0.2), max_size=20), st.sampled_from([30, 60, 100, 333]))
def test_no_deadline_leaves_the_grid_or_comes_twice(works: list[float], hz: int) -> None:
    clock = FakeClock()
    start = clock.time
    rate = Rate(hz, clock)
    for work in works:
        clock.pass_seconds(work)
        rate.wait()
    slots = [(deadline - start) / rate.period_ns for deadline in clock.deadlines]
    assert all(slot == int(slot) for slot in slots)
    assert slots == sorted(set(slots))


@pytest.mark.parametrize("hz", [0, -30])
def test_a_rate_is_above_zero(hz: float) -> None:
    with pytest.raises(ValueError, match="above 0 Hz"):
        Rate(hz)


def test_the_monotonic_clock_is_never_early() -> None:
    clock = MonotonicClock()
    deadline = clock.now() + 3_000_000
    clock.sleep_until(deadline)
    assert time.monotonic_ns() >= deadline
    clock.sleep_until(0)
