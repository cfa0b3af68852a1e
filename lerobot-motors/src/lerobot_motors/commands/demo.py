"""`lr demo`: the whole loop on an emulated arm, in one command."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table

from lerobot_core.cli import config_command
from lerobot_core.errors import PluginError
from lerobot_motors.demo.plan import DemoConfig, Plan, checkpoint

#: What the demo runs, as "module=what to install".
NEEDS = (
    "lerobot_datasets=lerobot-datasets[torch]",
    "lerobot_policies=lerobot-policies",
    "lerobot_serve=lerobot-serve",
    "matplotlib=lerobot-motors[demo]",
)


@config_command(DemoConfig)
def demo(config: DemoConfig) -> None:
    """Watch the whole loop work on an emulated arm, in one command.

    Records a reaching task, trains a policy on it, serves it, and runs it on goals it has never seen. The last line of
    standard output is JSON: success rates, number of trained runs, seconds.
    """
    check_installed()
    from lerobot_motors.demo import report  # these need what was just checked
    from lerobot_motors.demo.story import Story

    story = Story(config, Console(stderr=True))
    story.tell()
    results = story.results()
    story.plan.report.write_text(report.render(results), encoding="utf-8")
    screen = Console(width=None if sys.stdout.isatty() else 120)
    screen.print(table(report.OUTCOME_HEAD, [report.outcome_row(*item) for item in report.outcomes(results)]))
    screen.print(table(report.HEALTH_HEAD, [report.health_row(*item) for item in results.health.items()]))
    screen.print(table(["", ""], [[name, value] for name, value in results.title_facts]))
    click.echo("\n".join(directions(story.plan, results.places)))
    click.echo(json.dumps(report.verdict(results)))


def check_installed() -> None:
    """
    Raises:
        PluginError: names everything that is missing.
    """
    missing = [need.partition("=")[2] for need in NEEDS if importlib.util.find_spec(need.partition("=")[0]) is None]
    if missing:
        raise PluginError(
            f"the demo runs every part of the house, these are not installed: {', '.join(missing)}",
            hint="pip install " + " ".join(f'"{name}"' for name in missing),
        )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Rows as people read them at a terminal."""
    shown = Table(*head, show_header=any(head), header_style="bold", box=None, pad_edge=False)
    for row in rows:
        shown.add_row(*row)
    return shown


def directions(plan: Plan, places: Sequence[tuple[str, str]]) -> list[str]:
    """Where everything is and what to try next."""
    policy = checkpoint(plan.training)
    return [
        "",
        *(f"{what}: {where}" for what, where in places),
        "",
        "Try next:",
        f"  lr dataset info {plan.dataset}",
        "  lr teleoperate --robot.type=so101_follower --robot.port=emulated://so101"
        " --teleop.type=so101_leader"
        " --teleop.port='emulated://so101-leader?motion=sine'",
        f"  lr serve --policy.path={policy}",
        "  and with an arm of your own, --robot.port=/dev/ttyACM0 --robot.id=NAME after `lr calibrate`",
    ]
