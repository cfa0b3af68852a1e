"""`lr dataset push`: a dataset's folder to the Hub. Knows options; what is sent, and in which order, is `publish`'s."""

from __future__ import annotations

from pathlib import Path

import click

from lerobot_datasets import publish
from lerobot_datasets.card import LICENSE
from lerobot_datasets.v3.layout import MIB


def words(context: click.Context, option: click.Parameter, text: str) -> list[str]:
    """The words of a list with commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


@click.command()
@click.argument("folder", metavar="PATH", type=click.Path(path_type=Path))
@click.argument("repo_id", metavar="OWNER/NAME")
@click.option("--private", is_flag=True, help="Only its owner may see it; one that exists must be so already.")
@click.option("--branch", help="Branch to push to, made where it is missing; the default branch when not given.")
@click.option("--license", default=LICENSE, show_default=True, help="Licence named in the card.")
@click.option("--tags", default="", callback=words, help="Tags named in the card beside LeRobot, with commas between.")
@click.option("--videos", type=bool, default=True, show_default=True, help="Send the videos too.")
@click.option("--dry_run", is_flag=True, help="Show what would be sent and stop.")
def push(
    folder: Path,
    repo_id: str,
    private: bool,
    branch: str | None,
    license: str,
    tags: list[str],
    videos: bool,
    dry_run: bool,
) -> None:
    """Push a dataset to the Hub, with its card and version tag.

    The tag comes last: until then, readers see what was there before. A push that broke off is done again with the same
    words, and sends what is missing. A README.md in the folder becomes the card; without one, it is written from the
    dataset.
    """
    what = publish.plan(folder.expanduser(), repo_id, license=license, tags=tags, videos=videos)
    click.echo(render(what, branch), err=not dry_run)
    if not dry_run:
        click.echo(publish.push(what, private=private or None, branch=branch))


def render(what: publish.Push, branch: str | None) -> str:
    """The text shown to people."""
    videos = sum(name.startswith("videos/") for name in what.files)
    lines = [
        f"{what.root} to {what.repo_id}" + (f", branch {branch}" if branch else ""),
        f"data   {len(what.files) - videos} tables, {videos} videos; {what.size / MIB:.1f} MiB with metadata",
        f"card   {'README.md of the folder' if what.own_card else 'written from the dataset'}",
        f"tag    {what.tag}",
        *(f"left   {name}: belongs to no episode" for name in what.strays),
    ]
    return "\n".join(lines)
