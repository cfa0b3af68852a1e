"""One hostile plugin beside a good one: is `lr` as if it were not there, and is it named?"""

from __future__ import annotations

import json
import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from house.distributions import install, lr
from house.hostile.table import INFO, Case

GOOD = """
from lerobot_core.components import Command, Component, hookimpl

@hookimpl
def lr_robots():
    return [Component("good_arm", "good_parts:Config", "good_parts:Robot", "A good arm")]

@hookimpl
def lr_commands():
    return [Command(name, "good_parts:work", "Tell the state of the process.") for name in ("good", "good-too")]
"""
#: prints what of the process a hostile plugin may have changed
PARTS = """
import json, os, signal, sys, warnings
import click

@click.command()
def work():
    handlers = [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    state = [
        os.getcwd(), sys.path, sorted(os.environ), sys.getrecursionlimit(), sys.excepthook is sys.__excepthook__, handlers,
        [str(found) for found in warnings.filters], signal.getitimer(signal.ITIMER_REAL), sys.gettrace(),
        sys.stdout.fileno(), sys.stderr.fileno(),
    ]
    click.echo(json.dumps(state))
"""
#: what to do about it, or that nothing needs to be done
_FIXES = ("lr plugins disable", "lr plugins --check", "pip install", "'state': 'ok'", "while 'hostile_arm' was built")
QUICK = {"LR_PLUGIN_SECONDS": "0.3", "LR_PROBE_SECONDS": "1"}


class Outcome(NamedTuple):
    """What became of one trial.

    Attributes:
        name: of the case.
        survived: whether the good plugin and lr's own commands are as without it.
        named: whether plugin, distribution, fault and fix were said.
        seconds: wall time of its calls [s].
        said: everything that was said.
    """

    name: str
    survived: bool
    named: bool
    seconds: float
    said: str


def run(case: Case) -> Outcome:
    """Install the case and a good plugin in a new folder and call `lr` on them."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        _install(folder, case)
        start = time.perf_counter()
        listed = lr(folder, "plugins", "--json", **_environment(folder))
        worked = lr(folder, "good", **_environment(folder))
        said = _about(listed.stdout, listed.stderr)
        survived = _is_whole(listed.stdout) and worked.returncode == 0
        survived = survived and worked.stdout.replace(made, "FOLDER") == _undisturbed()
        survived = survived and len(listed.stderr.splitlines()) == listed.stderr.count("is left out")
        if case.run:
            ran = lr(folder, *case.run, **_environment(folder, probes_only=case.run == INFO))
            survived = survived and ran.returncode == case.code
            said = ran.stdout + ran.stderr
        return Outcome(case.name, survived, _is_named(said, case), time.perf_counter() - start, said)


def _install(folder: Path, case: Case | None) -> None:
    install(folder, "good", GOOD)
    (folder / "good_parts.py").write_text(PARTS)
    if case is not None:
        install(folder, "hostile", case.text, **case.metadata)
        if case.parts:
            (folder / "hostile_parts.py").write_text(case.parts)


def _environment(folder: Path, *, probes_only: bool = False) -> dict[str, str]:
    others = {"LR_BLOCK_PLUGINS": "core,motors,datasets,policies,serve"} if probes_only else {"LR_BLOCK_PLUGINS": ""}
    return {**QUICK, "XDG_CONFIG_HOME": str(folder / "config"), **others}


@cache
def _undisturbed() -> str:
    """What the good plugin's command prints with no hostile plugin beside it."""
    with TemporaryDirectory() as made:
        _install(Path(made), None)
        return lr(Path(made), "good", **_environment(Path(made))).stdout.replace(made, "FOLDER")


def _is_whole(listing: str) -> bool:
    """Whether `lr plugins --json` lists the good plugin and lr's own as usable."""
    try:
        rows = {row["distribution"]: row for row in json.loads(listing)}
    except ValueError:
        return False
    ours = ("lerobot-core", "lerobot-motors", "lerobot-datasets", "lerobot-policies", "lerobot-serve", "good-dist")
    whole = all(name in rows and rows[name]["state"] == "ok" for name in ours)
    return whole and rows["good-dist"]["components"] == ["robot good_arm"]


def _about(listing: str, stderr: str) -> str:
    """What stderr and the hostile plugin's row say."""
    try:
        rows = [row for row in json.loads(listing) if row["distribution"].startswith("hostile")]
    except ValueError:
        return stderr
    return "\n".join([stderr, *(f"plugin '{row['name']}' of {row['distribution']}: {row}" for row in rows)])


def _is_named(said: str, case: Case) -> bool:
    distribution = "hostile-dist" in said or "hostile_dist" in said  # the latter is its folder's name
    return distribution and _plain(case.says) in _plain(said) and any(fix in said for fix in _FIXES)


def _plain(text: str) -> str:
    """Without quotes and backslashes, of which JSON and repr have their own."""
    return "".join(letter for letter in text if letter not in "\\'\"")
