"""Makes a project of every role, and one of all, with `lr new`, and puts each through what its author's CI would do.

Run in an environment that holds the five distributions with `lerobot-core[new,testing]`, build, hatchling, mypy and ruff.
Prints a table; ends with status 1 if anything is red. Nothing that was made is edited.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from lerobot_core.cli.new import ROLES

#: names as short and as long as they come: formatting depends on the length of a line
NAMES = {"robot": "a1", "camera": "eye_of_the_left_hand_robot"}
LR = ("-c", "from lerobot_core.cli import main; main()")


def steps(project: Path, name: str) -> dict[str, tuple[str, ...]]:
    """Step → arguments of Python, in order; run in the project's folder."""
    wheel = f"dist/{name}-0.1.0-py3-none-any.whl"
    return {
        "lint": ("-m", "ruff", "check", "."),
        "format": ("-m", "ruff", "format", "--check", "."),
        "types": ("-m", "mypy", f"--cache-dir={project.parent / 'mypy'}"),
        "build": ("-m", "build", "--wheel", "--no-isolation"),
        "install": ("-m", "pip", "install", "--no-deps", "--no-index", "--force-reinstall", wheel),
        "tests": ("-m", "pytest", "-p", "no:cacheprovider"),
        "check": (*LR, "plugins", "--check", name),
        "uninstall": ("-m", "pip", "uninstall", "--yes", name.replace("_", "-")),
    }


def python(*args: str, folder: Path) -> tuple[bool, float, str]:
    """(it went well, seconds, what it said)."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, *args],
        cwd=folder,
        env={**os.environ, "LR_STRICT_PLUGINS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode == 0, time.monotonic() - began, done.stdout


def prove(folder: Path, name: str, roles: Sequence[str]) -> bool:
    """Print one row of the table, and below it what a step said that failed."""
    cells, red = [], ""
    went, seconds, said = python(*LR, "new", *roles, name, folder=folder)
    project = folder / name.replace("_", "-")
    work = steps(project, name)
    cells.append(f"{'ok' if went else 'RED'} {seconds:.1f}")
    for step, args in work.items() if went else ():
        went, seconds, said = python(*args, folder=project)
        red += "" if went else f"\n--- {step} of {project.name}\n{said}\n"
        cells.append(f"{'ok' if went else 'RED'} {seconds:.1f}")
    red += "" if len(cells) > 1 else said
    shown = roles[0] if len(roles) == 1 else f"{len(roles)} roles"
    print(f"{shown:16}", *(f"{cell:>9}" for cell in cells), flush=True)
    print(red, end="", flush=True)
    return not red


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roles", nargs="*", help="only these, each in a project of its own")
    only = parser.parse_args().roles
    projects = [(NAMES.get(role, f"my_{role.replace('-', '_')}"), [role]) for role in only or ROLES]
    if not only:
        projects.append(("my_lab", list(ROLES)))
    with tempfile.TemporaryDirectory() as folder:
        titles = ["new", *steps(Path(folder), "")]
        print(f"{'':16}", *(f"{title:>9}" for title in titles), " [s]")
        results = [prove(Path(folder), name, roles) for name, roles in projects]
    print(f"{sum(results)} of {len(results)} projects green")
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
