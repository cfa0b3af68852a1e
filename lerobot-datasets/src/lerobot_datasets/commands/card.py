"""`lr dataset card`: the README that a push would write. Knows options; the text is `lerobot_datasets.card`'s."""

from __future__ import annotations

from pathlib import Path

import click

from lerobot_datasets import card as text
from lerobot_datasets.commands.push import words
from lerobot_datasets.v3.reader import Reader


@click.command()
@click.argument("folder", metavar="PATH", type=click.Path(path_type=Path))
@click.option("--repo_id", metavar="OWNER/NAME", help="Its name on the Hub; that of its folders when not given.")
@click.option("--license", default=text.LICENSE, show_default=True, help="Licence named in the card.")
@click.option("--tags", default="", callback=words, help="Tags named in the card beside LeRobot, with commas between.")
def card(folder: Path, repo_id: str | None, license: str, tags: list[str]) -> None:
    """Print the card of a dataset, its README on the Hub.

    Save it as README.md in the dataset's folder to write your own: `lr dataset push` then sends that.
    """
    root = folder.expanduser().absolute()
    click.echo(text.card(Reader(root), repo_id or "/".join(root.parts[-2:]), license, tags), nl=False)
