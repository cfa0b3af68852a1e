"""What a frame must be to enter a dataset: the features that can be recorded, and the check of each frame. *Pure.*"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lerobot_core.errors import DataError, did_you_mean
from lerobot_core.features import DEFAULT_COLUMNS, Feature
from lerobot_datasets import columns
from lerobot_datasets.v3 import language, metadata


def complete(features: Mapping[str, Feature]) -> dict[str, Feature]:
    """The features with the default columns behind them.

    Raises:
        DataError: a default column is named.
        FeatureError: a feature cannot be stored.
    """
    for key, feature in features.items():
        columns.check(key, feature)
        if key in DEFAULT_COLUMNS:
            raise DataError(f"feature '{key}' is added by the dataset itself", hint="leave it out")
    return dict(features) | metadata.DEFAULT_FEATURES


def checked(frame: Mapping[str, Any], features: Mapping[str, Feature]) -> dict[str, Any]:
    """The frame's values as they will be stored; refuses before anything is kept.

    Raises:
        DataError: a key is missing, unknown, or holds the wrong dtype or shape.
    """
    wanted = [key for key in features if key not in DEFAULT_COLUMNS]
    missing = [key for key in wanted if key not in frame]
    extra = [key for key in frame if key not in wanted]
    if missing or extra:
        near = did_you_mean(extra[0], wanted) if extra else ""
        raise DataError(
            f"the frame lacks {missing or 'nothing'} and has {extra or 'nothing'} beside the features{near}",
            hint="give exactly the dataset's features; default columns and the task are added",
        )
    return {key: _value(key, features[key], frame[key]) for key in wanted}


def _value(key: str, feature: Feature, value: Any) -> Any:
    if feature.dtype == "string":
        if not isinstance(value, str):
            raise DataError(f"'{key}' is a string, got {type(value).__name__}")
        return value
    if feature.dtype == "language":
        return language.checked(key, value)
    array = np.asarray(value)
    if feature.is_depth:
        return _depth(key, feature, array)
    if feature.is_picture:
        return _picture(key, feature, array)
    if array.shape == () and feature.shape == (1,):
        array = array.reshape(1)
    if array.dtype != np.dtype(feature.dtype) or array.shape != tuple(feature.shape):
        raise DataError(
            f"'{key}' is {feature}, got {array.dtype}{list(array.shape)}", hint="convert the value before adding it"
        )
    return array.copy()


def _depth(key: str, feature: Feature, array: np.ndarray) -> np.ndarray:
    """(H, W, 1) uint16 or float32 distances of a depth camera."""
    height, width, _ = shape = tuple(feature.shape)
    if array.shape not in (shape, (height, width), (1, height, width)):
        raise DataError(f"depth picture '{key}' is {list(shape)}, got {list(array.shape)}")
    if array.dtype not in (np.uint16, np.float32):
        raise DataError(f"depth picture '{key}' is uint16 [mm] or float32 [m], got {array.dtype}")
    return array.reshape(shape)


def _picture(key: str, feature: Feature, array: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of a picture in either order of axes."""
    shape = tuple(feature.shape)
    last = (shape[1], shape[2], shape[0]) if feature.channels_first else shape  # (H, W, C)
    if array.shape == (last[2], last[0], last[1]) and array.shape != last:
        array = array.transpose(1, 2, 0)
    if array.shape != last:
        raise DataError(f"picture '{key}' is {list(last)}, got {list(array.shape)}")
    if array.dtype == np.uint8:
        return array
    if np.issubdtype(array.dtype, np.floating) and array.min() >= 0 and array.max() <= 1:
        return (array * 255).astype(np.uint8)
    raise DataError(f"picture '{key}' is uint8, or floats in [0, 1]; got {array.dtype} up to {array.max()}")
