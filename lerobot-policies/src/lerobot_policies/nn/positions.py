"""Fixed sinusoidal position tables. *Pure.*"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor


def sinusoid(length: int, dim: int) -> Tensor:
    """Table (length, dim): even channels sine, odd cosine of p / 10000^(2⌊j/2⌋/dim) (Vaswani et al. 2017, 3.5)."""
    position = torch.arange(length, dtype=torch.float64)[:, None]
    frequency = torch.pow(10000.0, 2 * (torch.arange(dim, dtype=torch.float64) // 2) / dim)
    angle = position / frequency  # (length, dim)
    angle[:, 0::2] = angle[:, 0::2].sin()
    angle[:, 1::2] = angle[:, 1::2].cos()
    return angle.float()


@functools.lru_cache(maxsize=32)
def sinusoid_2d(height: int, width: int, dim: int, device: torch.device) -> Tensor:
    """Table (height·width, dim) of a picture's cells, row-major: first half of the channels by row, second by column.

    Rows and columns count from 1 and are scaled to (0, 2π] (DETR, arXiv 2005.12872, A.4).
    """
    half = dim // 2
    frequency = 10000 ** (2 * (torch.arange(half, device=device).float() // 2) / half)

    def axis(size: int) -> Tensor:
        cells = torch.arange(1, size + 1, device=device).float() / (size + 1e-6) * (2 * math.pi)
        angle = cells[:, None] / frequency  # (size, half)
        return torch.stack((angle[:, 0::2].sin(), angle[:, 1::2].cos()), dim=-1).flatten(1)  # (size, half)

    rows = axis(height)[:, None].expand(height, width, half)
    columns = axis(width)[None].expand(height, width, half)
    return torch.cat((rows, columns), dim=-1).flatten(0, 1)  # (height·width, dim)
