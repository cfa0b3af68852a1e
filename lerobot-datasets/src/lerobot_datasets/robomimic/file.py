"""Arrays and notes of an HDF5 file of demonstrations. Knows `/data/<demo>/…` and `/mask/<list>`, no features.

A file is a stranger's: links are not followed, as they may lead to other files; what an array says of its size is believed
only as far as its bytes can hold it; notes are JSON and nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from lerobot_core.errors import DataError, did_you_mean, few, first_sentence

#: No filter of HDF5 packs denser: deflate makes at most 1032 bytes of one.
_DENSEST = 1100
_SMALL = 1 << 16
_MOST_AT_ONCE = 1 << 30  # bytes of one read
_CHUNKS = 16 << 20  # bytes of unpacked chunks kept per array: neighbouring pictures share them


class Kind(NamedTuple):
    """What an array holds per frame."""

    shape: tuple[int, ...]
    dtype: np.dtype


class DemonstrationFile:
    """An HDF5 file, opened by each process on its first read.

    Args:
        path: the file.

    Raises:
        DataError: no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: h5py.File | None = None
        self._process = 0
        if not path.is_file():
            raise DataError(f"no file '{path}'", path=path, hint="give the .hdf5 file as --dataset.file")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None}

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        if self._file is not None and self._process == os.getpid():
            self._file.close()
        self._file = None

    def _root(self) -> h5py.File:
        if self._file is None or self._process != os.getpid():  # forked: the parent's handle is not ours to use
            try:
                self._file = h5py.File(self.path, "r", locking="best-effort", rdcc_nbytes=_CHUNKS)
            except BlockingIOError as error:
                raise DataError(
                    f"'{self.path}' is being written", path=self.path, hint="wait until the other program has closed it"
                ) from error
            except OSError as error:
                raise DataError(
                    f"'{self.path}' is no HDF5 file: {first_sentence(error)}",
                    path=self.path,
                    hint="give a file of robomimic's layout, or copy it again",
                ) from error
            self._process = os.getpid()
        return self._file

    @contextmanager
    def _reading(self, where: str) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise DataError(
                f"'{self.path}': '{where}' cannot be read: {first_sentence(error)}",
                path=self.path,
                hint="copy or download the file again",
            ) from error

    def _at(self, where: str) -> Any:
        """What lies at a place, by names of its own file only."""
        with self._reading(where):
            found: Any = self._root()
            for name in where.strip("/").split("/"):
                inside = isinstance(found, h5py.Group)
                link = found.get(name, getlink=True) if inside and name in found.keys() else None  # noqa: SIM118
                if link is None:
                    near = did_you_mean(name, found) if inside else ""
                    raise DataError(
                        f"'{self.path}' has no '{where}'{near}",
                        path=self.path,
                        hint=f"beside it are {few(found) or 'none'}" if inside else "",
                    )
                if not isinstance(link, h5py.HardLink):
                    raise DataError(
                        f"'{self.path}': '{where}' is a link elsewhere, which is not followed",
                        path=self.path,
                        hint="copy what it leads to into the file, as with h5copy",
                    )
                found = found[name]
        return found

    # --- what there is ------------------------------------------------------------------------------------------------

    def demos(self, filter_key: str | None = None) -> list[str]:
        """Names of all demonstrations, or of those in a list of the file, by number.

        Raises:
            DataError: there are none, or a list names others.
        """
        found = self._at("data")
        with self._reading("data"):
            known = [name for name in found if isinstance(found.get(name, getlink=True), h5py.HardLink)]
        known = [name for name in known if isinstance(self._at(f"data/{name}"), h5py.Group)]
        chosen = known if filter_key is None else self._listed(f"mask/{filter_key}")
        if unknown := sorted(set(chosen) - set(known)):
            raise DataError(
                f"'{self.path}': list '{filter_key}' names {few(unknown)}, which are not in the file", path=self.path
            )
        if not chosen:
            raise DataError(f"'{self.path}' holds no demonstration", path=self.path)
        return sorted(set(chosen), key=_number)

    def _listed(self, where: str) -> list[str]:
        found = self._at(where)
        if not isinstance(found, h5py.Dataset) or found.ndim != 1 or found.dtype.kind not in "SO":
            raise DataError(f"'{self.path}': '{where}' is no list of names", path=self.path)
        self._require_plausible(found, where)
        with self._reading(where):
            return [name.decode() if isinstance(name, bytes) else str(name) for name in found[()]]

    def arrays(self, demo: str) -> dict[str, Kind]:
        """The arrays of a demonstration but its simulator states and next observations: place → what a frame of it is."""
        out: dict[str, Kind] = {}
        whole = self._at(f"data/{demo}")
        for parent, group in (("", whole), ("obs/", self._at(f"data/{demo}/obs") if "obs" in whole else {})):
            for name in group:
                found = group[name] if isinstance(group.get(name, getlink=True), h5py.HardLink) else None
                if isinstance(found, h5py.Dataset) and name != "states" and found.ndim and found.dtype.kind in "biuf":
                    out[parent + name] = Kind(found.shape[1:], found.dtype)
        return out

    def rows(self, demo: str, place: str) -> int:
        """How many frames an array has."""
        found = self._array(demo, place)
        return int(found.shape[0]) if found.ndim else 0

    def note(self, where: str, name: str) -> Any:
        """The attribute of a group: JSON read, other text and numbers as they are; None when it has no such attribute."""
        attributes = self._at(where).attrs
        with self._reading(f"{where}, attribute {name}"):
            if name not in attributes:
                return None
            value = attributes[name]
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        if not isinstance(text, str):
            return value.item() if isinstance(value, np.generic) else None
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text

    # --- numbers ------------------------------------------------------------------------------------------------------

    def read(self, demo: str, place: str, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Frames of an array (N, …): all, or those at ascending rows (N,).

        Raises:
            DataError: it is missing, cannot be read, or says it holds more than its bytes can be.
        """
        where, found = f"data/{demo}/{place}", self._array(demo, place)
        wanted = found.shape[0] if isinstance(rows, slice) else len(rows)
        width = int(np.prod(found.shape[1:], dtype=object)) * found.dtype.itemsize
        if wanted * width > _MOST_AT_ONCE:
            raise DataError(
                f"'{self.path}': '{where}' has {wanted} frames of {width} bytes, more than is read at once",
                path=self.path,
                hint="leave it out of --dataset.features",
            )
        with self._reading(where):
            if isinstance(rows, slice):
                return np.asarray(found[rows])
            cuts = np.flatnonzero(np.diff(rows) != 1) + 1
            runs = [found[run[0] : run[-1] + 1] for run in np.split(rows, cuts)] if len(rows) else [found[:0]]
            return np.concatenate(runs)

    def _array(self, demo: str, place: str) -> h5py.Dataset:
        where = f"data/{demo}/{place}"
        found = self._at(where)
        if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "biuf" or not found.ndim:
            raise DataError(f"'{self.path}': '{where}' is no array of numbers by frame", path=self.path)
        self._require_plausible(found, where)
        return found

    def _require_plausible(self, found: h5py.Dataset, where: str) -> None:
        refuse = partial(DataError, path=self.path, hint="write the array into the file itself")
        with self._reading(where):
            if found.is_virtual or found.external:
                raise refuse(f"'{self.path}': '{where}' is kept in other files, which are not opened")
            says = int(np.prod(found.shape, dtype=object)) * found.dtype.itemsize
            if says > _DENSEST * found.id.get_storage_size() + _SMALL:
                raise refuse(f"'{self.path}': '{where}' says it holds {says} bytes, more than is in the file")


def _number(demo: str) -> tuple[int, str]:
    """demo_10 comes after demo_2."""
    digits = demo.rpartition("_")[2]
    return (int(digits) if digits.isdigit() and len(digits) < 19 else 1 << 62, demo)
