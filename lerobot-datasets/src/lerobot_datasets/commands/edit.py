"""`lr dataset delete|split|merge|tasks|trim|remove-feature|add-feature|stats|convert`: new datasets out of old. No torch.

Each command makes a plan and has it written, or with `--dry_run` shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lerobot_core.errors import DataError
from lerobot_datasets.edit import plan as plans
from lerobot_datasets.edit.execute import execute
from lerobot_datasets.edit.place import require_free
from lerobot_datasets.edit.plan import Plan, Source
from lerobot_datasets.hub import locate
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v21 import convert as conversion

_source = click.argument("dataset", metavar="PATH_OR_REPO")
_output_dir = click.option("--output_dir", type=Path, help="Folder of the new dataset.")
_in_place = click.option("--in_place", is_flag=True, help="Replace the dataset itself instead.")
_dry_run = click.option("--dry_run", is_flag=True, help="Show what would be written and stop.")


def _one_to_one(command: Callable[..., None]) -> Callable[..., None]:
    """A dataset in, a dataset out."""
    return _source(_output_dir(_in_place(_dry_run(command))))


class _Episodes(click.ParamType):
    """Numbers of episodes, as 0,3-5."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        out: list[int] = []
        for part in str(value).split(","):
            first, dash, last = part.strip().partition("-")
            if not first.isdigit() or (dash and not last.isdigit()) or (dash and int(last) < int(first)):
                self.fail(f"'{part}' is not an episode or a range of them, as 3 or 3-5", param, ctx)
            out += range(int(first), int(last or first) + 1)
        return out


class _Pair(click.ParamType):
    """KEY=VALUE."""

    name = "pair"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        key, equals, text = str(value).partition("=")
        if not equals or not key or not text:
            self.fail(f"'{value}' has not the form {param.metavar if param else 'KEY=VALUE'}", param, ctx)
        return key, text


def _opened(dataset: str) -> Source:
    """A dataset's folder, or its user/name."""
    folder = Path(dataset).expanduser()
    return Source.of(Reader(folder if folder.is_dir() else locate(dataset)))


def _given(value: Any, option: str) -> Any:
    """An option without which there is nothing to do. Asked for after the dataset is open: that may be the mistake."""
    if not value:
        raise click.UsageError(f"give {option}; see --help")
    return value


def _carry_out(plan: Plan, output_dir: Path | None, in_place: bool, dry_run: bool) -> None:
    """Write one plan, or show it."""
    if not dry_run and (output_dir is None) != in_place:
        raise click.UsageError("give --output_dir for the new dataset, or --in_place, and not both")
    target = plan.sources[0].root if in_place else output_dir
    if dry_run or target is None:
        click.echo("\n".join(plan.lines()))
    else:
        _write({target: plan}, in_place=in_place)


