"""What a user gets to read who made a mistake: what is wrong, where, and the next step, in five lines at most."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from house.mistakes.answers import Asker
from house.mistakes.table import MISTAKES, Mistake


@pytest.fixture(scope="module")
def asker() -> Iterator[Asker]:
    with Asker() as asker:
        yield asker


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name.replace(" ", "-"))
def test_a_mistake_is_answered(asker: Asker, mistake: Mistake) -> None:
    answer = asker.ask(mistake)
    assert not answer.wrong, f"lr {mistake.typed}\n{answer.stderr}"


def test_names_are_unique() -> None:
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) >= 100
