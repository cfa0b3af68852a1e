"""All or nothing: new versions of several files of a dataset take their places together, and can be taken back.

Files are written under `.recording/commit/`, flushed to the disk, listed in a note, and only then moved into place. A
process killed before the note leaves the dataset as it was; one killed after it is finished by `recover`. The versions
replaced are kept under `.recording/before/` until the next commit. A whole folder changes places with its new version in
one step, for readers who take whatever files a folder holds. Knows files, not what is in them.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
import time
import weakref
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from lerobot_core.errors import DataError

try:
    import fcntl
except ImportError:  # Windows: nothing tells two recordings apart
    fcntl = None  # type: ignore[assignment]

STAGING = Path(".recording")
_COMMIT = STAGING / "commit"
_BEFORE = STAGING / "before"
_NOTE = STAGING / "commit.json"
_LOCK = STAGING / "lock"

#: The running episode, and those that killed recordings left. One without rows is none.
EPISODE = STAGING / "episode"
LEFT = STAGING / "left"
ROWS = "rows"

#: A new version of a folder holds this file or folder until the change it belongs to is finished.
NEW = ".new"

#: What is done to a place: its new version comes (True), it goes (False), or a folder changes places with its new version.
Step = bool | Literal["exchange"]


class Commit:
    """Files that are to take their places together. A new one ends the time in which the last can be taken back.

    Args:
        root: folder of the dataset.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._steps: dict[str, Step] = {}
        self._flushed: set[str] = set()
        if (root / _NOTE).exists():
            raise DataError(
                f"the last change of '{root}' was not finished", path=root, hint="free space on the disk, then resume"
            )
        for folder in (_COMMIT, _BEFORE):
            shutil.rmtree(root / folder, ignore_errors=True)

    def stage(self, name: Path) -> Path:
        """Where to write the new version of a file, or where it was written; it takes its place after those before."""
        self._steps[name.as_posix()] = True
        return self.write(name)

    def write(self, name: Path) -> Path:
        """Where to write a file that is staged later; its folder exists."""
        path = self.staged(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def flush(self, names: Iterable[Path]) -> None:
        """Bring files that were written to the disk; `publish` need not wait for them then."""
        _flush_all(self.staged(name) for name in names)
        self._flushed.update(name.as_posix() for name in names)

    def link(self, name: Path, path: Path) -> None:
        """Stage a file under a second name; it is on the disk already."""
        keep(path, self.stage(name))
        self._flushed.add(name.as_posix())

    def stage_folder(self, name: Path, *, marked: bool = True) -> Path:
        """Where to write the new version of a folder, with `NEW` in it; it exists. What is in it is flushed by `publish`."""
        path = self.staged(name)
        path.mkdir(parents=True)
        if marked:
            (path / NEW).touch()
        self._steps[name.as_posix()] = "exchange"
        return path

    def staged(self, name: Path | str) -> Path:
        """Where the new version of a file was written."""
        return _within(self._root / _COMMIT, name)

    def write_text(self, name: Path, text: str) -> None:
        """Stage a text file."""
        self.stage(name).write_text(text, encoding="utf-8")

    def remove(self, name: Path) -> None:
        """Remove a file or folder when the staged ones are in place; `undo` does not bring it back."""
        self._steps[name.as_posix()] = False

    def publish(self) -> None:
        """Move everything staged into place, in the order it was staged."""
        new: list[Path] = []
        for name, step in self._steps.items():
            if step is not False and name not in self._flushed:
                path = self.staged(name)
                new += [path, *path.rglob("*")] if step == "exchange" else [path]
            if step is True and (self._root / name).exists():
                keep(self._root / name, _within(self._root / _BEFORE, name))
        _flush_all(new)
        _settle(self._root, self._steps)

    def undo(self) -> None:
        """Put everything back as it was before `publish`, in the opposite order. Once, and before the next commit."""
        placed = [name for name, step in self._steps.items() if step is True]
        before = {name: _within(self._root / _BEFORE, name) for name in reversed(placed)}
        stays: dict[str, Step] = {name: path.exists() for name, path in before.items()}
        (self._root / _COMMIT).mkdir(exist_ok=True)
        for name in (name for name, there in stays.items() if there):
            before[name].replace(self.staged(name))
        _settle(self._root, stays)


def recover(root: Path) -> None:
    """Finish a commit that was cut off after its note, throw away one cut off before, set a running episode aside."""
    finish(root)
    set_aside(root)
    forget(root)


def set_aside(root: Path) -> None:
    """Keep the running episode of a recording that was cut off from being written over."""
    rows = root / EPISODE / ROWS
    if rows.exists() and rows.stat().st_size:
        if not (root / _NOTE).exists():
            shutil.rmtree(root / _COMMIT, ignore_errors=True)  # makes room on a full disk
        taken = [int(path.name) for path in (root / LEFT).glob("*")]
        (root / LEFT).mkdir(exist_ok=True)
        (root / EPISODE).replace(root / LEFT / str(max(taken, default=-1) + 1))


def forget(root: Path) -> None:
    """Remove all that is under way, but the episodes left and the lock of whoever does so."""
    for path in (root / STAGING).glob("*"):
        if path == root / LEFT or path == root / _LOCK:
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    _remove_empty(root / STAGING, root)


def finish(root: Path) -> None:
    """Finish a commit that was cut off after its note; all else under way stays."""
    if (root / _NOTE).exists():
        _finish(root, json.loads((root / _NOTE).read_text(encoding="utf-8")))


#: How long to wait for the processes that a killed recording left behind: they end by themselves [s].
_PATIENCE = 3.0


class Claim:
    """Keeps others from changing a dataset until it is released, forgotten, or the process ends.

    Attributes:
        handle: keeps the claim for as long as any process has it open; a process that writes for this one is given it.

    Args:
        root: folder of the dataset.

    Raises:
        DataError: another process, or another writer of this one, has it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        (root / STAGING).mkdir(parents=True, exist_ok=True)
        self.handle = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        self._close = weakref.finalize(self, os.close, self.handle)
        try:
            self._lock()
        except BlockingIOError:
            self._close()
            raise DataError(
                f"'{root}' is being recorded to", path=root, hint="end that recording first, or record to another root"
            ) from None
        except OSError:  # a file system without locks
            pass

    def _lock(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while fcntl is not None:
            try:
                fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def release(self) -> None:
        """Let others change the dataset. Of what was under way stays only what `recover` needs."""
        if not (self._root / _NOTE).exists():
            set_aside(self._root)
            forget(self._root)
            (self._root / _LOCK).unlink(missing_ok=True)
            _remove_empty(self._root / LEFT, self._root)
        self._close()


def _settle(root: Path, steps: Mapping[str, Step]) -> None:
    """Note what is to be done, then do it."""
    for name in steps:  # a full disk is found out before the note
        _make((root / name).parent)
    if (root / _COMMIT).exists():
        _flush(root / _COMMIT)
    draft = root / STAGING / "commit.json.new"
    draft.write_text(json.dumps(steps), encoding="utf-8")
    _flush(draft)
    draft.replace(root / _NOTE)
    _flush(root / STAGING)
    _finish(root, steps)


def _finish(root: Path, steps: Mapping[str, Step]) -> None:
    for name, step in steps.items():
        staged, place = _within(root / _COMMIT, name), root / name
        if step == "exchange":
            if (staged / NEW).exists():
                exchange(staged, place)
        elif step:
            if staged.exists():
                staged.replace(place)
        elif place.is_dir():
            place.replace(_within(root / _COMMIT, f"{name}.old"))  # at once for those who look
        else:
            place.unlink(missing_ok=True)
            _remove_empty(place.parent, root)
    _flush_all({(root / name).parent for name, step in steps.items() if step})
    (root / _NOTE).unlink()
    shutil.rmtree(root / _COMMIT, ignore_errors=True)


def exchange(new: Path, place: Path) -> None:
    """Two folders change places, in one step where the system has one; else there is none for an instant."""
    if not place.exists():
        new.replace(place)
    elif not _exchanged(new, place):
        aside = new.with_name(new.name + ".old")
        place.replace(aside)
        new.replace(place)


def _exchanged(one: Path, other: Path) -> bool:
    """Source: renameat2(2) with RENAME_EXCHANGE; renamex_np(2) of macOS with RENAME_SWAP."""
    names, here, flag = (os.fsencode(one), os.fsencode(other)), -100, 2
    if sys.platform == "linux" and (call := getattr(ctypes.CDLL(None), "renameat2", None)) is not None:
        return bool(call(here, names[0], here, names[1], flag) == 0)
    if sys.platform == "darwin" and (call := getattr(ctypes.CDLL(None), "renamex_np", None)) is not None:
        return bool(call(*names, flag) == 0)
    return False


def _within(folder: Path, name: Path | str) -> Path:
    """The place of a file in a flat folder, which is flushed as one."""
    return folder / Path(name).as_posix().replace("/", "%")


def keep(path: Path, kept: Path) -> None:
    """A second name for a file; a copy where the file system has no second names."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, kept)
    except OSError:
        shutil.copyfile(path, kept)


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder and those above it that hold nothing; some may be gone already."""
    while folder != root and not (folder.is_dir() and any(folder.iterdir())):
        if folder.is_dir():
            folder.rmdir()
        folder = folder.parent


def _make(folder: Path) -> None:
    """A folder with those above it, of which each has its name on the disk."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir()
        _flush(folder.parent)


def _flush(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _flush_all(paths: Iterable[Path]) -> None:
    """Many at once: a disk writes them together."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(_flush, paths))
