"""The code on the pages of the repository, found and run as a reader would: `python tests/house/pages.py README.md`.

What a block is decides what is done with it. All blocks of a page are run in order in one folder that looks like a checkout.

    python                run; one namespace per page
    sh, or indented       run by bash, with stand-ins for what installs and for what is no part of the page (see `BASH`)
    toml, yaml, json      parsed
    text                  nothing: a picture or what a command prints
    title="name"          written to that file first; Python with a title is a module of its own and not run
    --8<-- "path"         stands for the text of that file

`<!-- not run: why -->` in front of a block keeps it from being run, `<!-- needs mujoco, EGL -->` where one of these is neither a
module nor a library here. `READS_AS` and `SHORT` make commands for an arm and for
hours into commands for an emulator and for seconds.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
PARSERS: dict[str, Callable[[str], object]] = {"toml": tomllib.loads, "yaml": yaml.safe_load, "json": json.loads}
KINDS = ("python", "sh", "text", *PARSERS)
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->")
NEEDS = re.compile(r"<!-- needs (.+?) -->")
#: folders of a checkout that no clone has
MADE = ("build", "dist", "outputs")
TOOLS = ("nox", "cookiecutter")
SECONDS = 60

#: what a page says → what is run instead
READS_AS = {
    "/dev/ttyACM0": "emulated://so101?name=page",
    "--teleop.port=/dev/ttyACM1": "--teleop.port='emulated://so101-leader?motion=sine&name=page-leader'",
    "type: opencv, index_or_path: 0, width: 640, height: 480": "type: pattern, width: 64, height: 48",
    "tcp://127.0.0.1:8080": "ipc://$TMPDIR/policy",  # a port may be taken
    "cookiecutter plugins-template ": "cookiecutter plugins-template --overwrite-if-exists ",
    "lr calibrate ": "lr calibrate --dry_run ",
    "lr setup-motors ": "lr setup-motors --dry_run ",
    "--dataset.num_episodes=30": "--dataset.num_episodes=1",
    "--policy.type=act": "--policy.type=act --policy.pretrained_backbone_weights=null --policy.dim_model=32 "
    "--policy.n_heads=2 --policy.dim_feedforward=32 --policy.n_encoder_layers=1",
    "--steps=20 ": "--steps=1 ",
}

#: command → options that make it short, where its block says nothing of them
SHORT = {
    "lr teleoperate": ("--teleop_time_s=0.5",),
    "lr record": ("--dataset.episode_time_s=0.6", "--dataset.reset_time_s=0"),
    "lr train": ("--steps=1", "--batch_size=2", "--num_workers=0"),
    "lr dataset view": ("--no-open",),
    "lr scan": ("--baudrate=1000000",),
    "lr motor watch": ("--duration_s=0.3",),
    "lr run": ("--episode_time_s=0.6", "--reset_time_s=0"),
}

#: `pip` checks what it would install, `nox` that there is such a session, `lr serve`, `lr emulate` and `lr dataset view` run beside what
#: follows
BASH = """
set -euo pipefail
lr() { case "$1 ${2:-}" in "serve "* | "emulate "* | "dataset view") _lr "$@" & ;; *) _lr "$@" ;; esac; }
_lr() { "$PYTHON" -c 'from lerobot_core.cli import main; main()' "$@"; }
pip() { "$PYTHON" "$PAGES" pip "$@"; }
nox() { "$PYTHON" "$PAGES" nox "$@"; }
python3() { if [ "$1 $2" = "-m pip" ] || [ "$1 $2" = "-m nox" ]; then "$2" "${@:3}"; else "$PYTHON" "$@"; fi; }
python() { python3 "$@"; }
"""


class Block(NamedTuple):
    """A piece of code on a page.

    Attributes:
        line: where it begins.
        kind: one of `KINDS`, or what the page says instead.
        title: file it is, empty when it is none.
        text: the code.
        not_run: why it is not run; empty when it is.
    """

    line: int
    kind: str
    title: str
    text: str
    not_run: str


def blocks(page: str) -> Iterator[Block]:
    """The code blocks of a page, fenced and indented."""
    lines = page.splitlines()
    for token in MarkdownIt().parse(page):
        if token.type in ("fence", "code_block") and token.map is not None:
            above = next((line for line in reversed(lines[: token.map[0]]) if line.strip()), "")
            excuse = NOT_RUN.fullmatch(above.strip())
            kind, _, rest = token.info.strip().partition(" ") if token.type == "fence" else ("sh", "", "")
            title = re.search(r'title="([^"]+)"', rest)
            included = re.fullmatch(r'--8<-- "(.+)"\n', token.content)
            text = (ROOT / included[1]).read_text() if included else token.content
            why = excuse[1] if excuse else _missing(above.strip())
            yield Block(token.map[0] + 1, kind, title[1] if title else "", text, why)


def _missing(mark: str) -> str:
    """What a mark says a block needs and this machine lacks."""
    found = NEEDS.fullmatch(mark)
    lacking = [name for name in found[1].split(", ") if not (find_spec(name) or find_library(name))] if found else []
    return f"{', '.join(lacking)} not found" if lacking else ""


def links(page: str) -> Iterator[str]:
    """Where the links and pictures of a page lead, without the part of the page."""
    for token in MarkdownIt().parse(page):
        for inner in token.children or ():
            target = inner.attrs.get("href") or inner.attrs.get("src") or ""
            yield from filter(None, [str(target).partition("#")[0]])


def run(page: Path) -> None:
    """Run every block of a page in a folder of its own; the first that fails raises.

    The folder's `site` is where `pip` leaves what the page itself makes.
    """
    names: dict[str, Any] = {"__name__": "page"}
    with tempfile.TemporaryDirectory() as folder, Shell() as shell:
        for entry in ROOT.iterdir():
            if not entry.name.startswith(".") and entry.name not in MADE:
                Path(folder, entry.name).symlink_to(entry)
        Path(folder, "tmp").mkdir()
        os.chdir(folder)
        tempfile.tempdir = f"{folder}/tmp"
        sys.path[:1] = [folder, f"{folder}/site"]
        os.environ |= {
            "PYTHONPATH": os.pathsep.join([folder, f"{folder}/site", os.environ.get("PYTHONPATH", "")]),
            "HOME": f"{folder}/home",
            "TMPDIR": f"{folder}/tmp",  # emulators are found there by name
            "HF_LEROBOT_HOME": f"{folder}/home/lerobot",
            "HF_HUB_OFFLINE": "1",
        }
        for block in blocks(page.read_text()):
            start = time.monotonic()
            if not block.not_run:
                _run(block, names, shell)
            print(f"{page.name}:{block.line}: {time.monotonic() - start:.1f} s {block.not_run}", flush=True)


def _run(block: Block, names: dict[str, Any], shell: Shell) -> None:
    if block.title:
        Path(block.title).parent.mkdir(parents=True, exist_ok=True)
        Path(block.title).write_text(block.text)
    if block.kind in PARSERS:
        PARSERS[block.kind](block.text)
    elif block.kind == "python":
        code = compile("\n" * block.line + block.text, block.title or "<page>", "exec")
        if not block.title:
            exec(code, names)
    elif block.kind == "sh":
        shell.run(block)


class Shell:
    """Runs the commands of a page; what they leave running ends with the page."""

    def __init__(self) -> None:
        self._groups: list[int] = []

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *failure: object) -> None:
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGTERM)

    def run(self, block: Block) -> None:
        script = block.text
        for said, done in READS_AS.items():
            script = script.replace(said, done)
        for command, options in SHORT.items():
            more = [option for option in options if f"{option.partition('=')[0]}=" not in script]
            script = script.replace(f"{command} ", " ".join([command, *more, ""]))
        environment = {**os.environ, "PYTHON": sys.executable, "PAGES": __file__}
        process = subprocess.Popen(["bash", "-c", BASH + script], env=environment, start_new_session=True)
        self._groups.append(process.pid)
        if process.wait(SECONDS) != 0:
            raise SystemExit(f"the block at line {block.line} ended with status {process.returncode}")


def pip(words: list[str]) -> None:
    """Check `pip install …`: folders and extras exist. A project that the page made is installed, without its needs."""
    if words[0] != "install":
        raise SystemExit(f"pages only install, found pip {' '.join(words)}")
    rest = iter(words[1:])
    for word in rest:
        found = re.fullmatch(r"((?:\.|lerobot-)[\w./-]*)(?:\[([\w,-]+)\])?", word)
        if word == "-c":
            Path(next(rest)).read_text()
        if found is None:
            if word not in ("-c", "-e", *TOOLS):
                raise SystemExit(
                    f"pip install {word}: no folder, none of our distributions and no tool that pages may name"
                )
            continue
        folder = Path(found[1])
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        unknown = set(filter(None, (found[2] or "").split(","))) - set(project.get("optional-dependencies", ()))
        if unknown:
            raise SystemExit(f"pip install {word}: no extra {', '.join(unknown)} in {folder}")
        if ROOT not in folder.resolve().parents:
            _install(folder, project)


def _install(folder: Path, project: dict[str, Any]) -> None:
    """What an editable installation leaves, as far as plugins go."""
    name, version = project["name"], project["version"]
    metadata = Path(f"site/{name.replace('-', '_')}-{version}.dist-info")
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"{key} = {target}" for key, target in project["entry-points"]["lerobot"].items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[lerobot]", *lines, ""]))
    for entry in (folder / "src").iterdir():
        Path("site", entry.name).symlink_to(entry.resolve())


def nox(words: list[str]) -> None:
    """Check `nox -s SESSION`: the session exists."""
    known = {
        node.name for node in ast.parse((ROOT / "noxfile.py").read_text()).body if isinstance(node, ast.FunctionDef)
    }
    asked = words[words.index("-s") + 1]
    if asked not in known:
        raise SystemExit(f"no nox session '{asked}' (known: {', '.join(sorted(known))})")


if __name__ == "__main__":
    {"pip": pip, "nox": nox}.get(sys.argv[1], lambda _: run(Path(sys.argv[1]).resolve()))(sys.argv[2:])
