"""Features: what arrays a part gives or needs, and the one function that checks every seam. *Pure.*

Three namings of the same thing exist in the ecosystem and are converted here and nowhere else:

- robot: `{"shoulder_pan.pos": float, "front": (480, 640, 3)}`, a flat dict of scalars and images;
- dataset: `observation.state`, `observation.images.front`, `action`, one vector or picture each;
- policy: `{"type": "STATE", "shape": [6]}`, pictures channel first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import numpy as np

from lerobot_core.errors import FeatureError, did_you_mean, few

STATE, ENV_STATE, ACTION = "observation.state", "observation.environment_state", "action"
IMAGES = "observation.images."
PICTURES = ("image", "video")

#: Columns every dataset has beside its own, in the order they are stored.
DEFAULT_COLUMNS = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}


def _sizes(shape: Iterable[int]) -> tuple[int, ...]:
    return tuple(shape)


@attrs.frozen(kw_only=True)
class Feature:
    """Shape, dtype, axis names and unit of one array.

    Attributes:
        dtype: a numpy dtype name, or `string`, `image`, `video`, `language`.
        shape: size of each axis; pictures are (H, W, C) at robots and in datasets.
        names: name of each element of a vector or of each axis of a picture; None when nobody named them.
        unit: unit of the values, as `deg` or `mm`; empty when unknown.
        info: what a dataset stores beside a picture (codec, depth flag); kept as it came.
    """

    dtype: str
    shape: tuple[int, ...] = attrs.field(converter=_sizes)
    names: Any = None
    unit: str = ""
    info: Mapping[str, Any] | None = None

    @property
    def is_picture(self) -> bool:
        return self.dtype in PICTURES

    @property
    def is_depth(self) -> bool:
        info = self.info or {}
        return bool(info.get("is_depth_map") or info.get("video.is_depth_map"))

    @property
    def channels_first(self) -> bool:
        """Whether the stored shape is (C, H, W): its third axis is then not named as the channels."""
        return bool(self.is_picture and self.names and not str(self.names[2]).startswith("channel"))

    @property
    def elements(self) -> list[str] | None:
        """Names of a vector's elements in order, from any way datasets write them: a list, {group: list}, {name: index}."""
        if not isinstance(self.names, Mapping):
            return None if self.names is None else list(self.names)
        if all(isinstance(index, int) for index in self.names.values()):
            return sorted(self.names, key=self.names.__getitem__)
        return [name for group in self.names.values() for name in group]

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


def of(value: Any) -> Feature:
    """The Feature behind a robot's shorthand: `float` is a scalar, (H, W, 3) a uint8 image, (H, W, 1) uint16 depth [mm].

    Raises:
        FeatureError: any other value.
    """
    if isinstance(value, Feature):
        return value
    if value is float:
        return Feature(dtype="float32", shape=())
    if isinstance(value, tuple) and len(value) == 3 and value[2] in (1, 3):
        depth = value[2] == 1
        return Feature(
            dtype="uint16" if depth else "uint8",
            shape=value,
            names=("height", "width", "channels"),
            unit="mm" if depth else "",
            info={"is_depth_map": depth},
        )
    raise FeatureError(
        f"a feature is float, (H, W, 3), (H, W, 1) or a Feature, got {value!r}",
        hint="correct observation_features or action_features of the device",
    )


def is_camera(feature: Feature) -> bool:
    """Whether a robot's feature is a picture: three axes with 1 or 3 channels last."""
    return len(feature.shape) == 3 and feature.shape[2] in (1, 3)


# --- robot → dataset --------------------------------------------------------------------------------------------------


def observation_features(robot: Mapping[str, Any], *, use_videos: bool = True) -> dict[str, Feature]:
    """Dataset features of a robot's observation: one state vector of all scalars in order, one picture per camera."""
    return _dataset_features(robot, STATE, use_videos)


def action_features(robot: Mapping[str, Any]) -> dict[str, Feature]:
    """Dataset feature of a robot's action: one vector of all scalars in order."""
    return _dataset_features(robot, ACTION, use_videos=True)


def _dataset_features(robot: Mapping[str, Any], vector: str, use_videos: bool) -> dict[str, Feature]:
    known = {name: of(value) for name, value in robot.items()}
    scalars = [name for name, feature in known.items() if feature.shape == ()]
    out: dict[str, Feature] = {}
    if scalars:
        out[vector] = Feature(dtype="float32", shape=(len(scalars),), names=scalars)
    for name, feature in known.items():
        if is_camera(feature):
            out[IMAGES + name] = attrs.evolve(
                feature, dtype="video" if use_videos else "image", names=["height", "width", "channels"]
            )
        elif feature.shape != ():
            key = name if name.startswith(("observation.", ACTION)) else f"{vector.split('.')[0]}.{name}"
            out[key] = feature
    return out


def frame(values: Mapping[str, Any], dataset: Mapping[str, Feature]) -> dict[str, np.ndarray]:
    """One dataset frame from robot values: scalars gathered into the vectors, pictures passed on without a copy.

    Args:
        values: robot names → scalars and pictures; an observation, an action or both with the vectors' names distinct.
        dataset: the features wanted; those with no value present are left out.

    Raises:
        FeatureError: a vector of which some elements are present and others are missing.
    """
    out: dict[str, np.ndarray] = {}
    for key, feature in dataset.items():
        if key in values:
            out[key] = np.asarray(values[key])
        elif feature.is_picture and key.removeprefix(IMAGES) in values:
            out[key] = np.asarray(values[key.removeprefix(IMAGES)])
        elif len(feature.shape) == 1 and any(name in values for name in feature.elements or ()):
            out[key] = gather(values, feature, key)
    return out


