"""What all suites share: checks cannot be dropped quietly, and a few questions every device is asked."""

from __future__ import annotations

import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core import config
from lerobot_core.components import Command, Component


class Suite:
    """Base of every suite. A check that does not fit is overridden with `xfail(reason=…)`, so that a reader sees why:

    @pytest.mark.xfail(reason="the gripper has no encoder", strict=True)
    def test_an_observation_matches_its_features(self, robot):
        super().test_an_observation_matches_its_features(robot)

    Attributes:
        role: what it tests.
        component: what `lr plugins --check` is testing; a suite of one's own gives its fixture instead.
    """

    role: ClassVar[type]
    component: ClassVar[Component | Command | None] = None

    def part(self) -> Any:
        """The component under test, built with its example options."""
        if not isinstance(self.component, Component):
            raise TypeError(f"{type(self).__name__} does not override the fixture that gives the part to test")
        return config.choose(self.role, self.component.name, **self.component.example).build()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith(__package__):
            return
        for name, value in vars(cls).items():
            if name.startswith("test") and hasattr(super(cls, cls), name) and not _excused(value):
                raise TypeError(
                    f"{cls.__name__} replaces the check '{name}'; mark it with @pytest.mark.xfail(reason=…) and say why"
                )


def _excused(check: Any) -> bool:
    marks = getattr(check, "pytestmark", [])
    return callable(check) and any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)


def needs(have: Any, what: str) -> None:
    """Skip a check whose capability the subclass does not declare."""
    if not have:
        pytest.skip(f"not declared: {what}")


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether a condition comes true within a time."""
    deadline = time.monotonic() + seconds
    while not (result := holds()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return result


def new_threads(before: set[threading.Thread], seconds: float = 2.0) -> list[str]:
    """Names of threads that were not there before and do not end within a time."""

    def left() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread not in before]

    until(lambda: not left(), seconds)
    return left()


def same(one: Any, other: Any) -> bool:
    """Whether two observations or actions hold equal values under equal keys."""
    return set(one) == set(other) and all(np.array_equal(one[key], other[key]) for key in one)


def copied(values: Any) -> dict[str, Any]:
    """A mapping with copies of its arrays."""
    return {key: np.array(value) if isinstance(value, np.ndarray) else value for key, value in values.items()}


def open_files() -> int | None:
    """Number of open files, sockets and ports of this process; None where the system does not tell."""
    return len(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else None


def median_seconds(call: Callable[[], Any], times: int = 7) -> float:
    """The median duration of a call [s]; one slow moment of the machine does not count."""
    durations = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        durations.append(time.perf_counter() - began)
    return statistics.median(durations)


def global_randomness() -> list[Any]:
    """State of every generator that all parts of a process share."""
    states: list[Any] = [random.getstate(), repr(np.random.get_state())]  # noqa: NPY002
    if (torch := sys.modules.get("torch")) is not None:
        states.append(torch.get_rng_state().tolist())
    return states
