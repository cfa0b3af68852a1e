"""The files of a dataset wherever they lie: a folder, or any place fsspec reaches, whose connections may break.

Knows paths and bytes, no tables and no videos. fsspec is imported on use.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lerobot_core.errors import DataError, first_sentence
from lerobot_datasets.stream.cache import ByteCache

logger = logging.getLogger(__name__)

#: Bytes of a remote file are fetched and kept in parts of this size.
BLOCK = 256 * 1024

#: Seconds from a failure to the next attempt.
PAUSES = (0.5, 1.0, 2.0, 4.0)

#: Bytes at the end of a table that are fetched with its footer.
_FOOTER = 64 * 1024

#: Most bytes fetched at once of a file that is read through.
_AHEAD = 8 << 20

_INCOMPLETE = "the dataset is incomplete; its owner must copy or push the file again"
_NO_PARTS = "the place must serve parts of files"

#: These will be no better at the next attempt.
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, TypeError, AttributeError)


def is_url(root: str | Path | None) -> bool:
    """Whether a dataset's root is a place for fsspec, as `s3://…`."""
    return isinstance(root, str) and "://" in root


class Store:
    """The files below a place.

    Args:
        place: a folder, or the address of one.
        cache: keeps what was fetched.
        options: arguments of fsspec's file system, as keys and endpoints.

    Raises:
        DataError: fsspec or what it needs for this kind of place is missing.
    """

    def __init__(self, place: str | Path, cache: ByteCache, options: Mapping[str, Any] | None = None) -> None:
        self.place, self.cache, self.options = place, cache, dict(options or {})
        self.is_local = not is_url(place)
        self._sizes: dict[str, int] = {}
        self._fs: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_fs": None}

    def name(self, path: str | PurePosixPath) -> str:
        """A file's whole address, for messages too."""
        return f"{str(self.place).rstrip('/')}/{path}"

    def local(self, path: str | PurePosixPath) -> Path:
        """Path of a file of a folder."""
        return Path(self.place) / path

    @property
    def fs(self) -> Any:
        if self._fs is None:
            self._fs = file_system(str(self.place), self.options)
        return self._fs

    def size(self, path: str) -> int:
        """Bytes of a file.

        Raises:
            DataError: there is no such file, or the place cannot be reached.
        """
        if path not in self._sizes:
            found = self._patiently(path, lambda: self.fs.info(self.name(path))["size"])
            if found is None:
                raise DataError(f"'{self.name(path)}' does not say its size", path=self.name(path), hint=_NO_PARTS)
            self._sizes[path] = int(found)
        return self._sizes[path]

    def read(self, path: str, offset: int, size: int) -> bytes:
        """Some bytes of a file, past whose end there are none; what is read again soon is not fetched again.

        Raises:
            DataError: there is no such file, or the place cannot be reached.
        """
        stop = min(offset + size, self.size(path))
        if stop <= offset:
            return b""
        first, last = offset // BLOCK, (stop - 1) // BLOCK
        blocks = [self._block(path, number) for number in range(first, last + 1)]
        if len(blocks) == 1:
            return blocks[0][offset - first * BLOCK : stop - first * BLOCK]
        return b"".join(blocks)[offset - first * BLOCK : stop - first * BLOCK]

    def _block(self, path: str, number: int) -> bytes:
        start = number * BLOCK
        stop = min(start + BLOCK, self.size(path))

        def fetch() -> tuple[bytes, int]:
            return self.fetch(path, start, stop), stop - start

        found: bytes = self.cache.get((path, number), fetch)
        return found

    def fetch(self, path: str, start: int, stop: int) -> bytes:
        """Some bytes of a file from where it lies.

        Raises:
            DataError: there is no such file, or the place cannot be reached.
        """

        def get() -> bytes:
            found = _part(self.fs, self.name(path), start, stop)
            if len(found) != stop - start:
                raise OSError(f"{len(found)} bytes came, {stop - start} were asked for")
            return found

        return self._patiently(path, get)

    def _patiently(self, path: str, get: Callable[[], Any]) -> Any:
        """What `get` gives, tried again when a connection breaks."""
        attempt = 0
        while True:
            try:
                return get()
            except FileNotFoundError:
                raise DataError(f"'{self.name(path)}' not found", path=self.name(path), hint=_INCOMPLETE) from None
            except Exception as failure:  # every client has its own kind for a connection that broke
                attempt += 1
                said = first_sentence(failure) or type(failure).__name__
                if attempt > len(PAUSES) or isinstance(failure, _FINAL):
                    raise DataError(
                        f"'{self.name(path)}' cannot be read: {said} (attempt {attempt})",
                        path=self.name(path),
                        hint="check the network and who may read there, then do the same again",
                    ) from failure
                logger.warning("'%s': %s; trying again in %.1f s", self.name(path), said, PAUSES[attempt - 1])
                time.sleep(PAUSES[attempt - 1])

    # --- tables -------------------------------------------------------------------------------------------------------

    def footer(self, path: str) -> pq.FileMetaData:
        """What the footer of a table says.

        Raises:
            DataError: the table is missing or broken, or the place cannot be reached.
        """

        def read() -> tuple[pq.FileMetaData, int]:
            found = self._opened(path).metadata
            return found, 8 * found.serialized_size  # about what it takes in memory

        return self.cache.get((path, "footer"), read)

    def row_groups(self, path: str, groups: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Neighbouring row groups of a table, fetched at once.

        Raises:
            DataError: the table is broken, or the place cannot be reached.
        """
        footer = self.footer(path)
        start, stop = _span(footer, groups)
        try:
            return self._opened(path, footer, start, stop).read_row_groups(groups, list(columns), use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise self._no_table(path, error) from error

    def _opened(self, path: str, footer: pq.FileMetaData | None = None, start: int = 0, stop: int = 0) -> Any:
        """A table whose bytes from `start` to `stop` are fetched."""
        if self.is_local:
            place: Any = self.local(path)
            if not place.is_file():
                raise DataError(f"'{place}' not found", path=place, hint=_INCOMPLETE)
        elif footer is None:
            size = self.size(path)
            start = max(0, size - _FOOTER)
            place = RemoteFile(self, path, start, self.fetch(path, start, size))
        else:
            place = RemoteFile(self, path, start, self.fetch(path, start, stop))
        try:
            return pq.ParquetFile(place, metadata=footer, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise self._no_table(path, error) from error

    def _no_table(self, path: str, error: Exception) -> DataError:
        return DataError(
            f"'{self.name(path)}' cannot be read: {first_sentence(error)}", path=self.name(path), hint=_INCOMPLETE
        )


def _span(footer: pq.FileMetaData, groups: Sequence[int]) -> tuple[int, int]:
    """First byte of some row groups, and the one after their last."""
    start, stop = 1 << 62, 0
    for group in (footer.row_group(number) for number in groups):
        for chunk in (group.column(i) for i in range(group.num_columns)):
            first = min(chunk.data_page_offset, chunk.dictionary_page_offset or chunk.data_page_offset)
            start, stop = min(start, first), max(stop, first + chunk.total_compressed_size)
    return min(start, stop), stop


class RemoteFile(io.RawIOBase):
    """A remote file to be read by others, of which a part is here.

    Args:
        store: where it lies.
        path: which it is.
        start: first byte of the part that is here.
        data: that part.
        ahead: bytes fetched at least; twice as many each time that reading goes on where it ended.
    """

    def __init__(self, store: Store, path: str, start: int = 0, data: bytes = b"", ahead: int = 0) -> None:
        self._store, self._path, self._start, self._data = store, path, start, data
        self._ahead, self._at = ahead, 0

    @property
    def name(self) -> str:
        return self._store.name(self._path)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._store.size(self._path)}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._store.size(self._path)
        start, stop = self._at, end if size < 0 else min(self._at + size, end)
        self._at = max(start, stop)
        if stop <= start:
            return b""
        if not self._start <= start <= stop <= self._start + len(self._data):
            if self._data and self._start <= start <= self._start + len(self._data):
                self._ahead = min(2 * self._ahead, _AHEAD)
            self._data = self._store.fetch(self._path, start, max(stop, min(start + self._ahead, end)))
            self._start = start
        return self._data[start - self._start : stop - self._start]


# --- fsspec -----------------------------------------------------------------------------------------------------------


def file_system(url: str, options: Mapping[str, Any]) -> Any:
    """The file system of fsspec for an address.

    Raises:
        DataError: fsspec or what it needs for this kind of place is missing, or it does not know such a place.
    """
    try:
        import fsspec
    except ImportError:
        raise DataError(f"'{url}' is read through fsspec, which is missing", hint="pip install fsspec") from None
    try:
        return fsspec.core.url_to_fs(url, **options)[0]
    except (ImportError, ValueError, TypeError) as error:
        raise DataError(f"'{url}' cannot be opened: {first_sentence(error)}", path=url) from error


def _part(fs: Any, url: str, start: int, stop: int) -> bytes:
    if fs.async_impl:
        return fs.cat_file(url, start=start, end=stop)
    with fs.open(url, "rb", cache_type="none") as file:  # its own caches read ahead by megabytes
        file.seek(start)
        return file.read(stop - start)