def gather(values: Mapping[str, Any], feature: Feature, key: str = "") -> np.ndarray:
    """Vector (N,) of the named scalars, in the feature's order.

    Raises:
        FeatureError: a name has no value.
    """
    try:
        return np.array([values[name] for name in feature.elements or ()], dtype=feature.dtype)
    except KeyError as missing:
        name = str(missing.args[0])
        raise FeatureError(
            f"'{key or 'vector'}' needs '{name}', found {', '.join(values) or 'nothing'}{did_you_mean(name, values)}",
            hint="the device and the dataset or policy describe different joints",
        ) from None


def scatter(vector: np.ndarray, names: Any) -> dict[str, float]:
    """Robot values from a vector (N,): the inverse of `gather`.

    Raises:
        FeatureError: the vector's size is not the number of names.
    """
    if len(vector) != len(names):
        raise FeatureError(f"{len(names)} names ({', '.join(names)}) for a vector of {len(vector)}")
    return {name: float(value) for name, value in zip(names, vector, strict=True)}


# --- dataset → policy -------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class PolicyFeature:
    """A feature as policies and checkpoints write it.

    Attributes:
        type: STATE, VISUAL, ENV, ACTION, REWARD or LANGUAGE.
        shape: size of each axis; VISUAL is (C, H, W).
    """

    type: str
    shape: tuple[int, ...] = attrs.field(converter=_sizes)

    def __str__(self) -> str:
        return f"{self.type}{list(self.shape)}"


def policy_features(dataset: Mapping[str, Feature]) -> dict[str, PolicyFeature]:
    """Policy features of a dataset's: what has no place in a policy (indices, rewards, strings) is left out."""
    out: dict[str, PolicyFeature] = {}
    for key, feature in dataset.items():
        if key in DEFAULT_COLUMNS or feature.dtype in ("string", "language"):
            continue
        if feature.is_picture:
            shape = feature.shape if feature.channels_first else (feature.shape[2], *feature.shape[:2])
            out[key] = PolicyFeature(type="VISUAL", shape=shape)
        elif key == ENV_STATE:
            out[key] = PolicyFeature(type="ENV", shape=feature.shape)
        elif key.startswith("observation"):
            out[key] = PolicyFeature(type="STATE", shape=feature.shape)
        elif key.startswith(ACTION):
            out[key] = PolicyFeature(type="ACTION", shape=feature.shape)
    return out


# --- dataset ↔ info.json ----------------------------------------------------------------------------------------------


def to_info(feature: Feature) -> dict[str, Any]:
    """The object stored under `features` in a dataset's info.json."""
    names = list(feature.names) if isinstance(feature.names, tuple) else feature.names
    out: dict[str, Any] = {"dtype": feature.dtype, "shape": list(feature.shape), "names": names}
    if feature.info is not None:
        out["info"] = dict(feature.info)
    return out


def from_info(data: Mapping[str, Any]) -> Feature:
    """The Feature of an object under `features` in a dataset's info.json; legacy `video_info` is folded into `info`."""
    info = data.get("info") or data.get("video_info")
    return Feature(dtype=data["dtype"], shape=data["shape"], names=data.get("names"), info=info)


# --- the seam ---------------------------------------------------------------------------------------------------------


def rename(features: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The same features under other names; keys that `names` does not mention keep theirs."""
    return {names.get(key, key): value for key, value in features.items()}


OTHER_FEATURES = "use --rename_map={found: needed}, other cameras, or a policy trained on these features"


def match(
    have: Mapping[str, Any],
    need: Mapping[str, Any],
    names: Mapping[str, str] | None = None,
    *,
    what: str = "input",
    hint: str = OTHER_FEATURES,
) -> dict[str, str]:
    """Check one seam: every feature needed is there with the same shape (and type and unit, where both say one).

    Args:
        have: what the giving side offers, under its own names; values carry a `shape` and maybe a `type`.
        need: what the taking side requires.
        names: have-name → need-name, where they differ.
        what: what the features are, for the message.
        hint: what the user can do about it.

    Returns:
        need-name → have-name for every feature needed.

    Raises:
        FeatureError: lists everything missing or different at once.
    """
    names = names or {}
    renamed = {names.get(key, key): key for key in have}
    problems = [f"rename of '{key}': no such feature{did_you_mean(key, have)}" for key in names if key not in have]
    twice = [key for key in have if renamed[names.get(key, key)] != key]
    problems += [f"'{names.get(key, key)}' is there twice once '{key}' is renamed" for key in twice]
    missing: list[str] = []
    for key, wanted in need.items():
        if key not in renamed:
            missing.append(f"'{key}' {wanted} is missing{did_you_mean(key, renamed)}")
            continue
        found = have[renamed[key]]
        type_differs = getattr(found, "type", None) != getattr(wanted, "type", None) and hasattr(found, "type")
        unit, other = getattr(wanted, "unit", ""), getattr(found, "unit", "")
        if tuple(found.shape) != tuple(wanted.shape) or (type_differs and hasattr(wanted, "type")):
            problems.append(f"'{key}' is {found}, needed is {wanted}")
        elif unit and other and unit != other:
            problems.append(f"'{key}' is in {other}, needed is {unit}")
    if problems := problems + missing:
        raise FeatureError(
            f"{what} does not fit: {few(problems, 3, '; ')} (found: {few(have, 6) or 'nothing'})", hint=hint
        )
    return {key: renamed[key] for key in need}
