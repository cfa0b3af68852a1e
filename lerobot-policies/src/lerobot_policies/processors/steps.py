"""Processor steps without state: renaming, adding the batch axis, moving to a device."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor

from lerobot_core.features import ACTION, ENV_STATE, IMAGES, STATE

Batch = dict[str, Any]

#: what is named after an observation and follows when it is renamed
FOLLOWERS = ("_is_pad", "_padding_mask")


@attrs.define
class Rename:
    """Other names for observations; what says whether they are padding follows them."""

    registry_name: ClassVar[str] = "rename_observations_processor"

    rename_map: dict[str, str] = attrs.Factory(dict)

    def __call__(self, batch: Batch) -> Batch:
        if not self.rename_map:
            return batch
        return {self._renamed(key): value for key, value in batch.items()}

    def _renamed(self, key: str) -> str:
        suffix = next((end for end in FOLLOWERS if key.endswith(end)), "")
        stem = key.removesuffix(suffix)
        return self.rename_map[stem] + suffix if stem in self.rename_map else key

    def config(self) -> dict[str, Any]:
        return {"rename_map": self.rename_map}


@attrs.define
class ToBatch:
    """A batch axis for a single observation; what has one already is left alone."""

    registry_name: ClassVar[str] = "to_batch_processor"

    #: axes of one item; observations not named here are left alone
    AXES: ClassVar[dict[str, int]] = {
        ACTION: 1,
        STATE: 1,
        ENV_STATE: 1,
        "observation.image": 3,
        "index": 0,
        "task_index": 0,
    }

    def __call__(self, batch: Batch) -> Batch:
        return {key: self._batched(key, value) for key, value in batch.items()}

    def _batched(self, key: str, value: Any) -> Any:
        if key == "task" and isinstance(value, str):
            return [value]
        axes = 3 if key.startswith(IMAGES) else self.AXES.get(key)
        return value[None] if isinstance(value, Tensor) and value.dim() == axes else value

    def config(self) -> dict[str, Any]:
        return {}


@attrs.define
class Device:
    """Tensors to a device, and floating-point ones to a type if one is given."""

    registry_name: ClassVar[str] = "device_processor"

    device: str = "cpu"
    float_dtype: str | None = None

    def __call__(self, batch: Batch) -> Batch:
        return {key: self._moved(value) if isinstance(value, Tensor) else value for key, value in batch.items()}

    def _moved(self, value: Tensor) -> Tensor:
        target = torch.device(self.device)
        # a batch that a data-parallel launcher put on its own accelerator stays there
        device = value.device if value.device.type == target.type else target
        dtype = getattr(torch, self.float_dtype) if self.float_dtype and value.is_floating_point() else None
        if device.type == "mps" and value.dtype == torch.float64:
            dtype = dtype or torch.float32  # MPS has no double precision
        return value.to(device, dtype, non_blocking=True)

    def config(self) -> dict[str, Any]:
        return {"device": torch.device(self.device).type, "float_dtype": self.float_dtype}
