"""The host stays up beside every hostile plugin of the table, and says which it is, whose, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from house.distributions import install, lr
from house.hostile import trial
from house.hostile.table import CASES, DEADLY, Case

EVERYDAY = CASES[::5]


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.name, marks=() if case in EVERYDAY else pytest.mark.nightly) for case in CASES],
)
def test_the_host_survives_and_names_it(case: Case) -> None:
    outcome = trial.run(case)
    assert outcome.survived, outcome.said
    assert outcome.named, outcome.said


def test_there_are_enough_of_them() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 40


@pytest.mark.parametrize("case", DEADLY, ids=lambda case: case.name)
def test_one_that_ends_the_interpreter_is_named_by_its_file_and_can_be_blocked(tmp_path: Path, case: Case) -> None:
    install(tmp_path, "hostile", case.text)
    ran = lr(tmp_path, "--help")
    assert ran.returncode < 0
    assert case.says in ran.stderr
    assert "hostile_plugin.py" in ran.stderr
    assert lr(tmp_path, "plugins", "disable", "hostile", LR_BLOCK_PLUGINS="hostile").returncode == 0
    assert lr(tmp_path, "--help").returncode == 0
