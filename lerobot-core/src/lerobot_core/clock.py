"""Monotonic time and a rate with absolute deadlines. The wall clock is never asked."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where the loop takes its time from; tests give one that does not wait."""

    def now(self) -> int:
        """Monotonic time [ns]."""
        ...

    def sleep_until(self, deadline: int) -> None:
        """Return at `deadline` [ns of `now`], or at once if it has passed."""
        ...


class MonotonicClock:
    """The machine's monotonic clock. Sleeps to just before the deadline, then spins through what the scheduler is late by."""

    def __init__(self, spin: float = 0.0005) -> None:
        self._spin = int(spin * 1e9)

    def now(self) -> int:
        return time.monotonic_ns()

    def sleep_until(self, deadline: int) -> None:
        remaining = deadline - self._spin - time.monotonic_ns()
        if remaining > 0:
            time.sleep(remaining / 1e9)
        while time.monotonic_ns() < deadline:
            pass


class Rate:
    """Ticks on a grid of absolute deadlines `start + n / hz`, so that errors do not add up.

    A tick that comes too late is counted; the grid is kept and whole missed slots are skipped, never caught up in a burst.
    """

    def __init__(self, hz: float, clock: Clock | None = None) -> None:
        if hz <= 0:
            raise ValueError(f"a rate is above 0 Hz, got {hz}")
        self.period_ns = round(1e9 / hz)
        self.late = 0
        self.skipped = 0
        self._clock = clock or MonotonicClock()
        self._next = self._clock.now() + self.period_ns

    def wait(self) -> int:
        """Wait for the next deadline; returns that deadline [ns]."""
        now = self._clock.now()
        if now > self._next:
            missed = (now - self._next) // self.period_ns
            self.late += 1
            self.skipped += missed
            self._next += missed * self.period_ns
        deadline = self._next
        self._clock.sleep_until(deadline)
        self._next = deadline + self.period_ns
        return deadline
