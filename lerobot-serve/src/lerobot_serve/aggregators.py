"""How two chunks that speak of the same steps become one: a fixed mix of old and new. *Pure.*"""

from __future__ import annotations

import attrs
import numpy as np


@attrs.frozen(kw_only=True)
class MixConfig:
    """Part of the newer chunk in the mix; the older one has the rest.

    Attributes:
        new_weight: weight of the newer chunk, from 0 to 1.
    """

    new_weight: float = 0.5

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.new_weight <= 1:
            raise ValueError(f"new_weight is between 0 and 1, got {self.new_weight}")


@attrs.frozen(kw_only=True)
class WeightedAverageConfig(MixConfig):
    """Mostly the newer chunk.

    Attributes:
        new_weight: weight of the newer chunk, from 0 to 1.
    """

    new_weight: float = 0.7


@attrs.frozen(kw_only=True)
class ConservativeConfig(MixConfig):
    """Mostly the older chunk.

    Attributes:
        new_weight: weight of the newer chunk, from 0 to 1.
    """

    new_weight: float = 0.3


@attrs.frozen(kw_only=True)
class LatestOnlyConfig:
    """Only the newer chunk; nothing to set."""


class Mix:
    """Weighted mean of old and new."""

    def __init__(self, config: MixConfig) -> None:
        self._new = np.float32(config.new_weight)

    def __call__(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        # written as a step from the old, so that what both agree on stays exactly as it is
        return old + self._new * (new - old)


class LatestOnly:
    """What the newer chunk says."""

    def __init__(self, config: LatestOnlyConfig) -> None:
        pass

    def __call__(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        return new.copy()
