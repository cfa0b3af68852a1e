"""What the arrays of a demonstration are called here. *Pure.*"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lerobot_core.errors import FeatureError, did_you_mean
from lerobot_core.features import ACTION, DEFAULT_COLUMNS, ENV_STATE, IMAGES, STATE, Feature
from lerobot_datasets.robomimic.file import Kind

REWARD, DONE = "next.reward", "next.done"
_OBJECT = "obs/object"
_PICTURE_WORDS = ("_image", "_rgb")
_AXES = ("height", "width", "channels")

#: Our name → places of the arrays it is made of, in order.
Sources = dict[str, list[str]]


def sources(arrays: Mapping[str, Kind], given: Mapping[str, Sequence[str]]) -> Sources:
    """Where each feature comes from: as given, otherwise by the layout's own names.

    Raises:
        FeatureError: an array that is not there, or a name that the dataset itself adds.
    """
    for name, places in given.items():
        if name in DEFAULT_COLUMNS:
            raise FeatureError(f"feature '{name}' is added by the dataset itself", hint="choose another name")
        for place in places:
            if place not in arrays:
                raise FeatureError(
                    f"feature '{name}' needs the array '{place}'{did_you_mean(place, arrays)}",
                    hint=f"a demonstration holds {', '.join(arrays)}",
                )
    out: Sources = {STATE: _vectors(arrays)}
    if _OBJECT in arrays:
        out[ENV_STATE] = [_OBJECT]
    for place, kind in arrays.items():
        if place.startswith("obs/") and (is_picture(kind) or is_depth(kind)):
            out[IMAGES + _camera(place)] = [place]
    out |= {
        name: [place] for name, place in ((ACTION, "actions"), (REWARD, "rewards"), (DONE, "dones")) if place in arrays
    }
    out |= {name: list(places) for name, places in given.items()}
    return {name: places for name, places in out.items() if places}


def _vectors(arrays: Mapping[str, Kind]) -> list[str]:
    """Vectors and scalars of the robot under obs, in the order of the file."""
    return [
        place for place, kind in arrays.items()
        if place.startswith("obs/") and place != _OBJECT and len(kind.shape) <= 1
    ]  # fmt: skip


def _camera(place: str) -> str:
    name = place.removeprefix("obs/")
    return next((name.removesuffix(word) for word in _PICTURE_WORDS if name.endswith(word)), name)


def is_picture(kind: Kind) -> bool:
    """(H, W, 3) uint8."""
    return len(kind.shape) == 3 and kind.shape[2] == 3 and kind.dtype == np.uint8


def is_depth(kind: Kind) -> bool:
    """(H, W, 1) of distances."""
    return len(kind.shape) == 3 and kind.shape[2] == 1 and (kind.dtype == np.uint16 or kind.dtype.kind == "f")


def described(arrays: Mapping[str, Kind], made_of: Sources, names: Mapping[str, Sequence[str]]) -> dict[str, Feature]:
    """The features, without those that every dataset has.

    Raises:
        FeatureError: arrays that cannot be joined, or names that do not fit.
    """
    if unknown := [name for name in names if name not in made_of]:
        raise FeatureError(f"names of '{unknown[0]}', which is no feature{did_you_mean(unknown[0], made_of)}")
    return {key: _feature(key, {p: arrays[p] for p in places}, names.get(key)) for key, places in made_of.items()}


def _feature(key: str, parts: Mapping[str, Kind], names: Sequence[str] | None) -> Feature:
    first = next(iter(parts.values()))
    if len(parts) == 1 and (is_picture(first) or is_depth(first)):
        info = {"is_depth_map": is_depth(first)}
        if is_depth(first):
            info["depth_unit"] = "m" if first.dtype.kind == "f" else "mm"
        return Feature(dtype="video", shape=first.shape, names=list(_AXES), info=info)
    if len(parts) > 1 and any(len(kind.shape) > 1 for kind in parts.values()):
        raise FeatureError(
            f"'{key}' joins {', '.join(parts)}, of which not all are vectors", hint="name one array each"
        )
    shape = (
        first.shape or (1,)
        if len(parts) == 1
        else (sum(kind.shape[0] if kind.shape else 1 for kind in parts.values()),)
    )
    if names is not None and (len(shape) != 1 or len(names) != shape[0]):
        raise FeatureError(f"{len(names)} names for '{key}', which is {list(shape)}", hint="name each element, or none")
    if names is None and key in (STATE, ENV_STATE) and len(shape) == 1:
        names = [name for place, kind in parts.items() for name in _elements(place.removeprefix("obs/"), kind)]
    joined = np.dtype(bool) if key == DONE else np.result_type(*(kind.dtype for kind in parts.values()))
    dtype = "float32" if joined.kind == "f" else joined.name  # as policies compute
    return Feature(dtype=dtype, shape=shape, names=None if names is None else list(names))


def _elements(name: str, kind: Kind) -> list[str]:
    return [f"{name}.{i}" for i in range(kind.shape[0])] if kind.shape else [name]
