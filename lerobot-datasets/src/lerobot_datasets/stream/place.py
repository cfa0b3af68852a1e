"""Where a dataset to be streamed lies, and its metadata copied to this machine: it is small, and wanted whole."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from shutil import rmtree
from typing import Any

import attrs
import pyarrow.parquet as pq

from lerobot_core.errors import DataError
from lerobot_datasets import hub
from lerobot_datasets.stream.cache import ByteCache
from lerobot_datasets.stream.store import Store, is_url
from lerobot_datasets.v3 import layout, metadata
from lerobot_datasets.v21 import metadata as v21

#: Bytes copied at once.
_COPIED = 16 << 20


@attrs.frozen(eq=False, weakref_slot=True)
class Located:
    """A dataset found.

    Attributes:
        folder: a folder with its metadata; one that was made for it goes with the last reference to this object.
        store: where everything else lies.
    """

    folder: Path
    store: Store


def locate(
    repo_id: str,
    root: str | Path | None = None,
    revision: str | None = None,
    *,
    force: bool = False,
    cache_bytes: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Located:
    """Find a dataset: `root` is a folder or an address; else it is under $HF_LEROBOT_HOME or, as with `force`, on the Hub.

    Raises:
        DataError: it is in none of these places, or cannot be reached.
    """
    cache = ByteCache(cache_bytes)
    if is_url(root):
        found = Located(Path(tempfile.mkdtemp(prefix="lerobot-meta-")), Store(str(root), cache, options))
        weakref.finalize(found, rmtree, found.folder, ignore_errors=True)
        fetch_meta(found.store, found.folder)
        return found
    folder = hub.locate(repo_id, root, revision, patterns=[hub.META], force=force)
    if root is not None or folder == layout.local_root(repo_id) or hub.offline():
        return Located(folder, Store(folder, cache))
    address = f"hf://datasets/{repo_id}@{folder.name}"  # by commit: a tag may move
    return Located(folder, Store(address, cache, options))


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
