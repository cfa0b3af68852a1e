"""Scaling by dataset statistics, and back.

| mode | forward | inverse |
|---|---|---|
| MEAN_STD | (x - mean) / (std + eps) | x · std + mean |
| MIN_MAX | 2 (x - min) / (max - min) - 1 | (x + 1) / 2 · (max - min) + min |
| QUANTILES, QUANTILE10 | as MIN_MAX, with the 1st and 99th, or 10th and 90th, percentile | |
| IDENTITY | x | x |

A range of zero counts as eps. Nothing is clipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor

from lerobot_core.errors import DataError
from lerobot_core.features import ACTION, PolicyFeature
from lerobot_policies.processors.steps import Batch

Stats = Mapping[str, Mapping[str, Any]]

#: mode → the statistics that span -1 to 1
RANGES = {"MIN_MAX": ("min", "max"), "QUANTILES": ("q01", "q99"), "QUANTILE10": ("q10", "q90")}


def _features(value: Mapping[str, Any]) -> dict[str, PolicyFeature]:
    return {key: item if isinstance(item, PolicyFeature) else PolicyFeature(**item) for key, item in value.items()}


def _tensors(stats: Stats | None) -> dict[str, dict[str, Tensor]]:
    return {
        key: {name: torch.as_tensor(value, dtype=torch.float32) for name, value in values.items()}
        for key, values in (stats or {}).items()
    }


@attrs.define
class Scaling:
    """What normaliser and unnormaliser share: features, modes and statistics.

    Attributes:
        features: features by name; those of type ACTION but for `action` itself, and those without statistics, are
            passed on unchanged.
        norm_map: feature type → mode; a type left out is passed on unchanged.
        eps: keeps divisors away from zero.
        normalize_observation_keys: observations to scale; None for all.
        stats: feature → statistic → tensor, float32.
    """

    features: dict[str, PolicyFeature] = attrs.field(factory=dict, converter=_features)
    norm_map: dict[str, str] = attrs.Factory(dict)
    eps: float = 1e-8
    normalize_observation_keys: list[str] | None = None
    stats: dict[str, dict[str, Tensor]] = attrs.field(factory=dict, converter=_tensors)
    _ready: dict[Any, Any] = attrs.field(factory=dict, init=False, repr=False, eq=False)

    def config(self) -> dict[str, Any]:
        features = {key: {"type": item.type, "shape": list(item.shape)} for key, item in self.features.items()}
        data = {"eps": self.eps, "features": features, "norm_map": dict(self.norm_map)}
        if self.normalize_observation_keys is not None:
            data["normalize_observation_keys"] = sorted(self.normalize_observation_keys)
        return data

    def state(self) -> dict[str, Tensor]:
        """`feature.statistic` → tensor."""
        return {f"{key}.{name}": value for key, values in self.stats.items() for name, value in values.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self.stats = {}
        for key, value in state.items():
            feature, _, name = key.rpartition(".")
            self.stats.setdefault(feature, {})[name] = value.float()
        self._ready.clear()

    def unknown(self) -> list[str]:
        """Features that are to be scaled but have no statistics: they would pass unchanged."""
        modes = {key: self._mode(key) for key in self.features if self._wanted(key)}
        return [key for key, mode in modes.items() if mode != "IDENTITY" and key not in self.stats]

    def scaled(self, batch: Batch, inverse: bool) -> Batch:
        out = dict(batch)
        for key in self.features:
            value = batch.get(key)
            if isinstance(value, Tensor) and self._wanted(key):
                out[key] = self._apply(key, value, inverse)
        if ACTION not in self.features and isinstance(batch.get(ACTION), Tensor):
            out[ACTION] = self._apply(ACTION, batch[ACTION], inverse)
        return out

    def _wanted(self, key: str) -> bool:
        if key == ACTION:
            return True
        chosen = self.normalize_observation_keys
        return self.features[key].type != "ACTION" and (chosen is None or key in chosen)

    def _apply(self, key: str, x: Tensor, inverse: bool) -> Tensor:
        mode = self._mode(key)
        if mode == "IDENTITY" or key not in self.stats:
            return x
        if not x.is_floating_point():
            raise DataError(
                f"'{key}' is to be scaled by {mode} but holds {x.dtype}",
                hint="pictures are given to the pre-processor as floating point from 0 to 1",
            )
        offset, divisor, factor = self._terms(key, mode, x)
        if mode == "MEAN_STD":
            return x * factor + offset if inverse else (x - offset) / divisor
        return (x + 1) / 2 * divisor + offset if inverse else 2 * (x - offset) / divisor - 1

    def _mode(self, key: str) -> str:
        return self.norm_map.get("ACTION" if key == ACTION else self.features[key].type, "IDENTITY")

    def _terms(self, key: str, mode: str, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(offset, divisor, factor of the inverse), on the device and in the type of `x`."""
        where = (key, x.device, x.dtype)
        if where not in self._ready:
            low, high = ("mean", "std") if mode == "MEAN_STD" else RANGES[mode]
            values = self.stats[key]
            if low not in values or high not in values:
                raise DataError(
                    f"scaling '{key}' by {mode} needs the statistics '{low}' and '{high}', found {', '.join(values)}",
                    hint="choose another mode in normalization_mapping, or compute the statistics of the dataset",
                )
            offset, other = (self._shaped(values[name], key).to(x.device, x.dtype) for name in (low, high))
            if mode == "MEAN_STD":
                self._ready[where] = (offset, other + self.eps, other)
            else:
                span = other - offset
                span = torch.where(span == 0, torch.full_like(span, self.eps), span)
                self._ready[where] = (offset, span, span)
        return self._ready[where]

    def _shaped(self, value: Tensor, key: str) -> Tensor:
        picture = key in self.features and self.features[key].type == "VISUAL"
        return value[:, None, None] if picture and value.dim() == 1 else value  # (C, 1, 1)


@attrs.define
class Normalize(Scaling):
    """Features to the model's units."""

    registry_name: ClassVar[str] = "normalizer_processor"

    def __call__(self, batch: Batch) -> Batch:
        return self.scaled(batch, inverse=False)


@attrs.define
class Unnormalize(Scaling):
    """Features back to the dataset's units."""

    registry_name: ClassVar[str] = "unnormalizer_processor"

    def __call__(self, batch: Batch) -> Batch:
        return self.scaled(batch, inverse=True)
