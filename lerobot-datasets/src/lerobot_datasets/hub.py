"""Where a dataset lies: on this machine, or fetched from the Hub. Knows folders and repositories, not what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lerobot_core.errors import DataError
from lerobot_datasets.v3 import layout
from lerobot_datasets.v3.metadata import VERSION


def locate(
    repo_id: str,
    root: str | Path | None = None,
    revision: str | None = None,
    *,
    patterns: list[str] | None = None,
    force: bool = False,
) -> Path:
    """Folder of a dataset: `root`, else its place under $HF_LEROBOT_HOME, else a copy fetched from the Hub.

    Raises:
        DataError: it is in none of these places.
    """
    folder = layout.local_root(repo_id, root)
    if root is not None or ((folder / layout.INFO).is_file() and not force):
        return folder
    return fetch(repo_id, revision, patterns)


def fetch(repo_id: str, revision: str | None = None, patterns: Sequence[str] | None = None) -> Path:
    """Folder of a copy of the dataset repository in the cache under $HF_LEROBOT_HOME, downloaded on first use.

    Args:
        repo_id: `owner/name`.
        revision: version tag, branch or commit; the tag of this format version when not given.
        patterns: file patterns to download; everything when not given.

    Raises:
        DataError: it cannot be downloaded.
    """
    folder = layout.home() / repo_id
    if repo_id.count("/") != 1 or repo_id.startswith((".", "/", "~")):
        raise DataError(f"no dataset in '{folder}'", path=folder, hint="give the folder as root, or owner/name")
    try:
        from huggingface_hub import snapshot_download  # optional library, imported on use
    except ImportError:
        raise DataError(
            f"no dataset in '{folder}'; downloading '{repo_id}' needs huggingface_hub",
            path=folder,
            hint='pip install "lerobot-core[hub]", or give the folder as root',
        ) from None
    try:
        return Path(
            snapshot_download(
                repo_id,
                repo_type="dataset",
                revision=revision or VERSION,
                allow_patterns=list(patterns) if patterns else None,
                cache_dir=layout.home() / "hub",
            )
        )
    except (OSError, ValueError) as failure:
        raise DataError(
            f"no dataset in '{folder}', and '{repo_id}' could not be downloaded: {failure}",
            path=folder,
            hint="check the name, the network and `huggingface-cli login`",
        ) from failure
