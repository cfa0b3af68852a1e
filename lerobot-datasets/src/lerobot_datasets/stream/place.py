"""Where a dataset to be streamed lies, and its metadata copied to this machine: it is small, and wanted whole."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lerobot_core.errors import DataError
from lerobot_datasets import hub
from lerobot_datasets.stream.cache import ByteCache
from lerobot_datasets.stream.store import Store, is_url
from lerobot_datasets.v3 import layout, metadata
from lerobot_datasets.v21 import metadata as v21

#: Bytes copied at once.
_COPIED = 16 << 20


def locate(
    repo_id: str,
    root: str | Path | None,
    revision: str | None,
    *,
    cache: ByteCache,
    force: bool = False,
    options: Mapping[str, Any] | None = None,
) -> tuple[Path, Store]:
    """A folder with the metadata, and where everything else lies.

    `root` is a folder or an address; without it the dataset is under $HF_LEROBOT_HOME or, as with `force`, on the Hub. The
    folder of an address is the caller's to remove.

    Raises:
        DataError: it is in none of these places, or cannot be reached.
    """
    if is_url(root):
        store = Store(str(root), cache, options)
        folder = Path(tempfile.mkdtemp(prefix="lerobot-meta-"))
        fetch_meta(store, folder)
        return folder, store
    folder = hub.locate(repo_id, root, revision, patterns=[hub.META], force=force)
    if root is not None or folder == layout.local_root(repo_id) or hub.offline():
        return folder, Store(folder, cache)
    return folder, Store(f"hf://datasets/{repo_id}@{folder.name}", cache, options)  # by commit: a tag may move


def fetch_meta(store: Store, folder: Path) -> None:
    """Copy everything under `meta/` to a folder.

    Raises:
        DataError: there is no dataset, or the place cannot be reached.
    """
    _copy(store, layout.INFO.as_posix(), folder)
    names = _listed(store)
    for name in names if names else _known(store, folder):
        if name != layout.INFO.as_posix():
            _copy(store, name, folder)


def _listed(store: Store) -> list[str]:
    """Paths of the files under `meta/`; none where a place cannot list its files."""
    folder = store.name("meta")
    try:
        found = store.fs.find(folder)
    except (FileNotFoundError, NotImplementedError):
        return []
    start = store.fs._strip_protocol(folder).rstrip("/") + "/"
    return [f"meta/{path.removeprefix(start)}" for path in found if path.startswith(start)]


def _known(store: Store, folder: Path) -> Iterator[str]:
    """Paths of the files under `meta/` that are there, asked for one by one."""
    if metadata.major(folder) == "2":
        names = (v21.TASKS, v21.EPISODES, v21.EPISODES_STATS, layout.STATS)
        yield from (name.as_posix() for name in names if _is_there(store, name.as_posix()))
        return
    info = metadata.read_info(folder)
    yield from (name.as_posix() for name in (layout.TASKS, layout.STATS) if _is_there(store, name.as_posix()))
    place, found = layout.Place(), 0
    while found < info.total_episodes:
        name = place.path(layout.EPISODES_PATH).as_posix()
        yield name  # is copied before the next line
        found += pq.read_metadata(folder / name).num_rows
        place = place.next(info.chunks_size)


def _is_there(store: Store, path: str) -> bool:
    try:
        store.size(path)
    except DataError as failure:
        if isinstance(failure.__context__, FileNotFoundError):
            return False
        raise
    return True


def _copy(store: Store, path: str, folder: Path) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    size = store.size(path)
    with target.open("wb") as file:
        for start in range(0, size, _COPIED):
            file.write(store.fetch(path, start, min(start + _COPIED, size)))
