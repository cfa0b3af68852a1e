"""The aggregator: how two chunks that speak of the same steps become one. *Pure.*

Nothing is inherited: it is called as `lerobot_core.roles.Aggregator` says, so it is one.
"""

from __future__ import annotations

import numpy as np

from {{ cookiecutter.name }}.aggregator_config import {{ cookiecutter.class_name }}AggregatorConfig


class {{ cookiecutter.class_name }}Aggregator:
    """Goes over from the older chunk to the newer one, so that the arm does not jerk when a chunk arrives."""

    def __init__(self, config: {{ cookiecutter.class_name }}AggregatorConfig) -> None:
        self.config = config

    def __call__(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        """One chunk (T, A) float32 of two."""
        weight = np.linspace(self.config.first, self.config.last, len(new), dtype=np.float32)[:, None]  # (T, 1)
        # written as a step from the old, so that what both agree on stays exactly as it is
        merged: np.ndarray = old + weight * (new - old)
        return merged
