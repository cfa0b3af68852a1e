"""Options of the processor step. Plain data."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class {{ cookiecutter.class_name }}ProcessorStepConfig:
    """How much is smoothed. The lines below are the help of each option.

    Attributes:
        weight: part of the new value in the result, above 0 up to 1; 1 smooths nothing.
    """

    weight: float = 0.5

    def __attrs_post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise ValueError(f"weight is above 0 and at most 1, got {self.weight:g}")
