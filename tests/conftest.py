"""Fixtures of the whole repository; the isolation comes from the kit that third parties use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["lerobot_core.testing.fixtures"]

REPOSITORY = Path(__file__).resolve().parents[1]

os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("repository", deadline=None, database=None, max_examples=50)
settings.load_profile("repository")


def fixtures_root() -> Path:
    """Folder of recorded data: `$LR_FIXTURES`, else a larger set beside the repository, else the set shipped with it."""
    places = (os.environ.get("LR_FIXTURES"), REPOSITORY.parent / "shared" / "fixtures", REPOSITORY / "tests" / "data")
    return next(Path(place) for place in places if place and Path(place).is_dir())


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """Folder of recorded data; read only."""
    return fixtures_root()


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the repository."""
    return REPOSITORY
