"""Push a dataset to the Hub: data first, then metadata, then the card, and the version tag last.

Readers look for the tag, so that they see the state before until everything of the new one is there. A push that broke
off is simply done again: the Hub says which files it has, and those are not sent twice.

Each step waits for the one before, and may be one commit or, where hf-xet sends large files, several: nothing here takes
an upload for atomic. The order of the steps and the tag are what readers can rely on, by either way.
"""

from __future__ import annotations

from collections.abc import Sequence
from glob import escape
from pathlib import Path
from typing import Any

import attrs

from lerobot_core.errors import DataError, few
from lerobot_datasets import hub
from lerobot_datasets.card import LICENSE, card, own_card
from lerobot_datasets.v3.metadata import RESTORE
from lerobot_datasets.v3.reader import Reader


@attrs.frozen(kw_only=True)
class Push:
    """What a push does.

    Attributes:
        root: folder of the dataset.
        repo_id: `owner/name` on the Hub.
        files: tables and videos to send, as paths within the folder.
        strays: files under data/ and videos/ that belong to no episode; they stay here.
        size: of all that is sent [bytes].
        videos: whether the videos are sent.
        card: text of the README.
        own_card: whether that is the README that lies in the folder.
        tag: version tag to set.
    """

    root: Path
    repo_id: str
    files: list[str]
    strays: list[str]
    size: int
    videos: bool
    card: str
    own_card: bool
    tag: str


def plan(root: Path, repo_id: str, *, license: str = LICENSE, tags: Sequence[str] = (), videos: bool = True) -> Push:
    """What pushing this folder would send; touches no network.

    Raises:
        DataError: the folder holds no whole dataset, or the name is not `owner/name`.
    """
    hub.require_name(repo_id)
    reader = Reader(root)
    kinds = ("data", "videos") if videos else ("data",)
    files = [name for name in hub.files(reader) if name.startswith(kinds)]
    if not files:
        raise DataError(f"'{root}' has no episodes", path=root, hint="record some first")
    if missing := [name for name in files if not (root / name).is_file()]:
        raise DataError(f"'{root}' lacks {few(missing, 3)}", path=root, hint=RESTORE)
    present = [path for kind in kinds for path in (root / kind).rglob("*") if path.is_file()]
    strays = {path.relative_to(root).as_posix() for path in present} - set(files)
    sent = [*(root / name for name in files), *(path for path in (root / "meta").rglob("*") if path.is_file())]
    own = own_card(root)
    return Push(
        root=root,
        repo_id=repo_id,
        files=files,
        strays=sorted(strays),
        size=sum(path.stat().st_size for path in sent),
        videos=videos,
        card=own if own is not None else card(reader, repo_id, license, tags),
        own_card=own is not None,
        tag=reader.info.codebase_version,
    )


def push(what: Push, *, private: bool | None = None, branch: str | None = None) -> str:
    """Create the repository where it is missing and send the dataset to it; returns its address.

    Args:
        what: the plan.
        private: who may see a repository that is created: only its owner, everybody, or as the owner has set.
        branch: branch to push to, made where it is missing; the default branch when not given.

    Raises:
        DataError: the repository is public and `private` was asked for, the Hub refused, or the connection broke; pushing
            again sends what is missing.
    """
    with hub.connected(f"push '{what.root}' to '{what.repo_id}'") as api:
        _require_online(what)
        repository = api.create_repo(what.repo_id, repo_type="dataset", private=private, exist_ok=True)
        if private and not api.dataset_info(what.repo_id).private:
            raise DataError(
                f"'{what.repo_id}' exists and everybody may see it; nothing was sent",
                hint="make it private in its settings, push to another name, or leave out --private",
            )
        if branch:
            api.create_branch(what.repo_id, repo_type="dataset", branch=branch, exist_ok=True)
        _send(api, what, branch)
        commit = api.upload_file(
            repo_id=what.repo_id,
            repo_type="dataset",
            revision=branch,
            path_or_fileobj=what.card.encode(),
            path_in_repo="README.md",
            commit_message="Card",
        )
        _tag(api, what, commit.oid)
    return str(repository)


def _require_online(what: Push) -> None:
    if hub.offline():
        raise DataError(
            f"cannot push to '{what.repo_id}' while HF_HUB_OFFLINE is set",
            path=what.root,
            hint=f"unset it, then `lr dataset push {what.root} {what.repo_id}`",
        )


def _send(api: Any, what: Push, branch: str | None) -> None:
    """Data and videos, then metadata; what the dataset no longer has is deleted on the branch, not in its history."""
    data = ["data/*", "videos/*"] if what.videos else ["data/*"]
    for patterns, message in ((data, "Data"), ([hub.META], "Metadata")):
        api.upload_folder(
            repo_id=what.repo_id,
            repo_type="dataset",
            revision=branch,
            folder_path=what.root,
            allow_patterns=patterns,
            ignore_patterns=[escape(name) for name in what.strays] or None,
            delete_patterns=patterns,
            commit_message=message,
        )


def _tag(api: Any, what: Push, commit: str) -> None:
    """Let the version tag name this commit. Tags cannot be moved, so an old one is deleted first."""
    tags = api.list_repo_refs(what.repo_id, repo_type="dataset").tags
    if any(tag.name == what.tag for tag in tags):
        api.delete_tag(what.repo_id, repo_type="dataset", tag=what.tag)
    api.create_tag(what.repo_id, repo_type="dataset", tag=what.tag, revision=commit)
