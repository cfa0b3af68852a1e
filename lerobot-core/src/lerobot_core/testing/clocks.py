"""A clock for tests: time passes only when someone sleeps or says so."""

from __future__ import annotations


class FakeClock:
    """Satisfies `clock.Clock`. `deadlines` are those it was asked to sleep until [ns]."""

    def __init__(self) -> None:
        self.time = 1_000_000_000
        self.deadlines: list[int] = []

    def now(self) -> int:
        return self.time

    def sleep_until(self, deadline: int) -> None:
        self.deadlines.append(deadline)
        self.time = max(self.time, deadline)

    def pass_seconds(self, seconds: float) -> None:
        self.time += round(seconds * 1e9)
