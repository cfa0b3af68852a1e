from __future__ import annotations

import warnings

import pytest

from lerobot_datasets.video import decode


@pytest.fixture(params=["pyav", "torchcodec"])
def decoder(request: pytest.FixtureRequest) -> str:
    """Each decoder that loads here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what importing torchcodec warns of is not ours
        if request.param == "torchcodec" and isinstance(problem := decode._torchcodec(), str):
            pytest.skip(f"torchcodec does not load: {problem}")
    return request.param
