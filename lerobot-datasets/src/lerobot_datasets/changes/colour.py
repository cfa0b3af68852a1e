"""Changes of each pixel by itself: brightness, contrast, saturation, hue, gamma, tint, noise."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import torch
from torch import Generator, Tensor

from lerobot_datasets.changes.kind import FACTOR, in_turns, mixed, per_item, uniform, whole, within


def _grey(pictures: Tensor) -> Tensor:
    """Luma (N, T, 1, H, W), ITU-R BT.601."""
    red, green, blue = pictures.unbind(dim=-3)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).unsqueeze(-3)


def _turned(pictures: Tensor, turn: Tensor) -> Tensor:
    """Hues turned by a part of the circle (N, 1, 1, 1, 1), by way of hue, saturation and value (Smith 1978)."""
    value, which = pictures.max(dim=-3, keepdim=True)  # (N, T, 1, H, W)
    chroma = value - pictures.min(dim=-3, keepdim=True).values
    red, green, blue = pictures.split(1, dim=-3)
    slope = torch.where(which == 0, green - blue, torch.where(which == 1, blue - red, red - green))
    sixth = slope / chroma.clamp_min(1e-12) + 2 * which
    n = torch.tensor([5.0, 3.0, 1.0], device=pictures.device).view(3, 1, 1)
    k = n + (sixth + 6 * turn)  # (N, T, 3, H, W)
    k -= 6 * torch.floor(k / 6)  # several times as fast as the remainder
    return value - chroma * torch.minimum(k, 4 - k).clamp_(0, 1)


@attrs.frozen
class ColorJitter:
    """Brightness, contrast, saturation and hue, those given, in random order. Factors; hue in parts of the circle."""

    brightness: Any = attrs.field(default=None, converter=attrs.converters.optional(FACTOR))
    contrast: Any = attrs.field(default=None, converter=attrs.converters.optional(FACTOR))
    saturation: Any = attrs.field(default=None, converter=attrs.converters.optional(FACTOR))
    hue: Any = attrs.field(default=None, converter=attrs.converters.optional(within(-0.5, 0.5, around=0.0)))

    def draw(self, count: int, generator: Generator | None) -> Tensor:
        ranges = [range for range in attrs.astuple(self) if range is not None]
        factors = [uniform((count,), range, generator) for range in ranges]
        order = torch.rand(count, len(ranges), generator=generator).argsort(dim=1).float()
        return torch.cat([torch.stack(factors, dim=1), order], dim=1) if ranges else torch.zeros(count, 0)

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        given = [getattr(self, f"_{name}") for name, range in attrs.asdict(self).items() if range is not None]
        factors, order = drawn.split(len(given), dim=1) if given else (drawn, drawn)

        def change(which: int, rows: Tensor, seen: Tensor) -> Tensor:
            return given[which](seen, per_item(factors[rows, which]))

        return in_turns(pictures, order, lambda which, rows, seen: change(int(which), rows, seen))

    @staticmethod
    def _brightness(pictures: Tensor, factor: Tensor) -> Tensor:
        return pictures * factor

    @staticmethod
    def _contrast(pictures: Tensor, factor: Tensor) -> Tensor:
        return mixed(pictures, _grey(pictures).mean(dim=(-3, -2, -1), keepdim=True), factor)

    @staticmethod
    def _saturation(pictures: Tensor, factor: Tensor) -> Tensor:
        return mixed(pictures, _grey(pictures), factor)

    _hue = staticmethod(_turned)


@attrs.frozen
class GammaCorrection:
    """Pictures to the power of gamma, which is drawn evenly."""

    gamma: Any = attrs.field(default=(0.5, 2.0), converter=within(around=1.0))

    def draw(self, count: int, generator: Generator | None) -> Tensor:
        return uniform((count, 1), self.gamma, generator)

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        return pictures ** per_item(drawn[:, 0])


#: Red and blue by green of a black body's light every 500 K from 3000 K.
_RED = [
    1.6736,
    1.481,
    1.3538,
    1.2616,
    1.1907,
    1.1335,
    1.0862,
    1.046,
    1.0115,
    0.981,
    0.9543,
    0.9302,
    0.9086,
    0.8891,
    0.8713,
]
_RED += [0.8552, 0.8402, 0.8262, 0.8134, 0.8015, 0.7905, 0.7802, 0.7704, 0.7615, 0.7528]
_BLUE = [0.0032, 0.3926, 0.5748, 0.7077, 0.8133, 0.9008, 0.9747, 1.0387, 1.094, 1.1423, 1.1852, 1.2233, 1.2573, 1.2879]
_BLUE += [1.3155, 1.3406, 1.3633, 1.384, 1.4029, 1.4203, 1.4367, 1.4513, 1.4651, 1.4779, 1.49]
_KELVIN = np.arange(3000, 15001, 500)


@attrs.frozen
class PlanckianJitter:
    """The colour of a black body's light of a temperature [K]; green is left as it is."""

    temperature: Any = attrs.field(default=(3000, 15000), converter=within(3000, 15000))

    def draw(self, count: int, generator: Generator | None) -> Tensor:
        kelvin = uniform((count,), self.temperature, generator)
        gains = [np.interp(kelvin, _KELVIN, _RED), np.ones(count), np.interp(kelvin, _KELVIN, _BLUE)]
        return torch.from_numpy(np.stack(gains, axis=1)).float()  # (N, 3)

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        return pictures * drawn.view(-1, 1, 3, 1, 1)


@attrs.frozen
class GaussianNoise:
    """Noise of a standard deviation in levels of 255."""

    std: Any = attrs.field(default=(5.0, 25.0), converter=within())

    def draw(self, count: int, generator: Generator | None) -> Tensor:
        seeds = whole((count,), (0, (1 << 24) - 1), generator)
        return torch.stack([uniform((count,), self.std, generator) / 255, seeds], dim=1)

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        generator = Generator()  # on the CPU, as the other draws: every device makes the same pictures
        noise = [torch.randn(pictures.shape[1:], generator=generator.manual_seed(int(n))) for n in drawn[:, 1].tolist()]
        return pictures + per_item(drawn[:, 0]) * torch.stack(noise).to(pictures.device)
