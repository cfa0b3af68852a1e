"""Where a checkpoint or dataset named by path or repository lies on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lerobot_core.errors import CheckpointError, first_sentence

#: file that tells what a folder is, and the words for it
_SIGNS = {"config.json": "a checkpoint", "meta/info.json": "a dataset", "checkpoints": "a training run"}


def holds(folder: Path) -> str:
    """What a folder holds instead of what was looked for, for the end of a message; empty where that is unknown."""
    found = [words for sign, words in _SIGNS.items() if (folder / sign).exists()]
    return f"; it holds {found[0]}" if found else ""


def resolve(path_or_repo: str | Path, revision: str | None = None, patterns: Sequence[str] | None = None) -> Path:
    """Folder of a local path or of a Hub repository, which is downloaded on first use.

    Args:
        path_or_repo: an existing folder, or `owner/name` on the Hub.
        revision: branch, tag or commit; the default branch when None.
        patterns: file patterns to download; everything when None.

    Raises:
        CheckpointError: there is no such folder and it cannot be downloaded.
    """
    folder = Path(path_or_repo).expanduser()
    if folder.is_dir():
        return folder
    name = str(path_or_repo)
    if folder.is_file():
        raise CheckpointError(f"'{name}' is a file", path=folder, hint=f"give its folder, '{folder.parent}'")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise CheckpointError(
            f"folder '{name}' does not exist", path=folder, hint="give an existing folder or owner/name"
        )
    try:
        from huggingface_hub import snapshot_download  # optional library, imported on use
    except ImportError:
        raise CheckpointError(
            f"folder '{name}' does not exist; downloading a repository needs huggingface_hub",
            path=folder,
            hint='pip install "lerobot-core[hub]", or give an existing folder',
        ) from None
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns) if patterns else None))
    except (OSError, ValueError) as failure:
        raise CheckpointError(
            f"folder '{name}' does not exist, and could not be downloaded: {first_sentence(failure)}",
            path=folder,
            hint="check the path; for a repository, the name, the network and `huggingface-cli login`",
        ) from failure
