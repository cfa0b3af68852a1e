"""Runs a suite on a part in this process, through pytest itself, as a third party would."""

from __future__ import annotations

import os
import time
from itertools import count
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest

from core.mutants import (
    buses,
    cameras,
    commands,
    envs,
    learners,
    loading,
    observing,
    policies,
    reading,
    recording,
    robots,
    steps,
    teleoperators,
    trackers,
)
from core.mutants.kinds import GOODS, Mutant

MODULES = (
    robots, observing, teleoperators, cameras, buses, recording, reading, loading, policies, learners, envs, trackers, steps, commands,
)  # fmt: skip
MUTANTS: dict[str, Mutant] = {name: mutant for module in MODULES for name, mutant in module.MUTANTS.items()}

#: pytest of its own: no settings of ours, no plugins of the machine, nothing written
_QUIET = ("-p", "no:cacheprovider", "-p", "no:terminal", "-p", "no:logging", "-W", "ignore", "-x")
#: a module's name must not come twice in a process
_NUMBERS = count()
_CASE = """import pytest
from core.mutants import kinds, runner
good = kinds.GOODS[{good!r}]
class TestPart(good.suite):
    @pytest.fixture
    def {fixture}(self):
        part = ({source}).make()
        yield part
"""


class Verdict(NamedTuple):
    """What a suite said of a part.

    Attributes:
        failed: the check that failed first, or nothing.
        seconds: how long it took [s].
        passed: checks that passed.
    """

    failed: str
    seconds: float
    passed: int


class _Notes:
    """pytest plugin that counts, and notes what failed."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.passed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid.rpartition("::")[2])
        elif report.passed and report.when == "call":
            self.passed += 1


def _run(folder: Path, good: str, source: str, words: str = "") -> Verdict:
    """Run a suite, or the checks whose names hold the words, until the first failure."""
    file = folder / f"test_mutant_{next(_NUMBERS)}.py"
    file.write_text(_CASE.format(good=good, fixture=GOODS[good].fixture, source=source))
    (folder / "pytest.ini").write_text("[pytest]\n")
    notes, began = _Notes(), time.perf_counter()
    chosen = ("-k", words) if words else ()
    with mock.patch.dict(os.environ, {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}):
        status = pytest.main([str(file), *_QUIET, "-c", str(folder / "pytest.ini"), *chosen], plugins=[notes])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"no check of '{good}' could be run ({words or 'the whole suite'}): pytest says {status}")
    return Verdict(notes.failed[0] if notes.failed else "", time.perf_counter() - began, notes.passed)


def run_good(name: str, folder: Path) -> Verdict:
    """The suite on a good part."""
    return _run(folder, name, f"kinds.GOODS[{name!r}]")


def run_mutant(name: str, folder: Path) -> Verdict:
    """The check that must notice the fault on the mutant; then, if it passes, the whole suite."""
    mutant, source = MUTANTS[name], f"runner.MUTANTS[{name!r}]"
    first = _run(folder, mutant.good, source, mutant.noticed)
    if first.failed:
        return first
    rest = _run(folder, mutant.good, source)
    return rest._replace(seconds=first.seconds + rest.seconds)
