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


def arms(pair: Any) -> list[Any]:
    """The options of both arms of a pair, with its id, the side behind it, and its folder where they have none of their own."""
    return [
        attrs.evolve(
            arm,
            id=arm.id or (f"{pair.id}_{side.rstrip('_')}" if pair.id else None),
            calibration_dir=arm.calibration_dir or pair.calibration_dir,
        )
        for side, arm in ((LEFT, pair.left_arm_config), (RIGHT, pair.right_arm_config))
    ]


@attrs.frozen
class BothHealth:
    """What two devices count; None for one that counts nothing.

    Attributes:
        left: of the left one.
        right: of the right one.
    """

    left: Any
    right: Any

    @classmethod
    def of(cls, left: Any, right: Any) -> BothHealth:
        return cls(getattr(left, "health", None), getattr(right, "health", None))

    @property
    def errors(self) -> int:
        """What both count as errors."""
        return sum(getattr(health, "errors", 0) for health in (self.left, self.right))

    def line(self) -> str:
        """The lines of both."""
        both = {"left": self.left, "right": self.right}
        return "\n".join(f"{side} {health.line()}" for side, health in both.items() if hasattr(health, "line"))


def oldest(*devices: Any) -> int | None:
    """The oldest of the devices' `stamp`s, monotonic [ns]; None where none has one."""
    stamps = [stamp for device in devices if (stamp := getattr(device, "stamp", None)) is not None]
    return min(stamps, default=None)
