"""Where a dataset lies: on this machine, or fetched from the Hub, whole or only the files of some episodes.

Knows repositories and which file holds which episode; what is in the files is the reader's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from glob import escape
from pathlib import Path
from typing import Any

from lerobot_core.errors import DataError, few, first_sentence
from lerobot_datasets import versions
from lerobot_datasets.v3 import layout
from lerobot_datasets.v3.metadata import VERSION
from lerobot_datasets.v3.reader import Reader

META = "meta/*"
#: What belongs to a dataset whichever episodes are asked for: its card and tables of rewards.
_BESIDE = ("README.md", "*_progress.parquet")
_AGAIN = "do the same again: what arrived is kept"

#: Class of a failure, nearest first along its ancestors → what it means, and what to do.
_REASONS = {
    "OfflineModeIsEnabled": ("HF_HUB_OFFLINE is set", "unset it, or use a dataset that is on this machine"),
    "GatedRepoError": (
        "its owner grants access on request",
        "ask for it on the repository's page, then `hf auth login` or set HF_TOKEN",
    ),
    "RepositoryNotFoundError": (
        "no such repository, or it is private and you are not logged in as one who may see it",
        "check the name; `hf auth login` or set HF_TOKEN",
    ),
    "RevisionNotFoundError": ("it has no such revision", "name one of its branches, tags or commits"),
    "LocalEntryNotFoundError": (
        "not all of it is on this machine, and HF_HUB_OFFLINE is set or the Hub cannot be reached",
        f"go online and {_AGAIN}",
    ),
    "TransportError": ("the Hub cannot be reached", f"check the network and HF_ENDPOINT, then {_AGAIN}"),
    "ConnectionError": ("the Hub cannot be reached", f"check the network and HF_ENDPOINT, then {_AGAIN}"),
}
#: Large files go to a store beside the Hub where hf-xet is installed. What guards a network may not let that through.
_XET = (
    "its store of large files (xet) cannot be reached",
    f"check the network, or set HF_HUB_DISABLE_XET=1 to send them to the Hub itself, then {_AGAIN}",
)
_STATUSES = {
    401: ("the Hub does not accept the login", "`hf auth login` again, or correct HF_TOKEN"),
    403: ("your login may not do this", "use a token with write access, or ask the repository's owner or organisation"),
    429: ("the Hub asks to wait, there were too many requests", f"wait some minutes, then {_AGAIN}"),
}


@contextmanager
def connected(asked: str) -> Iterator[Any]:
    """The Hub's client, imported on use; what fails within is told in the user's words.

    Args:
        asked: what is done, as "download dataset 'owner/name'", for messages.

    Raises:
        DataError: huggingface_hub is missing, or a request failed.
    """
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        raise DataError(f"to {asked} needs huggingface_hub", hint='pip install "lerobot-core[hub]"') from None
    network = HfHubHTTPError.__mro__[1]  # the failures of whichever library it reaches the network by
    try:
        yield HfApi()
    except (OSError, ValueError, RuntimeError, network) as failure:  # RuntimeError: its uploads, around the cause
        reason, hint = explain(failure)
        raise DataError(f"could not {asked}: {reason}", hint=hint) from failure


def explain(failure: BaseException) -> tuple[str, str]:
    """What a failed request means, and what to do."""
    causes = [failure]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    for cause in causes:
        if (found := _known(cause)) is not None:
            return found
    return first_sentence(failure), f"check the name, the network and `hf auth login`, then {_AGAIN}"


def _known(failure: BaseException) -> tuple[str, str] | None:
    if isinstance(failure, ConnectionError) and "xet" in str(failure).lower():
        return _XET
    for ancestor in type(failure).__mro__:
        if ancestor.__name__ in _REASONS:
            return _REASONS[ancestor.__name__]
    status = getattr(getattr(failure, "response", None), "status_code", None)
    if status is not None and status >= 500:
        return f"the Hub is out of order (status {status})", f"wait some minutes, then {_AGAIN}"
    return _STATUSES.get(status)


def offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids the network. Needs huggingface_hub."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def require_name(repo_id: str) -> None:
    """
    Raises:
        DataError: it is not `owner/name`.
    """
    owner, _, name = repo_id.partition("/")
    if not owner or not name or "/" in name or repo_id.startswith((".", "~")):
        raise DataError(f"'{repo_id}' is not the name of a repository", hint="give owner/name")


def locate(
    repo_id: str,
    root: str | Path | None = None,
    revision: str | None = None,
    *,
    patterns: Sequence[str] | None = None,
    episodes: Sequence[int] | None = None,
    force: bool = False,
) -> Path:
    """Folder of a dataset: `root`, else its place under $HF_LEROBOT_HOME, else a copy pulled from the Hub.

    `patterns` and `episodes` say what to pull, as for `pull`; `force` pulls even if it is here.

    Raises:
        DataError: it is in none of these places.
    """
    folder = layout.local_root(repo_id, root)
    if root is not None or ((folder / layout.INFO).is_file() and not force):
        return folder
    for place in (folder, Path(repo_id).expanduser()):
        layout.require_settled(place)
    if repo_id.count("/") != 1 or repo_id.startswith((".", "/", "~")):
        raise DataError(f"no dataset in '{folder}'", path=folder, hint="give the folder as root, or owner/name")
    return pull(repo_id, revision, patterns=patterns, episodes=episodes)


def pull(
    repo_id: str,
    revision: str | None = None,
    *,
    patterns: Sequence[str] | None = None,
    episodes: Sequence[int] | None = None,
    root: Path | None = None,
) -> Path:
    """Download a dataset, or what is still missing of it, and return its folder.

    Args:
        repo_id: `owner/name`.
        revision: version, branch, tag or commit; the version of the format that is written here when not given.
        patterns: which files, as `meta/*`; all when not given. The metadata always comes.
        episodes: only the tables and videos that hold these episodes.
        root: folder to put it in, where its metadata arrives last; the cache under $HF_LEROBOT_HOME when not given.

    Raises:
        DataError: it cannot be downloaded, has no such revision or episode, lacks a file, or `root` holds another.
    """
    require_name(repo_id)
    with connected(f"download dataset '{repo_id}'") as api:
        wanted = versions.choose(repo_id, revision or VERSION, _revisions(api, repo_id))
        get = partial(api.snapshot_download, repo_id, repo_type="dataset", cache_dir=layout.home() / "hub")
        meta = Path(get(revision=wanted, allow_patterns=[META]))
        _require_dataset(meta, repo_id, wanted)
        if root is not None:
            _require_same(root, meta, repo_id)
        names = [] if episodes is None else _files_of(meta, episodes, patterns)
        allowed = patterns if episodes is None else [*map(escape, names), *_BESIDE]
        place = {} if root is None else {"local_dir": root, "ignore_patterns": [META]}
        if allowed != [META]:  # by commit: the tag may have moved since
            get(revision=meta.name, allow_patterns=None if allowed is None else list(allowed), **place)
        folder = root or meta
        if missing := [name for name in names if not (folder / name).is_file()]:
            raise DataError(f"'{repo_id}' at '{wanted}' lacks {few(missing, 3)}", hint="its owner must push it again")
        if root is not None:
            _copy_meta(meta, root)
    return folder


def _revisions(api: Any, repo_id: str) -> list[str]:
    """Tags and branches of a repository; offline, those of which something was downloaded before."""
    if offline():
        owner, name = repo_id.split("/")
        cached = layout.home() / "hub" / f"datasets--{owner}--{name}" / "refs"
        if names := sorted(path.name for path in cached.glob("*")):
            return names
        raise DataError(
            f"'{repo_id}' was not downloaded before, and HF_HUB_OFFLINE is set",
            hint="unset HF_HUB_OFFLINE, or give a dataset's folder as root",
        )
    found = api.list_repo_refs(repo_id, repo_type="dataset")
    return [ref.name for ref in (*found.tags, *found.branches)]


def _require_dataset(meta: Path, repo_id: str, revision: str) -> None:
    if not (meta / layout.INFO).is_file():
        raise DataError(
            f"'{repo_id}' at '{revision}' is not a dataset: it has no {layout.INFO}",
            hint="check the name and the revision",
        )


def _require_same(root: Path, meta: Path, repo_id: str) -> None:
    present = root / layout.INFO
    if present.is_file() and present.read_bytes() != (meta / layout.INFO).read_bytes():
        raise DataError(
            f"'{root}' holds another dataset, or another state of '{repo_id}'",
            path=root,
            hint="give another --root, or move that folder away",
        )


def _files_of(meta: Path, episodes: Sequence[int], patterns: Sequence[str] | None) -> list[str]:
    reader = Reader(meta, episodes)
    if not reader.selection:
        raise DataError(
            f"no episode of {list(episodes)} exists",
            hint=f"its {reader.info.total_episodes} episodes are numbered from 0",
        )
    names = files(reader)
    return names if patterns is None else [n for n in names if any(fnmatchcase(n, pattern) for pattern in patterns)]


def files(reader: Reader) -> list[str]:
    """Paths of the tables and videos that hold the selected episodes, within the dataset's folder, sorted."""
    info, rows, out = reader.info, reader.episodes, set[str]()
    for prefix in ("data", *(f"videos/{key}" for key in info.video_keys)):
        if not len(rows):
            break
        places = zip(rows[f"{prefix}/chunk_index"].tolist(), rows[f"{prefix}/file_index"].tolist(), strict=True)
        for place in {layout.Place(*place) for place in places}:
            key = prefix.partition("/")[2]
            out.add((info.video_file(place, key) if key else info.data_file(place)).as_posix())
    return sorted(out)


def _copy_meta(meta: Path, root: Path) -> None:
    """Copy the metadata; info.json is the last, as it makes the folder a dataset."""
    paths = [path for path in (meta / "meta").rglob("*") if path.is_file()]
    for path in sorted(paths, key=lambda path: path == meta / layout.INFO):
        target = root / path.relative_to(meta)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        shutil.copyfile(path, part)
        os.replace(part, target)
