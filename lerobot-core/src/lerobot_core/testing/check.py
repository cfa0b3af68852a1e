"""`lr plugins --check`: the conformance suites on an installed plugin, in a process that may crash or hang."""

from __future__ import annotations

import importlib.util
import json
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import attrs
import click

from lerobot_core import __version__, plugins
from lerobot_core.errors import PluginError, did_you_mean

#: longest a single check may take [s]
CHECK_SECONDS = 120.0


@attrs.define
class Part:
    """What became of the checks of one component.

    Attributes:
        name: its role and name.
        passed: checks that hold.
        failed: those that do not: name, why it matters and how to fix it, what was found.
        skipped: checks of what it does not declare, with the reason.
        excused: checks its author marked as failing, with a reason.
        seconds: time its checks took [s].
    """

    name: str
    passed: int = 0
    failed: list[dict[str, str]] = attrs.Factory(list)
    skipped: list[dict[str, str]] = attrs.Factory(list)
    excused: list[dict[str, str]] = attrs.Factory(list)
    seconds: float = 0.0

    def note(self, event: dict[str, Any]) -> None:
        """Count one check that ended."""
        self.seconds += event.get("seconds", 0.0)
        if event["outcome"] == "passed":
            self.passed += 1
        else:
            told = {key: event.get(key, "") for key in ("check", "why", "message")}
            getattr(self, event["outcome"]).append(told)


def check_plugin(name: str, as_json: bool = False, badge: Path | None = None) -> bool:
    """Check what a plugin offers, print the result, and tell whether everything holds.

    Args:
        name: of the plugin, of its distribution or of one component or command.
        as_json: print JSON instead of a table.
        badge: file for the badge, as shields read it.

    Raises:
        PluginError: nothing of that name is offered, or pytest is not installed.
    """
    _require(name)
    parts = list(_run(name))
    label = _badge(parts)
    if badge is not None:
        badge.write_text(json.dumps(label) + "\n")
    if as_json:
        click.echo(
            json.dumps({"name": name, "parts": [attrs.asdict(part) for part in parts], "badge": label}, indent=2)
        )
    else:
        _print(parts)
        click.echo(json.dumps(label))
    return bool(label["color"] == "brightgreen")


def _require(name: str) -> None:
    if importlib.util.find_spec("pytest") is None:
        raise PluginError("checking a plugin needs pytest", hint='pip install "lerobot-core[testing]"')
    from lerobot_core.testing.offered import offered  # imports pytest

    if offered(name):
        return
    statuses = plugins.host().statuses
    for status in statuses:
        if name in status[:2]:
            raise PluginError(f"{status.who} offers nothing to check: {status.error or 'no component, no command'}")
    known = {word for status in statuses for word in status[:2]} | {item.name for _, _, item in offered()}
    raise PluginError(
        f"nothing called '{name}' is installed{did_you_mean(name, known)}", hint="`lr plugins` lists what is"
    )


def _run(name: str) -> list[Part]:
    """Run the suites; a check during which the process dies or falls silent has failed."""
    parts: dict[str, Part] = {}
    running: dict[str, Any] | None = None
    command = [
        sys.executable,
        "-m",
        "lerobot_core.testing.offered",
        name,
        *(f"--plugin={place}" for place in plugins.host().given),
    ]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, bufsize=0, start_new_session=True)
        with process, click.progressbar(length=1, label=f"checking {name}", file=sys.stderr) as bar:
            for event in _events(process):
                if "collected" in event:
                    bar.length = max(1, event["collected"])
                elif event["outcome"] == "started":
                    running = event
                else:
                    parts.setdefault(event["part"], Part(event["part"])).note(event)
                    running = None
                    bar.update(1)
        if running is not None or not parts:
            errors.seek(0)
            at = running or {"part": name, "check": "running the checks"}
            died = {**at, "outcome": "failed", "message": _end(process.returncode, errors.read())}
            parts.setdefault(at["part"], Part(at["part"])).note(died)
    return list(parts.values())


def _events(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """What the process says, until it ends; it is killed when it says nothing for too long."""
    out: IO[bytes] = process.stdout  # type: ignore[assignment]
    while True:
        if not select.select([out], [], [], CHECK_SECONDS)[0]:
            process.kill()
            return
        line = out.readline()
        if not line:
            return
        yield json.loads(line)


def _end(status: int, errors: str) -> str:
    """How the process ended, in words."""
    if status == -signal.SIGKILL:
        return f"no answer within {CHECK_SECONDS:g} s"
    last = (errors.strip() or "it said nothing").splitlines()[-1]
    if status < 0:
        return f"the process died of {signal.Signals(-status).name}: {last}"
    return f"the process ended with status {status}: {last}"


def _badge(parts: list[Part]) -> dict[str, Any]:
    """The result as the endpoint format of shields.io badges."""
    passed, failed = sum(part.passed for part in parts), sum(len(part.failed) for part in parts)
    good = passed > 0 and failed == 0
    return {
        "schemaVersion": 1,
        "label": f"lerobot-core {__version__} conformance",
        "message": f"{passed} of {passed + failed}",
        "color": "brightgreen" if good else "red",
    }


def _print(parts: list[Part]) -> None:
    width = max(len(part.name) for part in parts)
    click.echo(f"{'':{width}}  passed  failed  skipped  excused  seconds")
    for part in parts:
        counts = (part.passed, len(part.failed), len(part.skipped), len(part.excused))
        click.echo(
            f"{part.name:{width}}  {counts[0]:6}  {counts[1]:6}  {counts[2]:7}  {counts[3]:7}  {part.seconds:7.1f}"
        )
    for part in parts:
        for failure in part.failed:
            click.echo(f"\nFAILED {part.name}: {failure['check']}\n    found: {failure['message']}")
            if failure["why"]:
                click.echo(f"    {failure['why']}")
