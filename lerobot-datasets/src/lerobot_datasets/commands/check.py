"""`lr dataset check`: what is wrong with a dataset. Knows no torch."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import click
import rich.console
import rich.progress

from lerobot_datasets.checks import CHECKS, Finding
from lerobot_datasets.hub import locate
from lerobot_datasets.inspection import Inspection
from lerobot_datasets.v3.reader import Reader

_LIST = "\n".join(f"  {name:<11} {what}" for name, what in CHECKS.items())


@click.command(epilog=f"\b\nChecks:\n{_LIST}")
@click.argument("dataset", metavar="PATH_OR_REPO")
@click.option("--tolerance_s", default=1e-4, show_default=True, help="How far times may be off, in seconds.")
@click.option("--skip", multiple=True, type=click.Choice(list(CHECKS)), help="A check whose findings do not matter.")
@click.option(
    "--all_frames", is_flag=True,
    help="Look at every picture of every camera, not only at those that statistics are made of.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(
    ctx: click.Context, dataset: str, tolerance_s: float, skip: tuple[str, ...], all_frames: bool, as_json: bool
) -> None:
    """Find what is wrong with a dataset; exits with 1 when there is anything.

    PATH_OR_REPO is a dataset's folder, or its user/name. Most of the time goes into looking at pictures: with
    --skip=stats --skip=frozen none is decoded.
    """
    folder = Path(dataset).expanduser()
    reader = Reader(folder if folder.is_dir() else locate(dataset))
    decoded = all_frames or not {"frozen", "stats"} <= {*skip}
    inspection = Inspection(reader, tolerance_s, all_frames=all_frames, decoded=decoded)
    found = [finding for finding in inspected(reader, inspection) if finding.check not in skip]
    if as_json:
        click.echo(json.dumps({"root": str(reader.root), "findings": [attrs.asdict(f) for f in found]}, indent=2))
    else:
        click.echo("\n".join([*map(line, found), told(reader, found)]))
    ctx.exit(1 if found else 0)


def inspected(reader: Reader, inspection: Inspection) -> list[Finding]:
    """Every finding; a bar on stderr shows how far it is."""
    console = rich.console.Console(stderr=True)
    with rich.progress.Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("checking episodes", total=len(reader.all_episodes))
        return list(inspection.findings(lambda: bar.advance(task)))


def line(finding: Finding) -> str:
    """A finding as people read it: check, place, message."""
    where = [finding.file, finding.column and f"'{finding.column}'"]
    where += [f"{name} {value}" for name in ("episode", "row") if (value := getattr(finding, name)) is not None]
    return f"{finding.check:<11} {', '.join(part for part in where if part) or 'dataset'}: {finding.message}"


def told(reader: Reader, found: list[Finding]) -> str:
    """The last line."""
    size = f"{reader.num_episodes} episodes with {reader.num_frames} frames"
    return f"{size}: {len(found)} findings" if found else f"{size}: nothing wrong"
