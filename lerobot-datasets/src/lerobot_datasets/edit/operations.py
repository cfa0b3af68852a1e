"""Edits as functions, under the names users know: each opens the dataset, makes a plan and has it written. No torch.

A dataset is given by its folder, its `user/name`, or anything with a `root`. Every function takes

- `output_dir`: folder of the new dataset, and returns it; or
- `in_place`: the new dataset takes the place of the old one; and
- `carry_out`: what is done with the plan; writes it when not given. It may show it, or show a bar.

All raise DataError when the dataset cannot be read, an episode or feature does not exist, or the folder is taken; then
nothing is left behind but videos that were encoded anew: the same call goes on with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lerobot_core.errors import DataError
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.edit import place
from lerobot_datasets.edit import plan as plans
from lerobot_datasets.edit.execute import execute
from lerobot_datasets.edit.plan import Plan, Relative, Source
from lerobot_datasets.hub import locate
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v21 import convert as conversion

#: What is done with a plan, its folder, and whether that is the source's.
CarryOut = Callable[[Plan, "Path | None", bool], Path]


def opened(dataset: Any) -> Source:
    """The metadata of a dataset.

    Raises:
        DataError: no such dataset, or it cannot be read.
    """
    if isinstance(dataset, Source):
        return dataset
    folder = Path(dataset if isinstance(dataset, (str, Path)) else dataset.root).expanduser().absolute()
    if folder.name and folder.parent.is_dir():
        place.recover(folder)
    return Source.of(Reader(folder if folder.is_dir() else locate(str(dataset))))


def write(plan: Plan, output_dir: Path | None, in_place: bool = False) -> Path:
    """Write a plan's dataset; returns its folder.

    Raises:
        DataError: neither a folder nor `in_place` is given or both are, the folder is taken, or a source is incomplete.
    """
    if (output_dir is None) != in_place:
        raise DataError("the new dataset needs a place", hint="give output_dir, or in_place=True, and not both")
    target = plan.sources[0].root if output_dir is None else Path(output_dir)
    execute(plan, target, in_place=in_place)
    return target


# --- episodes ---------------------------------------------------------------------------------------------------------


def delete_episodes(
    dataset: Any, episode_indices: Iterable[int], output_dir: Path | None = None, *, in_place: bool = False,
    carry_out: CarryOut = write,
) -> Path:  # fmt: skip
    """All but these episodes; the others are numbered anew."""
    return carry_out(plans.delete(opened(dataset), episode_indices), output_dir, in_place)


def split(
    dataset: Any, splits: Mapping[str, float | Sequence[int]], output_dir: Path, *, carry_out: CarryOut = write
) -> dict[str, Path]:
    """A dataset per part, in a folder of its name.

    Args:
        dataset: the dataset.
        splits: name → a fraction of the episodes, or their numbers. Fractions take consecutive episodes in order, the
            last all that remain; one that comes to no episode is left out.
        output_dir: folder of the folders.
        carry_out: what is done with each plan.
    """
    found = plans.split(opened(dataset), splits)
    targets = {name: Path(output_dir) / name for name in found}
    for name, plan in found.items():
        place.require_free(plan, targets[name])
    return {name: carry_out(plan, targets[name], False) for name, plan in found.items()}


def trim(
    dataset: Any, drop_first: int = 0, drop_last: int = 0, episode_indices: Iterable[int] | None = None,
    output_dir: Path | None = None, *, in_place: bool = False, carry_out: CarryOut = write,
) -> Path:  # fmt: skip
    """Episodes without their first and last frames; all, or these."""
    plan = plans.trim(opened(dataset), drop_first, drop_last, episode_indices)
    return carry_out(plan, output_dir, in_place)


def merge(
    datasets: Iterable[Any], output_dir: Path | None = None, *, concatenate_videos: bool = True,
    concatenate_data: bool = True, carry_out: CarryOut = write,
) -> Path:  # fmt: skip
    """The episodes of several datasets of the same robot, rate and features.

    Args:
        datasets: in the order of their episodes.
        output_dir: folder of the new dataset.
        concatenate_videos: join videos while they fit in a file; else each stays a file of its own.
        concatenate_data: the same for tables.
        carry_out: what is done with the plan.
    """
    sources = [opened(dataset) for dataset in datasets]
    plan = plans.merge(sources, concatenate_videos=concatenate_videos, concatenate_data=concatenate_data)
    return carry_out(plan, output_dir, False)


def modify_tasks(
    dataset: Any, new_task: str | None = None, episode_tasks: Mapping[int, str] | None = None,
    task_replacements: Mapping[str, str] | None = None, output_dir: Path | None = None, *, in_place: bool = False,
    carry_out: CarryOut = write,
) -> Path:  # fmt: skip
    """Other task texts: that of an episode goes before a replacement, and this before `new_task` for all the rest."""
    plan = plans.retask(opened(dataset), new_task, episode_tasks, task_replacements)
    return carry_out(plan, output_dir, in_place)


# --- features and statistics ------------------------------------------------------------------------------------------


def modify_features(
    dataset: Any, add_features: Mapping[str, Any] | None = None, remove_features: str | Sequence[str] | None = None,
    output_dir: Path | None = None, *, in_place: bool = False, carry_out: CarryOut = write,
) -> Path:  # fmt: skip
    """Some features more and others less, in one pass.

    Args:
        dataset: the dataset.
        add_features: name → an array with a row per frame, or such an array and a description with `dtype`, `names`.
        remove_features: names of features; one that is added too gets the new values.
        output_dir: folder of the new dataset.
        in_place: it takes the place of the old one.
        carry_out: what is done with the plan.

    Raises:
        FeatureError: a feature cannot be stored.
    """
    remove = [remove_features] if isinstance(remove_features, str) else list(remove_features or ())
    added = {key: _values(given) for key, given in (add_features or {}).items()}
    return carry_out(plans.modify_features(opened(dataset), added, remove), output_dir, in_place)


def _values(given: Any) -> tuple[np.ndarray, Sequence[str] | None]:
    values, described = given if isinstance(given, tuple) else (given, None)
    described = described or {}
    array = np.asarray(values)
    if "dtype" in described and described["dtype"] != "string":
        array = array.astype(described["dtype"])
    return array, described.get("names")


def add_features(
    dataset: Any, features: Mapping[str, Any], output_dir: Path | None = None, *, in_place: bool = False,
    carry_out: CarryOut = write,
) -> Path:  # fmt: skip
    """Features more; see `modify_features`."""
    return modify_features(dataset, features, (), output_dir, in_place=in_place, carry_out=carry_out)


def remove_feature(
    dataset: Any, feature_names: str | Sequence[str], output_dir: Path | None = None, *, in_place: bool = False,
    carry_out: CarryOut = write,
) -> Path:  # fmt: skip
    """Features less; see `modify_features`."""
    return modify_features(dataset, None, feature_names, output_dir, in_place=in_place, carry_out=carry_out)


def recompute_stats(
    dataset: Any, output_dir: Path | None = None, *, skip_image_video: bool = True, relative_action: bool = False,
    relative_exclude_joints: Sequence[str] | None = None, chunk_size: int = 50, in_place: bool = False,
    carry_out: CarryOut = write,
) -> Path:  # fmt: skip
    """The same frames with statistics computed from them.

    Args:
        dataset: the dataset.
        output_dir: folder of the new dataset.
        skip_image_video: keep the statistics of the pictures, which would have to be decoded.
        relative_action: those of `action` become those of actions less the state at the first frame of each whole chunk.
        relative_exclude_joints: words in the names of joints whose actions stay absolute; `gripper` when not given.
        chunk_size: frames in a chunk.
        in_place: the new dataset takes the place of the old one.
        carry_out: what is done with the plan.
    """
    exclude = ("gripper",) if relative_exclude_joints is None else tuple(relative_exclude_joints)
    relative = Relative(exclude=exclude, chunk_size=chunk_size) if relative_action else None
    plan = plans.restate(opened(dataset), pictures=not skip_image_video, relative=relative)
    return carry_out(plan, output_dir, in_place)


# --- files ------------------------------------------------------------------------------------------------------------


def reencode(
    dataset: Any, rgb_encoder: EncoderConfig | None = None, output_dir: Path | None = None, *, in_place: bool = False,
    carry_out: CarryOut = write,
) -> Path:  # fmt: skip
    """Every video encoded again, a key frame at the beginning of each episode; depth without loss."""
    return carry_out(plans.reencode(opened(dataset), rgb_encoder or EncoderConfig()), output_dir, in_place)


def convert_image_to_video(
    dataset: Any, output_dir: Path | None = None, *, rgb_encoder: EncoderConfig | None = None,
    episode_indices: Iterable[int] | None = None, in_place: bool = False, carry_out: CarryOut = write,
) -> Path:  # fmt: skip
    """The images in the tables as videos; of these episodes, or of all."""
    plan = plans.to_video(opened(dataset), rgb_encoder or EncoderConfig(), episode_indices)
    return carry_out(plan, output_dir, in_place)


def convert(
    dataset: Any, output_dir: Path | None = None, *, data_files_size_in_mb: int = 100, video_files_size_in_mb: int = 200,
    carry_out: CarryOut = write,
) -> Path:  # fmt: skip
    """A dataset of v2.1 or v2.0 in the format v3.0, in files of these sizes [MiB]."""
    plan = conversion.plan(opened(dataset), data_files_size_in_mb, video_files_size_in_mb)
    return carry_out(plan, output_dir, False)
