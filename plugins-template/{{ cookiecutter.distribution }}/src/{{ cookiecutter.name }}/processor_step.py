"""The processor step: smooths every number of an observation or action. Pictures pass through.

Nothing is inherited: it has the methods of `lerobot_core.roles.ProcessorStep`, so it is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from {{ cookiecutter.name }}.processor_step_config import {{ cookiecutter.class_name }}ProcessorStepConfig


class {{ cookiecutter.class_name }}ProcessorStep:
    """An exponential average of each number since `reset`, which comes with every episode."""

    def __init__(self, config: {{ cookiecutter.class_name }}ProcessorStepConfig) -> None:
        self.config = config
        self._last: dict[str, float] = {}

    def features(self, features: Mapping[str, Any]) -> dict[str, Any]:
        """What comes out has the names and shapes of what goes in."""
        return dict(features)

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values after the step; those given stay as they are."""
        numbers = {key: float(value) for key, value in values.items() if isinstance(value, float | int)}
        for key, value in numbers.items():
            last = self._last.get(key, value)
            self._last[key] = last + self.config.weight * (value - last)
        return {**values, **{key: self._last[key] for key in numbers}}

    def reset(self) -> None:
        """Forget the episode."""
        self._last.clear()
