"""Language columns of edited datasets: carried along as they are stored, moved in time with what is cut off. *Pure.*"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lerobot_core.errors import DataError

PERSISTENT = "language_persistent"


def field(key: str, fields: Sequence[pa.Field]) -> pa.Field:
    """The type of a column in a dataset made of several, which may have stored it in types of their own.

    Raises:
        DataError: no type holds all of them.
    """
    try:
        return pa.unify_schemas([pa.schema([each]) for each in fields], promote_options="permissive").field(0)
    except pa.ArrowException as error:
        raise DataError(
            f"column '{key}' has types that do not go together: {', '.join(dict.fromkeys(str(f.type) for f in fields))}",
            hint="merge datasets annotated in the same way",
        ) from error


def carried(column: pa.ChunkedArray, wanted: pa.Field) -> pa.Array:
    """A column in the type of the new dataset; bit by bit as it was where that is its own."""
    array = column.combine_chunks()
    return array if array.type == wanted.type else pa.array(array.to_pylist(), type=wanted.type)


def cut(column: pa.Array, start: int, length: int, fps: int) -> pa.Array:
    """The persistent rows of an episode of which frames `start` up to `start + length` are left.

    What holds at the first frame left begins there, what was over by then or begins after the last is gone.
    """
    if not len(column):
        return column
    entries = column[0].as_py() or []  # every frame has the whole episode's
    begin, end = start / fps, (start + length - 1) / fps
    half = 0.5 / fps
    latest: dict[Any, float] = {}
    for entry in entries:
        if entry["timestamp"] <= begin + half:
            kind = _kind(entry)
            latest[kind] = max(latest.get(kind, -np.inf), entry["timestamp"])
    out = []
    for entry in entries:
        time = entry["timestamp"]
        if time > end + half or (time <= begin + half and time < latest[_kind(entry)]):
            continue
        frame = max(round(time * fps) - start, 0)
        out.append(entry | {"timestamp": float(np.float32(frame / fps))})
    return pa.array([out] * len(column), type=column.type)


def _kind(entry: dict[str, Any]) -> tuple[Any, ...]:
    return entry.get("style"), entry.get("role"), entry.get("camera")
