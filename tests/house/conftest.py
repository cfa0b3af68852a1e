"""What the tests of the house share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from house import source


@pytest.fixture(scope="package", autouse=True)
def forgotten() -> Iterator[None]:
    """The syntax trees are half a million objects that every garbage collection after these tests would look through."""
    yield
    source.modules.cache_clear()
