"""Changes of where things are and of parts of a picture: affine maps, patches, shadows, holes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import torch
from torch import Generator, Tensor

from lerobot_datasets.changes.kind import ANGLE, Range, grid, per_item, uniform, whole, within


@attrs.frozen
class RandomAffine:
    """Turned [degrees], shifted (parts of width and height, whole pixels), scaled and sheared about the middle.

    The nearest pixel is taken, and `fill` where there is none. `shear` is a range along x, or two: along x and y [degrees].
    """

    degrees: Any = attrs.field(converter=ANGLE)
    translate: Any = None
    scale: Any = attrs.field(default=(1.0, 1.0), converter=lambda given: within()(given or 1.0))
    shear: Any = 0.0
    fill: float = 0.0

    def _shears(self) -> tuple[Range, Range]:
        given = self.shear or 0.0
        if isinstance(given, Sequence) and len(given) == 4:
            return ANGLE(given[:2]), ANGLE(given[2:])
        return ANGLE(given), (0.0, 0.0)

    def __attrs_post_init__(self) -> None:
        self._shears()
        parts = [0.0, 0.0] if self.translate is None else list(self.translate)
        if len(parts) != 2 or not all(0 <= part <= 1 for part in parts):
            raise ValueError(f"translate is two parts of width and height from 0 to 1, got {parts}")

    def draw(self, count: int, generator: Generator | None) -> Tensor:
        across, down = self.translate or (0.0, 0.0)
        ranges = (self.degrees, (-across, across), (-down, down), self.scale, *self._shears())
        return torch.stack([uniform((count,), range, generator) for range in ranges], dim=1)

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        height, width = pictures.shape[-2:]
        turn, across, down, scale, *shear = drawn.unbind(dim=1)
        along_x, along_y = (torch.tan(torch.deg2rad(angle)) for angle in shear)
        cos, sin = torch.cos(torch.deg2rad(turn)), torch.sin(torch.deg2rad(turn))
        slant = _matrix(1 - 0 * along_x, -along_x, -along_y, 1 + along_x * along_y)
        back = torch.linalg.inv(scale.view(-1, 1, 1) * (_matrix(cos, -sin, sin, cos) @ slant))  # (N, 2, 2)
        shift = torch.stack([torch.round(across * width), torch.round(down * height)], dim=1)  # (N, 2) [pixels]
        y, x = (torch.arange(n, device=pictures.device) - (n - 1) / 2 for n in (height, width))
        seen = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], dim=-1).view(1, -1, 2)
        source = (seen - shift[:, None]) @ back.transpose(1, 2)  # (N, H W, 2) pixels from the middle
        column, row = (
            (source + torch.tensor([width - 1, height - 1], device=source.device) / 2).round().long().unbind(-1)
        )
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        at = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1))[:, None, None]  # (N, 1, 1, H W)
        flat = pictures.flatten(-2)  # (N, T, C, H W)
        found = flat.gather(-1, at.expand(*flat.shape[:-1], -1))
        return torch.where(inside[:, None, None], found, self.fill).view(pictures.shape)


def _matrix(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """[[a, b], [c, d]] of each item (N, 2, 2)."""
    return torch.stack([a, b, c, d], dim=1).view(-1, 2, 2)


@attrs.frozen
class GaussianPatchBrightness:
    """Some round patches made brighter or darker by a factor; width of a patch in parts of the picture's sides."""

    num_patches: Any = attrs.field(default=(1, 4), converter=within(1, 64))
    sigma_range: Any = attrs.field(default=(0.05, 0.25), converter=within(1e-6))
    factor_range: Any = attrs.field(default=(0.4, 1.6), converter=within())

    def draw(self, count: int, generator: Generator | None) -> Tensor:
        most = int(self.num_patches[1])
        there = torch.arange(most) < whole((count, 1), self.num_patches, generator)  # (N, most)
        places = uniform((count, 2 * most), (0, 1), generator)
        sigmas = uniform((count, most), self.sigma_range, generator)
        factors = torch.where(there, uniform((count, most), self.factor_range, generator), 1.0)
        return torch.cat([places, sigmas, factors], dim=1)

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        y, x = grid(pictures)
        for middle_x, middle_y, sigma, factor in _columns(drawn, 4):
            far = (x - per_item(middle_x)) ** 2 + (y - per_item(middle_y)) ** 2  # (N, 1, 1, H, W)
            pictures = pictures * (1 + (per_item(factor) - 1) * torch.exp(-far / (2 * per_item(sigma) ** 2)))
        return pictures


@attrs.frozen
class RandomShadow:
    """A band from top to bottom with soft edges, darker or, as often, brighter by a part of each value."""

    opacity: Any = attrs.field(default=(0.3, 0.6), converter=within(0.0, 1.0))

    def draw(self, count: int, generator: Generator | None) -> Tensor:
        sign = 2 * whole((count, 1), (0, 1), generator) - 1
        edges = uniform((count, 2), (0, 1), generator).sort(dim=1).values
        softness = uniform((count, 1), (0.05, 0.3), generator)
        return torch.cat([sign * uniform((count, 1), self.opacity, generator), edges, softness], dim=1)

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        strength, left, right, softness = (per_item(column) for column in drawn.unbind(dim=1))
        x = grid(pictures)[1]
        inside = torch.minimum(x - left, right - x) / softness + 0.5
        return pictures * (1 + strength * inside.clamp(0, 1))


@attrs.frozen
class CoarseDropout:
    """One to `max_holes` rectangles filled with a value; their sides up to parts of the picture's."""

    max_holes: int = 8
    max_height_frac: float = 0.07
    max_width_frac: float = 0.07
    fill_value: float = 0.0

    def __attrs_post_init__(self) -> None:
        if self.max_holes < 1 or not (0 < self.max_height_frac <= 1 and 0 < self.max_width_frac <= 1):
            raise ValueError(f"max_holes is 1 or more and the parts of the sides above 0 up to 1, got {self}")

    def draw(self, count: int, generator: Generator | None) -> Tensor:
        there = torch.arange(self.max_holes) < whole((count, 1), (1, self.max_holes), generator)
        heights = torch.where(there, uniform(there.shape, (0, self.max_height_frac), generator), -1.0)
        widths = uniform(there.shape, (0, self.max_width_frac), generator)
        return torch.cat([uniform((count, 2 * self.max_holes), (0, 1), generator), heights, widths], dim=1)

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        height, width = pictures.shape[-2:]
        y, x = torch.arange(height, device=drawn.device)[:, None], torch.arange(width, device=drawn.device)
        for at_x, at_y, high, wide in _columns(drawn, 4):
            rows, columns = (high * height).ceil().clamp_min(0), (wide * width).ceil().clamp_min(1)
            top, left = (
                per_item((at_y * (height - rows + 1)).floor()),
                per_item((at_x * (width - columns + 1)).floor()),
            )
            hole = (y >= top) & (y < top + per_item(rows)) & (x >= left) & (x < left + per_item(columns))
            pictures = torch.where(hole, self.fill_value, pictures)
        return pictures


def _columns(drawn: Tensor, count: int) -> list[tuple[Tensor, ...]]:
    """Numbers (N, count M) as M tuples of `count` columns (N,)."""
    return list(zip(*(part.unbind(dim=1) for part in drawn.chunk(count, dim=1)), strict=True))
