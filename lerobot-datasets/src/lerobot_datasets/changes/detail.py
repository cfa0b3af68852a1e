"""Changes of what neighbouring pixels show: sharpness, blur along a line, compression."""

from __future__ import annotations

import math
from typing import Any

import attrs
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lerobot_datasets.changes.kind import FACTOR, mixed, per_item, uniform, whole, within


@attrs.frozen
class SharpnessJitter:
    """Mixed with a picture smoothed by 3x3 pixels: 0 is smooth, 1 the picture, 2 twice as sharp. The rim stays."""

    sharpness: Any = attrs.field(converter=FACTOR)

    def draw(self, count: int, generator: Generator | None) -> Tensor:
        return uniform((count, 1), self.sharpness, generator)

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        smooth = pictures.clone()
        if min(pictures.shape[-2:]) > 2:
            rows = pictures[..., :-2, :] + pictures[..., 1:-1, :] + pictures[..., 2:, :]
            around = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
            smooth[..., 1:-1, 1:-1] = (around + 4 * pictures[..., 1:-1, 1:-1]) / 13
        return mixed(pictures, smooth, per_item(drawn[:, 0]))


@attrs.frozen
class MotionBlur:
    """The mean along a line of an odd number of pixels in a random direction."""

    kernel_size: Any = attrs.field(default=(3, 11), converter=within(1, 99))

    def __attrs_post_init__(self) -> None:
        low, high = self.kernel_size
        if math.ceil((low - 1) / 2) > (high - 1) // 2:
            raise ValueError(f"kernel_size holds an odd number, got {list(self.kernel_size)}")

    def draw(self, count: int, generator: Generator | None) -> Tensor:
        halves = whole((count,), [(size - 1) / 2 for size in self.kernel_size], generator)
        return torch.stack([halves, uniform((count,), (0, math.pi), generator)], dim=1)

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        return torch.cat([self._along(p, *d) for p, d in zip(pictures.split(1), drawn.tolist(), strict=True)])

    @staticmethod
    def _along(pictures: Tensor, half: float, angle: float) -> Tensor:
        reach = int(half)
        padded = F.pad(pictures.flatten(0, 2), [reach] * 4, mode="replicate")  # (T C, H + 2 reach, W + 2 reach)
        height, width = pictures.shape[-2:]
        total = torch.zeros_like(pictures)
        for i in range(-reach, reach + 1):
            y, x = reach + round(i * math.sin(angle)), reach + round(i * math.cos(angle))
            total += padded[:, y : y + height, x : x + width].view(pictures.shape)
        return total / (2 * reach + 1)


#: Quantisation of brightness and colour, ITU-T T.81 tables K.1 and K.2.
_LUMA = [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29]
_LUMA += [51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121]
_LUMA += [120, 101, 72, 92, 95, 98, 112, 100, 103, 99]
_CHROMA = [17, 18, 24, 47, *[99] * 4, 18, 21, 26, 66, *[99] * 4, 24, 26, 56, *[99] * 5, 47, 66, *[99] * 38]
#: Red, green, blue to luma and two chromas, ITU-T T.871.
_TO_YCC = [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]


@attrs.frozen
class JPEGCompression:
    """What a JPEG of a quality from 1 to 100 keeps: blocks of 8x8 rounded in frequencies, colour at half the size."""

    quality: Any = attrs.field(default=(15, 75), converter=within(1, 100))

    def draw(self, count: int, generator: Generator | None) -> Tensor:
        return whole((count, 1), self.quality, generator)

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        height, width = pictures.shape[-2:]
        mix = torch.tensor(_TO_YCC, device=pictures.device)
        quality = drawn[:, 0]
        scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
        flat = F.pad((pictures * 255).round().flatten(1, 2), [0, -width % 16, 0, -height % 16], mode="replicate")
        planes = torch.einsum("ij,ntjhw->ntihw", mix, flat.view(*pictures.shape[:3], *flat.shape[-2:]))
        luma = self._kept(planes[:, :, :1] - 128, _LUMA, scale) + 128
        halved = F.avg_pool2d(planes[:, :, 1:].flatten(0, 1), 2)  # (N T, 2, H / 2, W / 2)
        chroma = self._kept(halved.view(*planes.shape[:2], *halved.shape[1:]), _CHROMA, scale).flatten(0, 1)
        chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear").view(*planes.shape[:2], 2, *planes.shape[-2:])
        back = torch.einsum("ij,ntjhw->ntihw", torch.linalg.inv(mix), torch.cat([luma, chroma], dim=2))
        return back[..., :height, :width].round() / 255

    @staticmethod
    def _kept(planes: Tensor, table: list[int], scale: Tensor) -> Tensor:
        """Planes (N, T, P, H, W) after rounding their frequencies by the table at a scale (N,) [%]."""
        steps = torch.tensor(table, device=planes.device).view(8, 8) * scale.view(-1, 1, 1, 1, 1, 1, 1)
        steps = ((steps + 50) / 100).floor().clamp(1, 255)  # (N, 1, 1, 1, 1, 8, 8)
        k = torch.arange(8.0, device=planes.device)
        cosines = torch.cos((2 * k + 1) * k[:, None] * math.pi / 16) / 2
        cosines[0] /= math.sqrt(2)
        blocks = (
            planes.unflatten(-1, (-1, 8)).unflatten(-3, (-1, 8)).transpose(-3, -2)
        )  # (N, T, P, rows, columns, 8, 8)
        kept = (cosines @ blocks @ cosines.T / steps).round() * steps
        return (cosines.T @ kept @ cosines).transpose(-3, -2).flatten(-2).flatten(-3, -2)
