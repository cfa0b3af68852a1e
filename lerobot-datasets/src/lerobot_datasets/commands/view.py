"""`lr dataset view`: a page on this machine that plays the episodes of a dataset. Knows options. No torch."""

from __future__ import annotations

import ipaddress
import os
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path

import click

from lerobot_datasets import hub
from lerobot_datasets.v3 import layout
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.view import rerun_log
from lerobot_datasets.view.content import Content
from lerobot_datasets.view.server import Server


@click.command()
@click.argument("dataset", metavar="PATH_OR_REPO")
@click.option("--episode", type=int, default=0, show_default=True, help="Episode shown first.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; other machines reach others."
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port; a free one when not given.")
@click.option("--open/--no-open", "opens", default=True, help="Show it in the browser at once.")
@click.option(
    "--rerun",
    metavar="[FILE.rrd]",
    is_flag=False,
    flag_value="",
    help="Log the episode to the rerun viewer, or a file.",
)
def view(dataset: str, episode: int, host: str, port: int, opens: bool, rerun: str | None) -> None:
    """Show the episodes of a dataset: videos, plots, texts and what deserves a second look. Ctrl-C ends it.

    PATH_OR_REPO is a dataset's folder, or its user/name; of one on the Hub, episodes are fetched as they are looked at.
    """
    reader, fetch = opened(dataset)
    content = Content(reader, dataset if fetch or "/" not in dataset.strip("/") else reader.root.name, fetch)
    content.require(episode)
    if rerun is not None:
        rerun_log.log(content, episode, Path(rerun).expanduser() if rerun else None)
        return
    with Server(content, host, port) as server:
        address = f"{server.url}#episode={episode}"
        click.echo(address)
        if not _is_loopback(host):
            click.echo(f"everybody who can reach {host} can look at this dataset", err=True)
        if opens and _has_screen():
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def opened(dataset: str) -> tuple[Reader, Callable[[int], None] | None]:
    """A dataset, and what fetches the files of an episode: only for one that is read from the Hub's cache."""
    folder = Path(dataset).expanduser()
    if folder.is_dir() or (layout.local_root(dataset) / layout.INFO).is_file():
        return Reader(folder if folder.is_dir() else hub.locate(dataset)), None
    root = hub.locate(dataset, patterns=[hub.META])

    def fetch(episode: int) -> None:
        hub.pull(dataset, root.name, episodes=[episode])  # the folder is named after the commit

    return Reader(root), fetch


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _has_screen() -> bool:
    """Where there is none, a browser in the terminal would take it over."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
