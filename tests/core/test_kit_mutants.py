"""The kit proves itself: good parts pass, and parts broken on purpose fail in the check that is there for that fault.

A sample runs every day, all of them nightly; `python tests/core/mutants/report.py` prints them as a table.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from core.mutants.kinds import GOODS
from core.mutants.runner import MODULES, MUTANTS, run_good, run_mutant

SECONDS = 3.0
SAMPLE = list(MUTANTS)[:: len(MUTANTS) // 20]


@pytest.mark.nightly
@pytest.mark.parametrize("name", GOODS)
def test_a_good_part_passes_in_time(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")  # its first import is no suite's time
    verdict = run_good(name, tmp_path)
    assert not verdict.failed
    assert verdict.seconds < SECONDS


@pytest.mark.parametrize("name", [n if n in SAMPLE else pytest.param(n, marks=pytest.mark.nightly) for n in MUTANTS])
def test_the_mutant_is_noticed(name: str, tmp_path: Path) -> None:
    verdict = run_mutant(name, tmp_path)
    assert verdict.failed, f"'{name}' passes every check of its suite"


def test_the_proof_is_large_enough() -> None:
    assert len(MUTANTS) == sum(len(module.MUTANTS) for module in MODULES) >= 100
    assert len(SAMPLE) >= 20
    assert {mutant.good for mutant in MUTANTS.values()} == set(GOODS)
