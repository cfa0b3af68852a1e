"""The teleoperator passes the suite that every teleoperator has to pass, and it moves."""

from __future__ import annotations

import time
from typing import Any

import pytest
from lerobot_core.config import choose
from lerobot_core.errors import ConfigError
from lerobot_core.roles import Teleoperator
from lerobot_core.testing import TeleoperatorSuite

from {{ cookiecutter.name }} import plugin


class Test{{ cookiecutter.class_name }}Teleoperator(TeleoperatorSuite):
    component = plugin.lr_teleoperators()[0]


def test_it_swings_as_far_as_asked() -> None:
    teleoperator = choose(Teleoperator, "{{ cookiecutter.name }}", amplitude=10.0, period=0.2).build()
    teleoperator.connect()
    positions = []
    for _ in range(20):
        positions.append(teleoperator.get_action()["elbow.pos"])
        time.sleep(0.01)
    teleoperator.disconnect()
    assert -10 <= min(positions) < -5
    assert 5 < max(positions) <= 10


@pytest.mark.parametrize("options", [{"joints": []}, {"joints": ["a", "a"]}, {"period": 0.0}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        choose(Teleoperator, "{{ cookiecutter.name }}", **options)
