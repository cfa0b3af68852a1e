"""`lr dataset remove-feature|add-feature|stats|reencode|to-video`: datasets with other columns, statistics or videos.

No torch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np

from lerobot_core.errors import DataError
from lerobot_datasets.commands.editing import Episodes, given, one_to_one
from lerobot_datasets.commands.push import words
from lerobot_datasets.config import EncoderConfig, VideoCodec
from lerobot_datasets.edit import operations


@click.command()
@one_to_one
@click.option("--feature", "features", multiple=True, help="Name of the feature. May be repeated.")
def remove_feature(dataset: str, features: tuple[str, ...], **where: Any) -> None:
    """Write a dataset without some of its features."""
    source = operations.opened(dataset)
    operations.remove_feature(source, given(features, "--feature"), **where)


@click.command()
@one_to_one
@click.option("--feature", help="Name of the new feature.")
@click.option(
    "--values", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of a numpy array (.npy) with one row per frame; its dtype becomes the feature's.",
)  # fmt: skip
@click.option("--names", help="Names of the elements of a row, as a,b,c.")
def add_feature(dataset: str, feature: str | None, values: Path | None, names: str | None, **where: Any) -> None:
    """Write a dataset with a feature more, from a file of values."""
    source = operations.opened(dataset)
    file = given(values, "--values")
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise DataError(f"'{file}' is not a numpy array: {error}", path=file, hint="write it with np.save") from error
    described = {"names": names.split(",")} if names else None
    operations.add_features(source, {given(feature, "--feature"): (array, described)}, **where)


@click.command()
@one_to_one
@click.option("--pictures", is_flag=True, help="Also those of the cameras, which takes decoding them.")
@click.option(
    "--relative_action", is_flag=True,
    help="Those of the actions become those of actions less the state at the first frame of a chunk.",
)  # fmt: skip
@click.option(
    "--relative_exclude_joints", default="gripper", show_default=True, callback=words,
    help="Joints whose actions stay absolute, by words in their names, with commas between.",
)  # fmt: skip
@click.option("--chunk_size", type=click.IntRange(min=1), default=50, show_default=True, help="Frames in a chunk.")
def stats(dataset: str, pictures: bool, **options: Any) -> None:
    """Write a dataset with its statistics computed anew from the frames."""
    operations.recompute_stats(dataset, skip_image_video=not pictures, **options)


def _encoder(command: Callable[..., None]) -> Callable[..., None]:
    """Options of an encoder, under the names of the configuration."""
    default = EncoderConfig()
    for option in (
        click.option("--vcodec", type=click.Choice(get_args(VideoCodec)), default=default.vcodec, show_default=True,
                     help="Encoder."),
        click.option("--g", type=click.IntRange(min=1), default=default.g, show_default=True,
                     help="Frames from one key frame to the next."),
        click.option("--crf", type=int, default=default.crf, show_default=True, help="Quality, lower is better."),
        click.option("--preset", help="Speed preset of the encoder; 12 for libsvtav1 when not given."),
        click.option("--pix_fmt", default=default.pix_fmt, show_default=True, help="Pixel format."),
        click.option("--fast_decode", type=click.IntRange(0, 2), default=0, show_default=True,
                     help="How much the encoder favours fast decoding."),
    ):  # fmt: skip
        command = option(command)
    return command


def _encoding(options: dict[str, Any]) -> EncoderConfig:
    """The encoder of a command's options, which are taken out."""
    names = ("vcodec", "g", "crf", "preset", "pix_fmt", "fast_decode")
    return EncoderConfig(**{name: options.pop(name) for name in names})


@click.command()
@one_to_one
@_encoder
def reencode(dataset: str, **options: Any) -> None:
    """Write a dataset with its videos encoded again.

    Each episode begins with a key frame, so that it can be cut out later without loss. Depth stays without loss.
    """
    encoder = _encoding(options)
    operations.reencode(dataset, encoder, **options)


@click.command()
@one_to_one
@_encoder
@click.option("--episodes", type=Episodes(), help="Which episodes the new dataset has, as 0,3-5; all when not given.")
def to_video(dataset: str, episodes: list[int] | None, **options: Any) -> None:
    """Write a dataset with the images in its tables as videos; depth as depth videos."""
    encoder = _encoding(options)
    operations.convert_image_to_video(dataset, rgb_encoder=encoder, episode_indices=episodes, **options)
