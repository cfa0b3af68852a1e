"""What the commands that edit share: kinds of options, and how a plan is shown or written with a bar. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lerobot_core.errors import DataError
from lerobot_datasets.edit import place
from lerobot_datasets.edit.execute import execute
from lerobot_datasets.edit.operations import CarryOut
from lerobot_datasets.edit.plan import Plan

source = click.argument("dataset", metavar="PATH_OR_REPO")
output_dir = click.option("--output_dir", type=Path, help="Folder of the new dataset.")
dry_run = click.option("--dry_run", is_flag=True, help="Show what would be written and stop.")
_in_place = click.option("--in_place", is_flag=True, help="Replace the dataset itself instead.")


def one_to_one(command: Callable[..., None]) -> Callable[..., None]:
    """A dataset in, a dataset out; the command takes `carry_out`, and where to as `output_dir` and `in_place`."""

    def called(dry_run: bool, **options: Any) -> None:
        command(carry_out=shown if dry_run else written, **options)

    called.__doc__, called.__name__ = command.__doc__, command.__name__
    called.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    return source(output_dir(_in_place(dry_run(called))))


class Episodes(click.ParamType):
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


class Pair(click.ParamType):
    """KEY=VALUE."""

    name = "pair"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        key, equals, text = str(value).partition("=")
        if not equals or not key or not text:
            self.fail(f"'{value}' has not the form {param.metavar if param else 'KEY=VALUE'}", param, ctx)
        return key, text


def given(value: Any, option: str) -> Any:
    """An option without which there is nothing to do. Asked for after the dataset is open: that may be the mistake."""
    if not value:
        raise click.UsageError(f"give {option}; see --help")
    return value


def shown(plan: Plan, output_dir: Path | None, in_place: bool) -> Path:
    """Show a plan."""
    click.echo("\n".join(plan.lines()))
    return output_dir or Path()


@contextmanager
def episodes_bar(what: str, total: int, done: int = 0) -> Iterator[Callable[[], None]]:
    """A bar on stderr; gives what says that one more episode is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("episodes"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, completed=done)
        yield lambda: bar.advance(task)


def written(plan: Plan, output_dir: Path | None, in_place: bool) -> Path:
    """Write a plan, with a bar."""
    if (output_dir is None) != in_place:
        raise click.UsageError("give --output_dir for the new dataset, or --in_place, and not both")
    target = plan.sources[0].root if output_dir is None else output_dir
    place.require_free(plan, target, in_place=in_place)
    if before := place.encoded(target):
        click.echo(f"going on with {before} videos that were encoded before", err=True)
    try:
        with episodes_bar(f"writing {target.name}", len(plan.pieces)) as advance:
            execute(plan, target, in_place=in_place, advance=advance)
    except (KeyboardInterrupt, DataError) as failure:
        if isinstance(failure, KeyboardInterrupt):
            kept = "the dataset is as it was" if in_place else f"nothing was left in '{target}'"
            click.echo(f"interrupted: {kept}", err=True)
        if done := place.encoded(target):
            where = place.encoded_of(target)
            click.echo(f"{done} encoded videos are kept in '{where}'; the same command goes on from there", err=True)
        raise
    click.echo(f"{target}: {len(plan.pieces)} episodes, {plan.frames} frames")
    return target


def to_a_folder(output_dir: Path | None, dry_run: bool) -> CarryOut:
    """What is done with a plan that never takes its source's place."""
    if not dry_run:
        given(output_dir, "--output_dir, the folder of the new dataset")
    return shown if dry_run else written
