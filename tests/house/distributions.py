"""Distributions as pip would leave them, made for a test: a module and its metadata in a folder; and `lr` with that folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

LR = (sys.executable, "-c", "from lerobot_core.cli import main; main()")

_QUIET = """
from lerobot_core.components import Command, Component, hookimpl

LR_CORE = ">=0.1,<0.2"

@hookimpl
def lr_robots():
    return [Component("NAME_arm", "NAME_parts:Config", "NAME_parts:Robot", "Robot of NAME")]

@hookimpl
def lr_commands():
    return [Command("NAME-work", "NAME_parts:work", "Do the work of NAME.")]
"""


def install(folder: Path, name: str, text: str | bytes, **metadata: str | bytes) -> None:
    """A distribution with one plugin.

    Args:
        folder: where, as a folder of `sys.path`.
        name: of the plugin; the distribution is `NAME-dist` 3.2 and the module `NAME_plugin`.
        text: of the module.
        metadata: other contents of the files METADATA and entry_points.
    """
    module = folder / f"{name}_plugin.py"
    module.write_bytes(text) if isinstance(text, bytes) else module.write_text(text)
    info = folder / f"{name}_dist-3.2.dist-info"
    info.mkdir()
    files: dict[str, str | bytes] = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: 3.2\n",
        "entry_points": f"[lerobot]\n{name} = {name}_plugin\n\n[console_scripts]\nx = y:z\n",
        **metadata,
    }
    for file, content in files.items():
        path = info / {"entry_points": "entry_points.txt"}.get(file, file)
        path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content)


def install_many(folder: Path, distributions: int = 300, plugins: int = 50) -> None:
    """So many distributions, some of them plugins whose implementation ends the process when it is imported."""
    for number in range(distributions - plugins):
        info = folder / f"library_{number}-1.{number}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: library-{number}\nVersion: 1.{number}\n")
        (info / "RECORD").write_text("")
        if number % 3 == 0:
            (info / "entry_points.txt").write_text("[console_scripts]\ntool = library:main\n")
    for number in range(plugins):
        name = f"plug{number}"
        install(folder, name, _QUIET.replace("NAME", name))
        (folder / f"{name}_parts.py").write_text("import os\nos._exit(99)\n")


def environment(folder: Path, **more: str) -> Mapping[str, str]:
    """This process's environment with the folder first on `sys.path` and byte-code written."""
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**own, "PYTHONPATH": os.pathsep.join(paths), **more}


def lr(folder: Path, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
    """One call of `lr`, with the folder's distributions installed."""
    return subprocess.run(
        [*LR, *args],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=environment(folder, **more),
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
