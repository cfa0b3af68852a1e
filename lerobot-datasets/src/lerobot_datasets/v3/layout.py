"""Where things lie in a dataset folder and which file comes next. Knows names, opens nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from lerobot_core.errors import DataError

INFO = Path("meta/info.json")
STATS = Path("meta/stats.json")
TASKS = Path("meta/tasks.parquet")
DATA = Path("data")
EPISODES = Path("meta/episodes")
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
STAMPS_PATH = "stamps/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"

MIB = 1024**2


class Place(NamedTuple):
    """One of the numbered files of a dataset."""

    chunk: int = 0
    file: int = 0

    def next(self, chunks_size: int) -> Place:
        """The file after this one, in a new chunk when this one is full."""
        return Place(self.chunk + 1, 0) if self.file == chunks_size - 1 else Place(self.chunk, self.file + 1)

    def path(self, template: str, video_key: str = "") -> Path:
        """Path within the dataset folder. Templates of v2.x name a file after its only episode."""
        names = {"chunk_index": self.chunk, "file_index": self.file}
        before = {"episode_chunk": self.chunk, "episode_index": self.file}
        return Path(template.format(**names, **before, video_key=video_key))


def home() -> Path:
    """Folder of local datasets: $HF_LEROBOT_HOME, else $HF_HOME/lerobot, else ~/.cache/huggingface/lerobot.

    Raises:
        DataError: the variable LEROBOT_HOME of old releases is set.
    """
    if "LEROBOT_HOME" in os.environ:
        raise DataError(
            f"the variable LEROBOT_HOME is set ('{os.environ['LEROBOT_HOME']}'), which nothing reads any more",
            hint="unset it and set HF_LEROBOT_HOME instead",
        )
    if "HF_LEROBOT_HOME" in os.environ:
        return Path(os.environ["HF_LEROBOT_HOME"]).expanduser()
    return Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser() / "lerobot"


def replacing(root: Path) -> tuple[Path, Path]:
    """What lies beside a dataset while an edit in place replaces it: the new one, and the old one."""
    return root.with_name(f".{root.name}.new"), root.with_name(f".{root.name}.old")


def require_settled(root: Path) -> None:
    """
    Raises:
        DataError: an edit that replaces the dataset was killed, or is at it, between moving the old and the new one.
    """
    if root.name and not root.exists() and any(path.exists() for path in replacing(root)):
        raise DataError(
            f"'{root}' is being replaced by an edit in place, or was when that was killed: it lies beside its place",
            path=root,
            hint=f"where no edit runs, `lr dataset repair {root}` moves it there",
        )


def local_root(repo_id: str, root: str | Path | None = None) -> Path:
    """Folder of a dataset: `root` as it is, else the dataset's place under `home()`."""
    return Path(root).expanduser() if root is not None else home() / repo_id