def _write(jobs: Mapping[Path, Plan], *, in_place: bool = False) -> None:
    """Write plans to their folders, with a bar."""
    for target, plan in jobs.items():
        require_free(plan, target, in_place=in_place)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("episodes"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bar:
        for target, plan in jobs.items():
            task = bar.add_task(f"writing {target.name}", total=len(plan.pieces))
            execute(plan, target, in_place=in_place, advance=lambda task=task: bar.advance(task))  # type: ignore[misc]
    for target, plan in jobs.items():
        click.echo(f"{target}: {len(plan.pieces)} episodes, {plan.frames} frames")


@click.command()
@_one_to_one
@click.option("--episodes", type=_Episodes(), help="Which to leave out, as 0,3-5.")
def delete(dataset: str, episodes: list[int] | None, **where: Any) -> None:
    """Write a dataset without some of its episodes; the others are numbered anew."""
    source = _opened(dataset)
    _carry_out(plans.delete(source, _given(episodes, "--episodes")), **where)


@click.command()
@_source
@click.option(
    "--part", "parts", type=_Pair(), multiple=True, metavar="NAME=SHARE",
    help="A part's name and its share: a fraction as train=0.8, or episodes as val=0,3-5. Repeat it for each part.",
)  # fmt: skip
@click.option("--output_dir", type=Path, help="Folder in which each part gets a folder of its name.")
@_dry_run
def split(dataset: str, parts: tuple[tuple[str, str], ...], output_dir: Path | None, dry_run: bool) -> None:
    """Write parts of a dataset as datasets of their own.

    Fractions take consecutive episodes in order, and the last of them all that remain.
    """
    source = _opened(dataset)
    names = [name for name, _ in _given(parts, "--part")]
    if not dry_run:
        _given(output_dir, "--output_dir, the folder the parts go to")
    if len(set(names)) < len(names) or any(Path(name).name != name for name in names):
        raise click.UsageError(f"names of parts are different names of folders, got {', '.join(names)}")
    found = plans.split(source, {name: _share(text) for name, text in parts})
    for name in names:
        if name not in found:
            click.echo(f"warning: part '{name}' comes to no episode and is left out", err=True)
    if dry_run or output_dir is None:
        for name, plan in found.items():
            click.echo("\n".join([f"part '{name}'", *(f"  {line}" for line in plan.lines())]))
    else:
        _write({output_dir / name: plan for name, plan in found.items()})


def _share(text: str) -> float | list[int]:
    """A fraction has a point; anything else is a list of episodes."""
    try:
        return float(text) if "." in text else _Episodes().convert(text, None, None)
    except ValueError:
        raise click.UsageError(f"'{text}' is not a fraction, as 0.8, nor episodes, as 0,3-5") from None


@click.command()
@click.argument("datasets", metavar="PATH_OR_REPO...", nargs=-1, required=True)
@_output_dir
@_dry_run
def merge(datasets: tuple[str, ...], output_dir: Path | None, dry_run: bool) -> None:
    """Write one dataset with the episodes of several, which must be of the same robot, rate and features."""
    _carry_out(plans.merge([_opened(dataset) for dataset in datasets]), output_dir, False, dry_run)


@click.command()
@_one_to_one
@click.option("--new_task", help="Text for every episode that no other option speaks of.")
@click.option(
    "--episode_task", type=_Pair(), multiple=True, metavar="EPISODES=TEXT",
    help="Text for these episodes, as '0,3-5=fold the towel'. May be repeated.",
)  # fmt: skip
@click.option(
    "--replace", type=_Pair(), multiple=True, metavar="OLD=NEW",
    help="Text that takes the place of a text. May be repeated.",
)  # fmt: skip
def tasks(
    dataset: str,
    new_task: str | None,
    episode_task: tuple[tuple[str, str], ...],
    replace: tuple[tuple[str, str], ...],
    **where: Any,
) -> None:
    """Write a dataset with other task texts."""
    episodes = {n: text for given, text in episode_task for n in _Episodes().convert(given, None, None)}
    _carry_out(plans.retask(_opened(dataset), new_task, episodes, dict(replace)), **where)


@click.command()
@_one_to_one
@click.option("--drop_first", type=click.IntRange(min=0), default=0, help="Frames to cut off at the beginning.")
@click.option("--drop_last", type=click.IntRange(min=0), default=0, help="Frames to cut off at the end.")
@click.option("--episodes", type=_Episodes(), help="Which episodes, as 0,3-5; all when not given.")
def trim(dataset: str, drop_first: int, drop_last: int, episodes: list[int] | None, **where: Any) -> None:
    """Write a dataset without the first or last frames of its episodes.

    Where a video is cut elsewhere than at a key frame, the frames up to the next one are encoded again.
    """
    _carry_out(plans.trim(_opened(dataset), drop_first, drop_last, episodes), **where)


@click.command()
@_one_to_one
@click.option("--feature", "features", multiple=True, help="Name of the feature. May be repeated.")
def remove_feature(dataset: str, features: tuple[str, ...], **where: Any) -> None:
    """Write a dataset without some of its features."""
    source = _opened(dataset)
    _carry_out(plans.remove_features(source, _given(features, "--feature")), **where)


@click.command()
@_one_to_one
@click.option("--feature", help="Name of the new feature.")
@click.option(
    "--values", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of a numpy array (.npy) with one row per frame; its dtype becomes the feature's.",
)  # fmt: skip
@click.option("--names", help="Names of the elements of a row, as a,b,c.")
def add_feature(dataset: str, feature: str | None, values: Path | None, names: str | None, **where: Any) -> None:
    """Write a dataset with a feature more, from a file of values."""
    source = _opened(dataset)
    file = _given(values, "--values")
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise DataError(f"'{file}' is not a numpy array: {error}", path=file, hint="write it with np.save") from error
    elements = names.split(",") if names else None
    _carry_out(plans.add_feature(source, _given(feature, "--feature"), array, elements), **where)


@click.command()
@_one_to_one
@click.option("--pictures", is_flag=True, help="Also those of the cameras, which takes decoding them.")
def stats(dataset: str, pictures: bool, **where: Any) -> None:
    """Write a dataset with its statistics computed anew from the frames."""
    _carry_out(plans.restate(_opened(dataset), pictures=pictures), **where)


@click.command()
@_source
@_output_dir
@click.option(
    "--data_files_size_in_mb", type=click.IntRange(min=1), default=100, show_default=True,
    help="Size at which a table file is closed [MiB].",
)  # fmt: skip
@click.option(
    "--video_files_size_in_mb", type=click.IntRange(min=1), default=200, show_default=True,
    help="Size at which a video file is closed [MiB].",
)  # fmt: skip
@_dry_run
def convert(dataset: str, output_dir: Path | None, dry_run: bool, **sizes: int) -> None:
    """Write a dataset of v2.1 or v2.0 in the format v3.0.

    Videos are copied as they are. The dataset itself stays; v2.x is read where it is, too.
    """
    plan = conversion.plan(_opened(dataset), **sizes)
    if not dry_run:
        _given(output_dir, "--output_dir, the folder of the new dataset")
    _carry_out(plan, output_dir, False, dry_run)
