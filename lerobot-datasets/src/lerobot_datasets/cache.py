"""What was made of a dataset's files, kept so that opening it again reads none of them.

An entry belongs to the path, size and time of change of every file it is made of; when one of them changes, it is made anew
and the old one removed. Safe for several processes; where nothing can be written, nothing is kept. Knows files, not what
is in them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)

#: Raised when entries are laid out differently.
_FORMAT = 1

_FILES = "files.json"
_ROOT = "root.txt"
_PART = ".part"
_ABANDONED_SECONDS = 24 * 3600
_PATIENCE_SECONDS = 2.0


def home() -> Path:
    """Folder of all caches: $XDG_CACHE_HOME/lerobot_datasets, else ~/.cache/lerobot_datasets."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lerobot_datasets"


class Cache:
    """The cache of one dataset folder; nothing is written before the first entry."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self.folder = home() / _digest(str(self._root))

    def entry(self, name: str, files: Sequence[Path], build: Callable[[Path], None], extra: str = "") -> Path | None:
        """The folder of an entry, built if it is not there; None where it cannot be kept.

        Args:
            name: what it is; entries of one name that are out of date are removed.
            files: what it is made of.
            build: fills a new folder.
            extra: whatever else it depends on.
        """
        made_of = [_stamp(path) for path in files]
        place = self.folder / f"{name}-{_digest(json.dumps([_FORMAT, extra, made_of]))}"
        if place.is_dir():
            return place
        try:
            self._prepare()
            part = Path(tempfile.mkdtemp(prefix=f"{place.name}.", suffix=_PART, dir=self.folder))
        except OSError as error:
            logger.info("nothing is cached in '%s': %s", self.folder, error)
            return None
        try:
            build(part)
            (part / _FILES).write_text(json.dumps(made_of), encoding="utf-8")
            _sync(part)
            if [_stamp(path) for path in files] == made_of:  # else they changed while they were read
                part.rename(place)
        except OSError as error:  # a full disk; or another process was first
            logger.info("'%s' is not cached: %s", place, error)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        self._remove_stale(name, place)
        return place if place.is_dir() else None

    def file(self, name: str, source: Path, build: Callable[[Path], None]) -> Path | None:
        """As `entry`, of one file that is made of one file."""
        name = f"{name}-{_digest(str(source))}"
        place = self.folder / f"{name}-{_digest(json.dumps([_FORMAT, _stamp(source)]))}"
        if place.is_file():
            return place
        part = place.with_name(f"{place.name}.{os.getpid()}{_PART}")
        try:
            self._prepare()
            build(part)
            part.replace(place)
        except OSError as error:
            logger.info("'%s' is not cached: %s", place, error)
            with suppress(OSError):
                part.unlink()
            return None
        for other in self.folder.glob(f"{name}-*"):
            if other != place and other.suffix != _PART:
                other.unlink(missing_ok=True)
        return place

    def remove(self, place: Path) -> None:
        """Forget an entry that turned out to be broken."""
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)

    def _prepare(self) -> None:
        """Make the folder; the first time, remove the caches of datasets that are gone."""
        if self.folder.is_dir():
            return
        self.folder.mkdir(parents=True)
        (self.folder / _ROOT).write_text(str(self._root), encoding="utf-8")
        for root in home().glob(f"*/{_ROOT}"):
            try:
                gone = not Path(root.read_text(encoding="utf-8")).is_dir()
            except OSError:  # another process is removing it
                continue
            if gone:
                shutil.rmtree(root.parent, ignore_errors=True)

    def _remove_stale(self, name: str, place: Path) -> None:
        for other in self.folder.glob(f"{name}-*"):
            if other != place and other.is_dir() and _is_stale(other):
                shutil.rmtree(other, ignore_errors=True)


def _is_stale(folder: Path) -> bool:
    """Whether a file that the entry is made of has changed, or whoever built it is long gone."""
    try:
        if folder.suffix == _PART:
            return time.time() - folder.stat().st_mtime > _ABANDONED_SECONDS
        made_of = json.loads((folder / _FILES).read_text(encoding="utf-8"))
        return any(_stamp(Path(path)) != [path, *stamp] for path, *stamp in made_of)
    except (OSError, ValueError):
        return True


def _sync(folder: Path) -> None:
    """After a power failure an entry is whole or not there."""
    for path in folder.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def _stamp(path: Path) -> list[str | int]:
    try:
        found = path.stat()
    except OSError:
        return [str(path), -1, -1]
    return [str(path), found.st_size, found.st_mtime_ns]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal's stderr for what takes longer than two seconds; gives what tells it how much was done."""
    import rich.console  # only what is built waits for it, not what is opened
    import rich.progress

    console, begun = rich.console.Console(stderr=True), time.monotonic()
    bar = rich.progress.Progress(console=console, transient=True, disable=not console.is_terminal)
    task, running = bar.add_task(what, total=total), False

    def advance(amount: int) -> None:
        nonlocal running
        bar.advance(task, amount)
        if not running and time.monotonic() - begun > _PATIENCE_SECONDS:
            bar.start()
            running = True

    try:
        yield advance
    finally:
        if running:
            bar.stop()
