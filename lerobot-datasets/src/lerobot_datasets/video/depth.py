"""Distances of a depth camera from what is stored: 12-bit codes of a video, or TIFF cells of a table. *Pure.*

Distances are float32 in the unit asked for; whole millimetres come back as they were recorded.
"""

from __future__ import annotations

from typing import Any, Literal

import attrs
import numpy as np

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets.video import tiff

Unit = Literal["mm", "m"]

#: Pixel format of depth videos.
PIXELS = "gray12le"
_CODES = 4096
_MM_PER_M = 1000
_MM_MAX = 65535


@attrs.frozen(kw_only=True)
class Quantiser:
    """How distances became codes: evenly between two bounds, of their logarithms or as they are.

    Attributes:
        depth_min: distance of code 0 [m].
        depth_max: distance of code 4095 [m].
        shift: added to a distance before its logarithm is taken [m].
        use_log: spread the codes evenly over logarithms.
    """

    depth_min: float = 0.01
    depth_max: float = 10.0
    shift: float = 3.5
    use_log: bool = True

    def __attrs_post_init__(self) -> None:
        if not self.depth_min < self.depth_max:
            raise ValueError(f"depth_min is below depth_max, got {self.depth_min} and {self.depth_max} m")
        if self.use_log and self.depth_min + self.shift <= 0:
            raise ValueError(f"depth_min + shift is above 0 m, got {self.depth_min} + {self.shift}")

    def codes(self, picture: np.ndarray) -> np.ndarray:
        """Codes (…) uint16 of distances (…): floats [m] or whole numbers [mm]."""
        metres = picture.astype(np.float64)
        metres = metres if np.issubdtype(picture.dtype, np.floating) else metres / _MM_PER_M
        low, high = self.depth_min, self.depth_max
        if self.use_log:
            low, high = np.log(low + self.shift), np.log(high + self.shift)
            metres = np.log(np.maximum(metres, self.depth_min) + self.shift)
        return np.clip(np.rint((metres - low) / (high - low) * (_CODES - 1)), 0, _CODES - 1).astype(np.uint16)

    def distances(self, unit: Unit) -> np.ndarray:
        """The distance of every code (4096,) float32; millimetres are whole."""
        low, high = self.depth_min, self.depth_max
        if self.use_log:
            low, high = np.log(low + self.shift), np.log(high + self.shift)
        scale, codes = np.float32((high - low) / (_CODES - 1)), np.arange(_CODES, dtype=np.float32)
        metres = codes * scale + np.float32(low)
        if self.use_log:
            metres = np.exp(metres) - np.float32(self.shift)
        metres = np.clip(metres, np.float32(self.depth_min), np.float32(self.depth_max))
        if unit == "m":
            return metres
        return np.clip(np.rint(metres * np.float32(_MM_PER_M)), 0, _MM_MAX)


def quantiser(key: str, feature: Feature) -> Quantiser:
    """The quantiser of a depth video, from what its `info` says.

    Raises:
        DataError: its parameters cannot be.
    """
    info = feature.info or {}
    names = [field.name for field in attrs.fields(Quantiser)]
    given: dict[str, Any] = {name: info[f"video.{name}"] for name in names if info.get(f"video.{name}") is not None}
    try:
        return Quantiser(**given)
    except (TypeError, ValueError) as error:
        raise DataError(f"depth camera '{key}' has impossible parameters in info.json: {error}") from error


def from_cell(data: bytes, feature: Feature, unit: Unit) -> np.ndarray:
    """Distances (H, W, 1) float32 of a TIFF cell.

    Raises:
        DataError: the bytes are no TIFF of a depth picture.
    """
    return in_unit(tiff.decode(data).astype(np.float32), feature, unit)[..., None]  # (H, W, 1)


def in_unit(values: np.ndarray, feature: Feature, unit: Unit) -> np.ndarray:
    """Stored distances in `unit`; as they are when nobody said what they are in."""
    stored = (feature.info or {}).get("depth_unit") or unit
    if stored == unit:
        return values
    return values * _MM_PER_M if stored == "m" else values / _MM_PER_M
