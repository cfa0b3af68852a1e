"""`lr dataset import`: episodes of any dataset backend, recorded anew in the format v3.0. Knows no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import click
import numpy as np

from lerobot_core.cli import config_command
from lerobot_core.config import rest
from lerobot_core.errors import DataError
from lerobot_core.features import DEFAULT_COLUMNS, Feature
from lerobot_core.registry import Choice
from lerobot_core.roles import DatasetBackend
from lerobot_datasets.commands.editing import episodes_bar
from lerobot_datasets.config import EncoderConfig, VideoCodec
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.writer import Writer


@attrs.frozen(kw_only=True)
class ImportSource:
    """The dataset to import.

    Attributes:
        episodes: which of its episodes; all when not set.
        backend: its format.
    """

    episodes: list[int] | None = None
    backend: Choice[DatasetBackend] = rest()


@attrs.frozen(kw_only=True)
class ImportConfig:
    """Options of `lr dataset import`.

    Attributes:
        dataset: what is imported.
        output_dir: folder of the new dataset.
        video: store pictures as video; otherwise as single images in the tables.
        vcodec: video encoder.
        resume: go on with an import that was interrupted.
    """

    dataset: ImportSource
    output_dir: Path
    video: bool = True
    vcodec: VideoCodec = "libsvtav1"
    resume: bool = False


@config_command(ImportConfig)
def import_(config: ImportConfig) -> None:
    """Write a dataset of another format as v3.0, an episode after the other.

    lr dataset import --dataset.type=robomimic --dataset.file=lift.hdf5 --output_dir=lift

    Interrupted, it leaves a whole dataset of the episodes done; the same with --resume=true goes on with the next.
    """
    reader = _opened(config.dataset)
    writer = _writer(config, reader)
    try:
        what = f"importing to {config.output_dir.name}"
        with episodes_bar(what, reader.num_episodes, writer.num_episodes) as advance:
            transcribe(reader, writer, advance)
    finally:
        writer.finalize()
        click.echo(f"{config.output_dir}: {writer.num_episodes} of {reader.num_episodes} episodes")


def _opened(source: ImportSource) -> Any:
    """A reader whose episodes say their number, length and tasks."""
    options = source.backend.config
    if any(field.name == "depth_output_unit" for field in attrs.fields(type(options))):
        options = attrs.evolve(options, depth_output_unit="mm")
    reader = attrs.evolve(source.backend, config=options).build().open(source.episodes)
    rows = list(reader.episodes)
    if not hasattr(reader, "tasks") or not all(
        isinstance(row, Mapping) and {"episode_index", "length"} <= {*row} for row in rows
    ):
        raise DataError(
            f"datasets of type '{source.backend.type}' cannot be imported: their readers do not say the tasks and lengths",
            hint="its author gives the reader `tasks`, and each of `episodes` an `episode_index` and a `length`",
        )
    return reader


_MILLIMETRES = {"is_depth_map": True, "depth_unit": "mm"}


def _writer(config: ImportConfig, reader: Any) -> Writer:
    """A new dataset, or the one begun, for what the reader has."""
    stored_as = "video" if config.video else "image"
    features = {
        key: attrs.evolve(feature, dtype=stored_as, info=_MILLIMETRES if feature.is_depth else None)
        if feature.is_picture
        else feature
        for key, feature in reader.features.items()
        if key not in DEFAULT_COLUMNS
    }
    encoder = EncoderConfig(vcodec=config.vcodec, when_full="wait")
    robot, folder = getattr(reader, "robot_type", None), config.output_dir.expanduser()
    if not config.resume:
        return Writer.create(folder, features, reader.fps, robot_type=robot, encoder=encoder)
    writer = Writer.resume(folder, encoder=encoder)
    try:
        writer.require(features, reader.fps, robot)
        _require_begun(writer, reader)
    except DataError:
        writer.finalize()
        raise
    return writer


def _require_begun(writer: Writer, reader: Any) -> None:
    """That what is there are the reader's first episodes, by their lengths."""
    there = [int(length) for length in Reader(writer.root).all_episodes["length"]]
    here = [int(row["length"]) for row in reader.episodes]
    if there != here[: len(there)]:
        raise DataError(
            f"'{writer.root}' does not hold the first episodes of this dataset",
            path=writer.root,
            hint="give the options of the import that was interrupted, or another --output_dir",
        )


def transcribe(reader: Any, writer: Writer, advance: Callable[[], None] = lambda: None) -> None:
    """Record a reader's episodes, but for as many as the writer has; each is whole on the disk before the next begins."""
    own = {key: feature for key, feature in writer.features.items() if key not in DEFAULT_COLUMNS}
    for row in list(reader.episodes)[writer.num_episodes :]:
        columns = reader.columns(row["episode_index"])
        films = {key: iter(reader.frames(row["episode_index"], key)) for key, f in own.items() if f.is_picture}
        for i, task in enumerate(columns["task_index"]):
            frame = {key: _value(next(films[key]) if key in films else columns[key][i], f) for key, f in own.items()}
            writer.add(frame, task=reader.tasks[int(task)])
        writer.save_episode()
        advance()


def _value(value: Any, feature: Feature) -> Any:
    if feature.dtype in ("string", "language"):
        return value
    if feature.is_picture:
        return np.rint(value).astype(np.uint16) if feature.is_depth else value
    return np.asarray(value, feature.dtype).reshape(feature.shape)
