"""Where a checkpoint or dataset named by path or repository lies on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lerobot_core.errors import CheckpointError


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
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise CheckpointError(
            f"folder '{name}' does not exist", path=folder, hint="give an existing folder or owner/name"
        )
    try:
        from huggingface_hub import snapshot_download  # optional library, imported on use
    except ImportError:
        raise CheckpointError(
            f"'{name}' is not a folder here; downloading it needs huggingface_hub",
            path=folder,
            hint='pip install "lerobot-core[hub]", or give an existing folder',
        ) from None
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns) if patterns else None))
    except (OSError, ValueError) as failure:
        raise CheckpointError(
            f"'{name}' is not a folder here and could not be downloaded: {failure}",
            path=folder,
            hint="check the name, the network and `huggingface-cli login`",
        ) from failure
