"""Random programs of edits against a naive model of datasets: see `programs`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import programs
import pytest

from lerobot_datasets.edit.plan import Source

NIGHTLY, WORKERS = 100_000, 8


@pytest.fixture(scope="module")
def bases() -> Iterator[dict[str, Source]]:
    with programs.recorded() as found:
        yield found


def run(first: int, count: int, workers: int) -> None:
    """The programs of so many seeds, in processes side by side."""
    share = count // workers
    call = [sys.executable, programs.__file__]
    runs = [
        subprocess.Popen([*call, str(first + i * share), str(share)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for i in range(workers)
    ]
    said = [run.communicate()[1].decode() for run in runs]
    assert not any(run.returncode for run in runs), "\n".join(said)


def test_programs() -> None:
    run(0, 1000, 2)


def test_a_wrong_dataset_is_noticed(bases: dict[str, Source]) -> None:
    """The oracle can fail: a model with a frame more, another value, another task."""
    model = programs.base("a")
    programs.check(bases["a"], model)
    for change in ({"note": "x"}, {"task": "x"}, {"observation.state": [0.5, 0.5]}):
        with pytest.raises(AssertionError):
            programs.check(bases["a"], [[model[0][0] | change, *model[0][1:]], *model[1:]])
    with pytest.raises(AssertionError):
        programs.check(bases["a"], [*model, model[0]])


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_a_hundred_thousand_programs() -> None:
    run(1000, NIGHTLY, WORKERS)
