"""The datasets that tests record are described in a module of their own, found by name also by spawned processes."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

from lerobot_datasets.video import decode, stream

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(params=["pyav", "torchcodec"])
def decoder(request: pytest.FixtureRequest) -> str:
    """Each decoder that loads here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what importing torchcodec warns of is not ours
        if request.param == "torchcodec" and isinstance(problem := decode._torchcodec(), str):
            pytest.skip(f"torchcodec does not load: {problem}")
    return request.param


@pytest.fixture(autouse=True)
def encoders(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders run on threads, which start sooner, but where a test asks for `processes`. Both do the same work."""
    if "processes" not in request.fixturenames:
        monkeypatch.setattr(stream, "PROCESSES", False)


@pytest.fixture
def processes() -> None:
    """Encoders run in processes of their own."""
