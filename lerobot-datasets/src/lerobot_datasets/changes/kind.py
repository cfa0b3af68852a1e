"""What every kind of change has: options, draws, pictures (N, T, 3, H, W) float32 in [0, 1] of N items.

T are the pictures of a window, which share the item's numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Generator, Tensor


class Kind(Protocol):
    """A kind of change; its attributes are its options."""

    def draw(self, count: int, generator: Generator | None) -> Tensor:
        """Random numbers (N, P) float32 of `count` items."""
        ...

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        """Pictures (N, T, C, H, W) changed as the numbers (N, P) say; what leaves [0, 1] is cut off by `in_turns`."""
        ...


Range = tuple[float, float]


def within(low: float = 0.0, high: float = math.inf, around: float | None = None) -> Any:
    """An option: a range (a, b), or d for `around` plus and minus d (without `around`: for d itself), cut at `low`."""

    def convert(given: float | Sequence[float]) -> Range:
        if isinstance(given, (int, float)):
            if around is None:
                given = (given, given)
            elif given < 0:
                raise ValueError(f"a single number is 0 or more, got {given}")
            else:
                given = (max(low, around - given), around + given)
        values = tuple(float(value) for value in given)
        if len(values) != 2 or not low <= values[0] <= values[1] <= high:
            raise ValueError(f"a range is two rising numbers from {low} to {high}, got {list(values)}")
        return values

    return convert


#: An option that multiplies: a range, or d for 1 - d to 1 + d.
FACTOR = within(around=1.0)
#: An option in degrees: a range, or d for -d to d.
ANGLE = within(low=-360.0, high=360.0, around=0.0)


def uniform(shape: Sequence[int], range: Sequence[float], generator: Generator | None) -> Tensor:
    """Numbers from low to high, evenly."""
    low, high = range
    return low + (high - low) * torch.rand(*shape, generator=generator)


def whole(shape: Sequence[int], range: Sequence[float], generator: Generator | None) -> Tensor:
    """Whole numbers from low to high, both included."""
    low, high = range
    return torch.randint(math.ceil(low), math.floor(high) + 1, tuple(shape), generator=generator).float()


def per_item(values: Tensor) -> Tensor:
    """(N,) to (N, 1, 1, 1, 1), to go with pictures (N, T, C, H, W)."""
    return values.float().view(-1, 1, 1, 1, 1)


def grid(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Where pixels are, from 0 to 1 at the edges: y (H, 1) and x (1, W)."""
    height, width = pictures.shape[-2:]
    y = (torch.arange(height, device=pictures.device) + 0.5) / height
    x = (torch.arange(width, device=pictures.device) + 0.5) / width
    return y[:, None], x[None, :]


def mixed(pictures: Tensor, others: Tensor, share: Tensor) -> Tensor:
    """Share 1 gives the pictures, 0 the others, above 1 goes away from the others."""
    return share * pictures + (1 - share) * others


def in_turns(pictures: Tensor, turns: Tensor, change: Callable[[int, Tensor, Tensor], Tensor]) -> Tensor:
    """Each item's changes one after the other, every change of all items that have it in this place at once.

    The pictures given are not used any more: their memory may be taken for the result.
    """
    for place in turns.T:
        for which in place.unique().tolist():
            rows = torch.nonzero(place == which)[:, 0]
            if len(rows) == len(pictures):
                pictures = change(which, rows, pictures).clamp_(0, 1)
            else:
                pictures[rows] = change(which, rows, pictures[rows]).clamp_(0, 1)
    return pictures
