"""`lr dataset repair`: finishes what a killed recording left, offers its unfinished episodes back, and joins its small
files. Knows no torch."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from lerobot_datasets.edit import place
from lerobot_datasets.v3 import compact, journal, metadata, running
from lerobot_datasets.v3.committed import Committed
from lerobot_datasets.v3.running import Left


@click.command()
@click.argument("folder", metavar="PATH", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Commit the unfinished episodes.")
@click.option("--discard", is_flag=True, help="With --yes, throw the unfinished episodes away instead.")
def repair(folder: Path, yes: bool, discard: bool) -> None:
    """Show, and with --yes commit, the episodes that killed recordings left unfinished.

    PATH is a dataset's folder. An episode is committed as far as every camera's pictures go; what the encoders had not
    given out when the recording was killed is lost, and its number of frames is shown. The small files that a killed
    recording did not come to join are joined. What an edit in place left when it was killed is put in its place.
    """
    folder = folder.expanduser().absolute()
    if folder.parent.is_dir():
        place.recover(folder)
    metadata.read_info(folder)
    claim = journal.Claim(folder)
    try:
        journal.recover(folder)
        found = running.left(folder, metadata.read_info(folder))
        for i, left in enumerate(found, 1):
            click.echo(f"unfinished episode {i} of {len(found)}: {describe(left)}")
        if not found:
            click.echo("nothing is unfinished")
        elif not yes:
            click.echo(f"nothing done: --yes commits {_they(found)}, --discard --yes throws {_they(found)} away")
        elif discard:
            shutil.rmtree(folder / journal.LEFT)
            click.echo(f"{len(found)} thrown away")
        else:
            commit(folder, found)
        if fewer := compact.shown(folder, metadata.read_info(folder)):
            click.echo(f"{fewer} files joined into others")
    finally:
        claim.release()


def _they(found: list[Left]) -> str:
    return "it" if len(found) == 1 else "them"


def describe(left: Left) -> str:
    """How much of an episode is there, and what was lost."""
    cameras = "".join(f", {count} pictures of '{key}'" for key, count in left.pictures.items())
    return f"{left.rows} rows{cameras}; {left.length} frames can be committed, {left.rows - left.length} are lost"


def commit(folder: Path, found: list[Left]) -> None:
    """Commit the unfinished episodes that have frames, oldest first."""
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for left in progress.track(found, description="committing"):
            info = metadata.read_info(folder)
            if left.length:
                episode, encoder = running.restore(left, info)
                number = Committed(folder, info, encoder).add(episode)
                progress.console.print(f"committed as episode {number}")
            shutil.rmtree(left.folder)
