"""Options of the aggregator. Plain data."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class {{ cookiecutter.class_name }}AggregatorConfig:
    """How the newer chunk gains weight. The lines below are the help of each option.

    Attributes:
        first: weight of the newer chunk at the first step that both know, from 0 to 1.
        last: weight of the newer chunk at the last such step, from 0 to 1.
    """

    first: float = 0.2
    last: float = 1.0

    def __attrs_post_init__(self) -> None:
        for name in ("first", "last"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is between 0 and 1, got {getattr(self, name):g}")
