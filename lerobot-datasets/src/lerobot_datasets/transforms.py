"""Random changes of pictures in plain torch: a whole batch at once, each item with draws of its own, on the batch's device.

The numbers are drawn apart from applying them, so that the same draws give the same pictures whatever the batch. Knows no
datasets. Names, options and defaults are the ecosystem's; the kinds of changes are in `changes`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import torch
from torch import Generator, Tensor

from lerobot_core.errors import ConfigError, did_you_mean
from lerobot_datasets.changes import colour, detail, place
from lerobot_datasets.changes.kind import Kind, in_turns

#: Every kind by the name of its type.
KINDS: Mapping[str, Callable[..., Kind]] = {
    "ColorJitter": colour.ColorJitter,
    "SharpnessJitter": detail.SharpnessJitter,
    "RandomAffine": place.RandomAffine,
    "GaussianNoise": colour.GaussianNoise,
    "MotionBlur": detail.MotionBlur,
    "JPEGCompression": detail.JPEGCompression,
    "GaussianPatchBrightness": place.GaussianPatchBrightness,
    "RandomShadow": place.RandomShadow,
    "CoarseDropout": place.CoarseDropout,
    "GammaCorrection": colour.GammaCorrection,
    "PlanckianJitter": colour.PlanckianJitter,
}

#: Numbers changed at once: few enough for a CPU's cache, or enough to keep an accelerator busy.
_AT_ONCE, _AT_ONCE_ELSEWHERE = 1 << 20, 1 << 25


@attrs.frozen(eq=False)
class Draws:
    """Numbers for N items: which changes each has, in order (N, K), and per change the numbers of all items (N, P)."""

    turns: Tensor
    values: Sequence[Tensor]

    def __getitem__(self, items: slice) -> Draws:
        return Draws(self.turns[items], [values[items] for values in self.values])


class ImageTransforms:
    """Random changes of pictures, some for each item, drawn by weight.

    Called with a picture (C, H, W) or a window (…, C, H, W) it changes all of it alike; `batch` draws for every item anew.
    Pictures are float in [0, 1] or uint8 and stay so; between the changes of an item nothing is rounded.

    Args:
        tfs: name → `type`, `kwargs` and `weight` of a change; weight 0 leaves it out.
        max_num_transforms: changes per item; all when there are fewer.
        random_order: apply them in random order instead of that of `tfs`.
        seed: makes the draws of `batch` a function of it and of the items' numbers; torch's generator when not given.

    Raises:
        ConfigError: an unknown type, options that it does not have or that cannot be, or nothing to draw from.
    """

    def __init__(
        self,
        tfs: Mapping[str, Mapping[str, Any]],
        max_num_transforms: int = 3,
        random_order: bool = False,
        seed: int | None = None,
    ) -> None:
        made = {name: (_made(name, **{"type": "", **given}), _weight(name, given)) for name, given in tfs.items()}
        self.kinds = {name: kind for name, (kind, weight) in made.items() if weight > 0}
        if not self.kinds or max_num_transforms < 1:
            raise ConfigError(
                f"image transforms: {max_num_transforms} of {len(self.kinds)} changes with a weight above 0",
                hint="name at least one in tfs and let max_num_transforms be at least 1, or do not enable them",
            )
        self.weights = torch.tensor([weight for _, weight in made.values() if weight > 0])
        self.count = min(max_num_transforms, len(self.kinds))
        self.random_order, self.seed = random_order, seed

    def __call__(self, pictures: Tensor) -> Tensor:
        return self.apply(pictures[None], self.draw(1))[0]

    def batch(self, pictures: Tensor, numbers: Sequence[int]) -> Tensor:
        """Change each item of a batch (B, …, C, H, W) by draws of its own.

        Args:
            pictures: what to change; it stays as it is.
            numbers: what tells this batch from others, of 0 or more; with `seed`, equal ones have equal draws.
        """
        generator = None
        if self.seed is not None:
            word = np.random.SeedSequence([self.seed, *numbers]).generate_state(1, np.uint64)[0]
            generator = Generator().manual_seed(int(word))
        return self.apply(pictures, self.draw(len(pictures), generator))

    def draw(self, count: int, generator: Generator | None = None) -> Draws:
        """Numbers for `count` items, on the CPU: with a seed, every device makes the same pictures."""
        turns = torch.multinomial(self.weights.expand(count, -1), self.count, generator=generator)  # (N, K)
        if not self.random_order:
            turns = turns.sort(dim=1).values
        return Draws(turns, [kind.draw(count, generator) for kind in self.kinds.values()])

    def apply(self, pictures: Tensor, draws: Draws) -> Tensor:
        """Pictures (B, …, C, H, W) changed as the draws say."""
        if pictures.shape[-3] != 3:
            raise ValueError(f"pictures are (…, 3, H, W), got {tuple(pictures.shape)}")
        out, kinds = torch.empty_like(pictures), list(self.kinds.values())
        most = _AT_ONCE if pictures.device.type == "cpu" else _AT_ONCE_ELSEWHERE
        step = max(1, most // math.prod(pictures.shape[1:]))
        for begin in range(0, len(pictures), step):
            some = slice(begin, begin + step)
            part = _as_float(pictures[some]).reshape(-1, math.prod(pictures.shape[1:-3]), *pictures.shape[-3:])
            here = draws[some]

            def change(which: int, rows: Tensor, seen: Tensor, here: Draws = here) -> Tensor:
                return kinds[which].apply(seen, here.values[which][rows].to(seen.device))

            out[some] = _as_before(in_turns(part, here.turns, change), pictures.dtype).reshape(out[some].shape)
        return out


def _as_float(pictures: Tensor) -> Tensor:
    return pictures.float() / 255 if pictures.dtype == torch.uint8 else pictures.to(torch.float32, copy=True)


def _as_before(pictures: Tensor, dtype: torch.dtype) -> Tensor:
    return (pictures * 255).round().to(dtype) if dtype == torch.uint8 else pictures.to(dtype)


def _made(name: str, type: str, kwargs: Mapping[str, Any] | None = None, **other: Any) -> Kind:
    if unknown := [key for key in other if key != "weight"]:
        raise ConfigError(f"image transform '{name}' has no {unknown}", hint="it has type, kwargs and weight")
    if type not in KINDS:
        raise ConfigError(
            f"image transform '{name}' is of type '{type}', which is not known{did_you_mean(type, KINDS)}",
            hint=f"known are {', '.join(KINDS)}",
        )
    try:
        return KINDS[type](**kwargs or {})
    except (TypeError, ValueError) as problem:
        takes = inspect.signature(KINDS[type])
        raise ConfigError(f"image transform '{name}': {problem}", hint=f"{type} takes {takes}") from problem


def _weight(name: str, given: Mapping[str, Any]) -> float:
    weight = float(given.get("weight", 1.0))
    if not (weight >= 0 and math.isfinite(weight)):
        raise ConfigError(f"image transform '{name}': the weight is a number of 0 or more, got {weight}")
    return weight


def change(
    transforms: Callable[[torch.Tensor], torch.Tensor], pictures: torch.Tensor, numbers: Sequence[int]
) -> torch.Tensor:
    """The pictures (B, …, C, H, W) of a batch, changed: at once by `ImageTransforms`, item by item by anything else.

    Args:
        transforms: what changes them.
        pictures: of one camera.
        numbers: what `ImageTransforms.batch` draws from beside its seed.
    """
    if isinstance(transforms, ImageTransforms):
        return transforms.batch(pictures, list(numbers))
    return torch.stack([transforms(item) for item in pictures])
