"""Runs the conformance suites on what an installed plugin offers: `python -m lerobot_core.testing.offered NAME [--plugin FILE]`.

Meant to be run in a process of its own, because what it runs may hang or crash. Standard output has one JSON object a line:
what was collected, which check begins, what became of it. `lr plugins --check` reads them.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import pytest

from lerobot_core import plugins, testing
from lerobot_core.components import Command, Component
from lerobot_core.errors import PluginError
from lerobot_core.registry import ROLES, missing, resolve
from lerobot_core.testing.suite import Suite

#: a test module of the suites, made anew for every run
_MODULE = """
from lerobot_core.testing import offered
globals().update(offered.suites({name!r}, {files!r}))
"""
_SETTINGS = "[pytest]\naddopts = --import-mode=importlib -p no:cacheprovider -p lerobot_core.testing.fixtures\n"


def suites(name: str, files: Sequence[str] = ()) -> dict[str, type]:
    """A test class for each component and command of a plugin, by role and name.

    Args:
        name: of the plugin, of its distribution, or of one component or command.
        files: plugins that are not installed, to be loaded first.
    """
    for file in files:
        plugins.host().add_given(file)
    return {f"Test {noun} {item.name}": _suite(role, item) for role, noun, item in offered(name)}


def offered(name: str = "") -> list[tuple[type, str, Component | Command]]:
    """(role, what users call it, component or command) of everything with that name or from the plugin or distribution
    of that name; of everything there is when none is given."""
    roles = [*((role, *ROLES[role]) for role in ROLES), (Command, "lr_commands", "command")]
    return [
        (role, noun, item)
        for role, hook, noun in roles
        for status, item in plugins.host().call(hook)
        if not name or name in (status.name, status.distribution, item.name)
    ]


def _suite(role: type, item: Component | Command) -> type:
    """The suite of a component or command as a test class of its own."""
    try:
        kind = resolve(item.suite) if item.suite else getattr(testing, testing.SUITES[role.__name__])
    except PluginError:
        kind = Unimportable
    made = type("Check", (kind,), {"component": item, "__doc__": kind.__doc__})
    if isinstance(item, Component) and (lacking := missing(item)):
        made = pytest.mark.skip(reason=f"not installed: {lacking[0]}")(made)
    return made


class Unimportable(Suite):
    """Stands for a suite that cannot be imported: a failure of its own, beside the checks of the other parts."""

    def test_its_suite_can_be_imported(self) -> None:
        """Without it nothing is checked. Fix: correct `suite` of the Component, or what its module imports."""
        assert self.component is not None
        resolve(self.component.suite)


class Reporter:
    """pytest plugin that writes a line when a check begins and ends."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._why: dict[str, str] = {}

    def _say(self, **what: Any) -> None:
        print(json.dumps(what), file=self._out, flush=True)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            self._why[item.nodeid] = " ".join(inspect.getdoc(item.function).split()) if item.function.__doc__ else ""
        self._say(collected=len(session.items))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._say(
                part=report.nodeid.partition("::")[2],
                check="collecting the checks",
                outcome="failed",
                message=_last(report),
                why="",
            )

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        part, check = _names(nodeid)
        self._say(part=part, check=check, outcome="started")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.failed or report.skipped:
            part, check = _names(report.nodeid)
            message = "" if report.passed else _last(report)
            why = self._why.get(report.nodeid, "")
            outcome = "excused" if hasattr(report, "wasxfail") and report.skipped else report.outcome
            self._say(
                part=part, check=check, outcome=outcome, seconds=round(report.duration, 3), message=message, why=why
            )


def _names(nodeid: str) -> tuple[str, str]:
    """("robot my_arm", "limits are kept[1]") of a pytest node."""
    _, part, check = nodeid.split("::", 2)
    return part.removeprefix("Test "), check.removeprefix("test_").replace("_", " ")


def _last(report: Any) -> str:
    """What went wrong, in a line."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else str(report.longrepr)
    return " ".join(text.split())[:500]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--plugin", action="append", default=[])
    options = parser.parse_args()
    out = os.fdopen(os.dup(1), "w")  # pytest captures what the checks print
    with tempfile.TemporaryDirectory(prefix="lr-check-") as folder:
        settings, module = Path(folder, "pytest.ini"), Path(folder, "test_conformance.py")
        settings.write_text(_SETTINGS)
        module.write_text(_MODULE.format(name=options.name, files=options.plugin))
        arguments = [str(module), "-c", str(settings), "--rootdir", folder, "-p", "no:terminal"]
        status = pytest.main(arguments, plugins=[Reporter(out)])
    sys.exit(status)


if __name__ == "__main__":
    main()
