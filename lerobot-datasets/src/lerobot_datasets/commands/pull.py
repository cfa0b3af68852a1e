"""`lr dataset pull`: a dataset, or some episodes of it, from the Hub. Knows options; the download is `hub`'s."""

from __future__ import annotations

import re
from pathlib import Path

import click

from lerobot_datasets import hub


def numbers(context: click.Context, option: click.Parameter, text: str | None) -> list[int] | None:
    """The numbers of a list as `0,3-5`; both ends of a range count."""
    if text is None:
        return None
    out: set[int] = set()
    for word in text.split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", word.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, -1)
        if last < first:
            raise click.BadParameter(f"'{word}' is neither a number nor a range as 3-5")
        out.update(range(first, last + 1))
    return sorted(out)


@click.command()
@click.argument("repo_id", metavar="OWNER/NAME")
@click.option("--revision", help="Version, branch, tag or commit; this version of the format when not given.")
@click.option("--episodes", callback=numbers, help="Only the files that hold these episodes, as 0,3-5.")
@click.option("--videos", type=bool, default=True, show_default=True, help="Download the videos too.")
@click.option("--root", type=click.Path(path_type=Path), help="Folder to put it in; the Hub's cache when not given.")
def pull(repo_id: str, revision: str | None, episodes: list[int] | None, videos: bool, root: Path | None) -> None:
    """Pull a dataset from the Hub, whole or some episodes, and print its folder.

    What is here already is not downloaded again, and a pull that broke off is done again with the same words. Episodes
    share files, so a few more than asked for may come.
    """
    patterns = None if videos else [hub.META, "data/*"]
    folder = root and root.expanduser()
    click.echo(hub.pull(repo_id, revision, patterns=patterns, episodes=episodes, root=folder))
