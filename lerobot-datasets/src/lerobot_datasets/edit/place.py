"""Where a new dataset is written and how it gets to its place: whole or not at all, also where it replaces another.

A draft lies beside its place as `.NAME.PROCESS`. One that replaces a dataset is complete when it is called `.NAME.new`;
then the old dataset becomes `.NAME.old`, the new one takes its name, and the old one goes. Killed at any instant of
this, `recover` finishes it or puts back what was there. What an edit encodes is kept beside both as `.NAME.encoded` until the
dataset is in its place: encoding takes hours, and goes on after an interruption. Knows folders, not what is in them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from lerobot_core.errors import DataError
from lerobot_datasets.edit.plan import Plan
from lerobot_datasets.v3 import journal, layout


def draft_of(target: Path) -> Path:
    """Where this process writes what is to be `target`."""
    return target.parent / f".{target.name}.{os.getpid()}"


def encoded_of(target: Path) -> Path:
    """Where the videos that are encoded for `target` are until it is there."""
    return target.absolute().parent / f".{target.absolute().name}.encoded"


def encoded(target: Path) -> int:
    """How many videos an attempt that was interrupted has encoded."""
    return sum(path.stem.isalnum() for path in encoded_of(target).glob("*.mp4"))


def recover(target: Path) -> None:
    """Finish a replacement of this folder that was cut off, and remove the drafts that killed edits left beside it."""
    new, old = layout.replacing(target)
    if not target.exists():
        if new.exists():
            new.rename(target)
        elif old.exists():
            old.rename(target)
    left = [path for path in (new, old) if path.exists()] if target.exists() else []
    left += [path for path in target.parent.glob(f".{target.name}.*") if _is_left(path)]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)


def _is_left(draft: Path) -> bool:
    """Whether a draft is of a process that is no more."""
    number = draft.suffix[1:]
    if not number.isdigit() or os.name == "nt":  # there, to ask about a process is to end it
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def require_free(plan: Plan, target: Path, *, in_place: bool = False) -> None:
    """
    Raises:
        DataError: something is there, or a source is around it; in place, it is not the source, of v2.x, being recorded
            to, or holds an unfinished episode.
    """
    roots = [source.root.resolve() for source in plan.sources]
    if in_place:
        if [target.resolve()] != roots or target.is_symlink():
            raise DataError(f"'{target}' is not the folder of the dataset edited in place", path=target)
        if (version := plan.sources[0].info.codebase_version).startswith("v2."):
            raise DataError(
                f"'{target}' is in format {version}, what is written is v3.0", path=target, hint="give another folder"
            )
        if (target / journal.STAGING).exists():
            raise DataError(
                f"'{target}' is being recorded to, or holds an episode that a killed recording left",
                path=target,
                hint=f"end the recording, or `lr dataset repair {target}`; or write to another folder",
            )
        return
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(f"'{target}' exists", path=target, hint="choose another output_dir")
    if inside := [root for root in roots if target.resolve().is_relative_to(root)]:
        raise DataError(f"'{target}' is in the dataset '{inside[0]}'", path=target, hint="choose another output_dir")


def carry_over(root: Path, draft: Path) -> None:
    """Copy what lies in a dataset's folder and is none of the format's files: a card, notes, tables of other tools."""
    ours = {
        root: {"data", "videos", "meta", "stamps"},
        root / "meta": {"info.json", "stats.json", "tasks.parquet", "episodes"},
    }
    for folder, names in ours.items():
        for path in folder.iterdir():
            if path.name not in names | {journal.STAGING.name}:
                copy = shutil.copytree if path.is_dir() else shutil.copy2
                copy(path, draft / path.relative_to(root))


def flush(folder: Path) -> None:
    """See that everything is on the disk before it takes another's place."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def publish(draft: Path, target: Path) -> None:
    """Move the new dataset into place; what was there before goes when it is."""
    if not (target / layout.INFO).exists():
        if target.exists():
            target.rmdir()  # an empty folder somebody made
        draft.rename(target)
        return
    new, old = layout.replacing(target)
    draft.rename(new)
    try:
        target.rename(old)
        new.rename(target)
    finally:
        if not target.exists():  # it failed, or was interrupted, in between
            old.rename(target)
        with contextlib.suppress(OSError):
            new.rename(draft)
    shutil.rmtree(old, ignore_errors=True)
