"""`lr dataset delete|split|merge|tasks|trim|convert`: datasets with other episodes, texts or files. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lerobot_datasets.commands import editing
from lerobot_datasets.commands.editing import Episodes, Pair, given, one_to_one
from lerobot_datasets.edit import operations
from lerobot_datasets.edit.plan import Plan


@click.command()
@one_to_one
@click.option("--episodes", type=Episodes(), help="Which to leave out, as 0,3-5.")
def delete(dataset: str, episodes: list[int] | None, **where: Any) -> None:
    """Write a dataset without some of its episodes; the others are numbered anew."""
    source = operations.opened(dataset)
    operations.delete_episodes(source, given(episodes, "--episodes"), **where)


@click.command()
@editing.source
@click.option(
    "--part", "parts", type=Pair(), multiple=True, metavar="NAME=SHARE",
    help="A part's name and its share: a fraction as train=0.8, or episodes as val=0,3-5. Repeat it for each part.",
)  # fmt: skip
@click.option("--output_dir", type=Path, help="Folder in which each part gets a folder of its name.")
@editing.dry_run
def split(dataset: str, parts: tuple[tuple[str, str], ...], output_dir: Path | None, dry_run: bool) -> None:
    """Write parts of a dataset as datasets of their own.

    Fractions take consecutive episodes in order, and the last of them all that remain.
    """
    source = operations.opened(dataset)
    names = [name for name, _ in given(parts, "--part")]
    if not dry_run:
        given(output_dir, "--output_dir, the folder the parts go to")
    if len(set(names)) < len(names) or any(Path(name).name != name for name in names):
        raise click.UsageError(f"names of parts are different names of folders, got {', '.join(names)}")
    shares = {name: _share(text) for name, text in parts}
    carry_out = _part if dry_run else editing.written
    found = operations.split(source, shares, output_dir or Path(), carry_out=carry_out)
    for name in names:
        if name not in found:
            click.echo(f"warning: part '{name}' comes to no episode and is left out", err=True)


def _part(plan: Plan, output_dir: Path | None, in_place: bool) -> Path:
    """Show the plan of a part."""
    folder = output_dir or Path()
    click.echo("\n".join([f"part '{folder.name}'", *(f"  {line}" for line in plan.lines())]))
    return folder


def _share(text: str) -> float | list[int]:
    """A fraction has a point; anything else is a list of episodes."""
    try:
        return float(text) if "." in text else Episodes().convert(text, None, None)
    except ValueError:
        raise click.UsageError(f"'{text}' is not a fraction, as 0.8, nor episodes, as 0,3-5") from None


@click.command()
@click.argument("datasets", metavar="PATH_OR_REPO...", nargs=-1, required=True)
@editing.output_dir
@click.option(
    "--concatenate_videos", type=bool, default=True, show_default=True,
    help="Join videos while they fit in a file; else each stays a file of its own.",
)  # fmt: skip
@click.option("--concatenate_data", type=bool, default=True, show_default=True, help="The same for tables.")
@editing.dry_run
def merge(datasets: tuple[str, ...], output_dir: Path | None, dry_run: bool, **together: bool) -> None:
    """Write one dataset with the episodes of several, which must be of the same robot, rate and features."""
    operations.merge(datasets, output_dir, carry_out=editing.shown if dry_run else editing.written, **together)


@click.command()
@one_to_one
@click.option("--new_task", help="Text for every episode that no other option speaks of.")
@click.option(
    "--episode_task", type=Pair(), multiple=True, metavar="EPISODES=TEXT",
    help="Text for these episodes, as '0,3-5=fold the towel'. May be repeated.",
)  # fmt: skip
@click.option(
    "--replace", type=Pair(), multiple=True, metavar="OLD=NEW",
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
    episodes = {n: text for numbers, text in episode_task for n in Episodes().convert(numbers, None, None)}
    operations.modify_tasks(dataset, new_task, episodes, dict(replace), **where)


@click.command()
@one_to_one
@click.option("--drop_first", type=click.IntRange(min=0), default=0, help="Frames to cut off at the beginning.")
@click.option("--drop_last", type=click.IntRange(min=0), default=0, help="Frames to cut off at the end.")
@click.option("--episodes", type=Episodes(), help="Which episodes, as 0,3-5; all when not given.")
def trim(dataset: str, drop_first: int, drop_last: int, episodes: list[int] | None, **where: Any) -> None:
    """Write a dataset without the first or last frames of its episodes.

    Where a video is cut elsewhere than at a key frame, the frames up to the next one are encoded again.
    """
    operations.trim(dataset, drop_first, drop_last, episodes, **where)


@click.command()
@editing.source
@editing.output_dir
@click.option(
    "--data_files_size_in_mb", type=click.IntRange(min=1), default=100, show_default=True,
    help="Size at which a table file is closed [MiB].",
)  # fmt: skip
@click.option(
    "--video_files_size_in_mb", type=click.IntRange(min=1), default=200, show_default=True,
    help="Size at which a video file is closed [MiB].",
)  # fmt: skip
@editing.dry_run
def convert(dataset: str, output_dir: Path | None, dry_run: bool, **sizes: int) -> None:
    """Write a dataset of v2.1 or v2.0 in the format v3.0.

    Videos are copied as they are. The dataset itself stays; v2.x is read where it is, too.
    """
    source = operations.opened(dataset)
    operations.convert(source, output_dir, carry_out=editing.to_a_folder(output_dir, dry_run), **sizes)
