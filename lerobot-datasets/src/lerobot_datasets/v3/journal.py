"""All or nothing: new versions of several files of a dataset take their places together.

Files are written under `.recording/commit/`, flushed to the disk, listed in a note, and only then moved into place. A
process killed before the note leaves the dataset as it was; one killed after it is finished by `recover`. Knows files,
not what is in them.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

STAGING = Path(".recording")
_NOTE = STAGING / "commit.json"


class Commit:
    """Files that are to take their places together.

    Args:
        root: folder of the dataset.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: list[str] = []
        shutil.rmtree(root / STAGING / "commit", ignore_errors=True)

    def stage(self, name: Path) -> Path:
        """Where to write the new version of a file; its folder exists."""
        path = self._root / STAGING / "commit" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._names.append(name.as_posix())
        return path

    def staged(self, name: Path) -> Path:
        """Where the new version of a file was written."""
        return self._root / STAGING / "commit" / name

    def write_text(self, name: Path, text: str) -> None:
        """Stage a text file."""
        self.stage(name).write_text(text, encoding="utf-8")

    def publish(self) -> None:
        """Move everything staged into place, in the order it was staged."""
        for name in self._names:
            _flush(self._root / STAGING / "commit" / name)
        draft = self._root / STAGING / "commit.json.new"
        draft.write_text(json.dumps(self._names), encoding="utf-8")
        _flush(draft)
        draft.rename(self._root / _NOTE)
        _finish(self._root, self._names)


def recover(root: Path) -> None:
    """Finish a commit that was cut off after its note, and throw away what was not to be committed."""
    if (root / _NOTE).exists():
        _finish(root, json.loads((root / _NOTE).read_text(encoding="utf-8")))
    shutil.rmtree(root / STAGING, ignore_errors=True)


def _finish(root: Path, names: list[str]) -> None:
    for name in names:
        staged = root / STAGING / "commit" / name
        if staged.exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            staged.replace(root / name)
    (root / _NOTE).unlink()
    shutil.rmtree(root / STAGING / "commit")
    if not any((root / STAGING).iterdir()):
        (root / STAGING).rmdir()


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
