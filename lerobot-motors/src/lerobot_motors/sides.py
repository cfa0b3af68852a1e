"""Names of two devices that are used as one: `left_` and `right_` before the names of each. *Pure.*"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

T = TypeVar("T")

LEFT, RIGHT = "left_", "right_"


def joined(left: Mapping[str, T], right: Mapping[str, T]) -> dict[str, T]:
    """The values of both, the left ones first."""
    return {LEFT + key: value for key, value in left.items()} | {RIGHT + key: value for key, value in right.items()}


def parted(values: Mapping[str, T]) -> tuple[dict[str, T], dict[str, T]]:
    """The values of the left one and of the right one under their own names; other names are left out."""
    left, right = (
        {key.removeprefix(side): value for key, value in values.items() if key.startswith(side)}
        for side in (LEFT, RIGHT)
    )
    return left, right


def named(id: str | None, side: str, own: str | None) -> str | None:
    """Id of one side's device: its own, or that of the pair with the side behind it."""
    return own or (f"{id}_{side.rstrip('_')}" if id else None)


def joined_health(left: Any, right: Any) -> dict[str, Any]:
    """Counters of both devices, for those that count anything."""
    counted = [attrs.asdict(health) if attrs.has(type(health)) else dict(health or {}) for health in (left, right)]
    return joined(*counted)
