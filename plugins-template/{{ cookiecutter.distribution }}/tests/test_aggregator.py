"""The aggregator passes the suite that every aggregator has to pass, and goes over to the newer chunk."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lerobot_core.config import choose
from lerobot_core.errors import ConfigError
from lerobot_core.roles import Aggregator
from lerobot_core.testing import AggregatorSuite

from {{ cookiecutter.name }} import plugin


class Test{{ cookiecutter.class_name }}Aggregator(AggregatorSuite):
    component = plugin.lr_aggregators()[0]


def test_the_newer_chunk_gains_weight() -> None:
    aggregator = choose(Aggregator, "{{ cookiecutter.name }}", first=0.0, last=1.0).build()
    merged = aggregator(np.zeros((3, 2), np.float32), np.ones((3, 2), np.float32))
    assert merged[:, 0].tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("options", [{"first": -0.1}, {"last": 1.1}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        choose(Aggregator, "{{ cookiecutter.name }}", **options)
