"""The step passes the suite that every step has to pass, and smooths."""

from __future__ import annotations

from typing import Any

import pytest
from lerobot_core.config import choose
from lerobot_core.errors import ConfigError
from lerobot_core.roles import ProcessorStep
from lerobot_core.testing import ProcessorStepSuite

from {{ cookiecutter.name }} import plugin


class Test{{ cookiecutter.class_name }}ProcessorStep(ProcessorStepSuite):
    component = plugin.lr_processor_steps()[0]


def test_numbers_follow_slowly() -> None:
    step = choose(ProcessorStep, "{{ cookiecutter.name }}", weight=0.25).build()
    assert [step({"elbow.pos": value})["elbow.pos"] for value in (0.0, 8.0, 8.0)] == [0.0, 2.0, 3.5]


@pytest.mark.parametrize("options", [{"weight": 0.0}, {"weight": 1.5}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        choose(ProcessorStep, "{{ cookiecutter.name }}", **options)
