"""The actions a robot is still to execute, by control step. *Pure*: no threads, no time, no names.

A control step is the number of actions executed before it; ticks in which the robot stands still are no steps.
"""

from __future__ import annotations

import numpy as np

from lerobot_core.roles import ActionChunk, Aggregator


class ActionQueue:
    """Consecutive future actions. A new chunk replaces the plan; where both speak of a step, the aggregator decides."""

    def __init__(self, aggregator: Aggregator) -> None:
        self._aggregator = aggregator
        self._first = 0
        self._actions: np.ndarray | None = None

    def __len__(self) -> int:
        return 0 if self._actions is None else len(self._actions)

    def merge(self, chunk: ActionChunk, step: int) -> None:
        """Take in a chunk when `step` is the next to be executed.

        Its steps already executed are dropped, overlaps aggregated, new ones appended. Queued steps after its end are
        dropped; queued steps before its beginning stay.

        Raises:
            ValueError: steps between what is queued and the chunk would have no action.
        """
        new = chunk.actions[max(0, step - chunk.step) :]
        first = max(step, chunk.step)
        old = self._from(step)
        lead = first - step
        if lead > len(old):
            raise ValueError(f"the chunk begins at step {chunk.step}, known are actions up to step {step + len(old)}")
        overlap = min(len(old) - lead, len(new))
        if overlap:
            merged = self._aggregator(old[lead : lead + overlap], new[:overlap])
            new = np.concatenate([merged, new[overlap:]])  # (T, A)
        self._actions = np.concatenate([old[:lead], new]) if lead else new
        self._first = step

    def pop(self, step: int) -> np.ndarray | None:
        """The action (A,) of a step, or None; it and all before it are forgotten."""
        left = self._from(step)
        self._first, self._actions = step + 1, left[1:]
        return left[0] if len(left) else None

    def clear(self) -> None:
        self._first, self._actions = 0, None

    def _from(self, step: int) -> np.ndarray:
        if self._actions is None or step < self._first:
            return np.empty((0, 0), dtype=np.float32)
        return self._actions[step - self._first :]
