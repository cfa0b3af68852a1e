"""Ticks of a servo ↔ the units users see, and the signed numbers of its registers. *Pure*: knows no bus and no file.

Ticks run from 0 to resolution − 1 over one turn. A norm mode says what users see: `degrees` around the middle of the
calibrated range, `range_m100_100` or `range_0_100` [%] of it.
"""

from __future__ import annotations

from typing import Literal

NormMode = Literal["degrees", "range_m100_100", "range_0_100"]

#: What users read behind a value of each mode.
UNITS = {"degrees": "deg", "range_m100_100": "%", "range_0_100": "%"}
#: Lowest value and width of the two percentage modes.
SPANS = {"range_m100_100": (-100.0, 200.0), "range_0_100": (0.0, 100.0)}


def to_user(
    raw: float, mode: NormMode, low: int, high: int, *, inverted: bool = False, resolution: int = 4096
) -> float:
    """User value of a position [ticks]. Percentages are kept within the range, degrees are not and ignore `inverted`.

    Args:
        low: lower end of the calibrated range [ticks].
        high: upper end of the calibrated range [ticks].
        inverted: whether the percentage counts from the upper end.
        resolution: ticks per turn.

    Raises:
        ValueError: the range is empty.
    """
    _check_range(low, high)
    if mode == "degrees":
        return (raw - (low + high) / 2) * 360 / (resolution - 1)
    start, width = SPANS[mode]
    value = (min(max(raw, low), high) - low) / (high - low) * width + start
    return 2 * start + width - value if inverted else value


def to_raw(value: float, mode: NormMode, low: int, high: int, *, inverted: bool = False, resolution: int = 4096) -> int:
    """Position [ticks] of a user value, cut to a whole tick towards 0: the inverse of `to_user`.

    Raises:
        ValueError: the range is empty.
    """
    _check_range(low, high)
    if mode == "degrees":
        return int(value * (resolution - 1) / 360 + (low + high) / 2)
    start, width = SPANS[mode]
    value = 2 * start + width - value if inverted else value
    return int((min(max(value, start), start + width) - start) / width * (high - low) + low)


def encode_sign_magnitude(value: int, sign_bit: int) -> int:
    """Register content of a signed number whose sign is bit `sign_bit` and whose magnitude is the bits below.

    Raises:
        ValueError: the magnitude needs more bits.
    """
    largest = (1 << sign_bit) - 1
    if abs(value) > largest:
        raise ValueError(f"{value} does not fit: the largest magnitude is {largest}")
    return (value < 0) << sign_bit | abs(value)


def decode_sign_magnitude(content: int, sign_bit: int) -> int:
    """The signed number of a register content; bits above the sign are ignored."""
    magnitude = content & ((1 << sign_bit) - 1)
    return -magnitude if content >> sign_bit & 1 else magnitude


def _check_range(low: int, high: int) -> None:
    if low == high:
        raise ValueError(f"a calibrated range has two ends, both are {low}")
