"""Make a mistake in a folder of its own and judge the answer."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import attrs

from house.mistakes.table import Mistake

LINES, WIDTH = 5, 300
EVERYBODYS = re.compile(r"tmp/(lerobot-emulators|torchinductor)|home/\.cache($|/lerobot_datasets)|stdout|stderr")
"""What is there after a success as well: the place where emulators are found, and the caches."""


@attrs.frozen
class Answer:
    """What `lr` said, and what is wrong with it: nothing, where it holds."""

    mistake: Mistake
    code: int | None
    seconds: float
    stdout: str
    stderr: str
    wrong: tuple[str, ...]


class Asker:
    """A worker that is asked one mistake after the other. A context."""

    def __enter__(self) -> Asker:
        places = [str(Path(__file__).parents[2]), *sys.path]
        quiet = {
            "PYTHONDONTWRITEBYTECODE": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
        }
        kept = {key: value for key, value in os.environ.items() if not key.startswith("LR_")}
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**kept, **quiet, "PYTHONPATH": os.pathsep.join(places)},
        )
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.communicate()

    def ask(self, mistake: Mistake) -> Answer:
        with tempfile.TemporaryDirectory(prefix="mistake-") as name:
            folder = Path(name)
            for inner in ("home", "tmp", "here"):
                (folder / inner).mkdir()
            held_open = [made(folder / "here") for made in mistake.made]
            before = set(_names(folder))
            request = {"typed": shlex.split(mistake.typed), "folder": name}
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            reply = json.loads(self._process.stdout.readline())
            stdout, stderr = (_text(folder / stream) for stream in ("stdout", "stderr"))
            left = sorted(set(_names(folder)) - before)
            _close(held_open)
        wrong = tuple(_wrong(mistake, reply, stdout, stderr, left))
        return Answer(mistake, reply["code"], reply["seconds"], stdout, stderr, wrong)


def _wrong(mistake: Mistake, reply: dict[str, object], stdout: str, stderr: str, left: list[str]) -> Iterator[str]:
    lines = stderr.splitlines()
    if reply["code"] is None:
        yield "does not end"
    elif reply["code"] not in (1, 2):
        yield f"exit status {reply['code']}"
    if not 1 <= len(lines) <= LINES or max(map(len, lines)) > WIDTH:
        yield f"{len(lines)} lines, the longest of {max(map(len, lines), default=0)} characters"
    if "Traceback" in stderr:
        yield "a traceback"
    for what in ("names", "says", "advises"):
        if not re.search(getattr(mistake, what), stderr, re.IGNORECASE | re.DOTALL):
            yield f"{what} no {getattr(mistake, what)}"
    if stdout:
        yield f"writes to standard output: {stdout[:60]!r}"
    if left:
        yield f"leaves {', '.join(left[:3])}"
    if reply["left"]:
        yield "leaves a process"


def _names(folder: Path) -> Iterator[str]:
    return (name for path in folder.rglob("*") if not EVERYBODYS.match(name := str(path.relative_to(folder))))


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _close(things: list[object]) -> None:
    for thing in things:
        for one in thing if isinstance(thing, tuple) else (thing,):
            if hasattr(one, "close"):
                one.close()
