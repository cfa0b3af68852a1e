"""Feature columns between numpy and Arrow, and the schema of a frame table. Knows no files. *Pure.*"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lerobot_core.errors import DataError, FeatureError
from lerobot_core.features import Feature
from lerobot_datasets.video import png, tiff

IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

#: Features whose values are no numbers.
OBJECTS = ("string", "image", "language")

_LANGUAGE = ("role", "content", "style", "timestamp", "camera", "tool_calls")
_MAX_AXES = 5


def check(key: str, feature: Feature) -> None:
    """Whether a feature can be stored.

    Raises:
        FeatureError: a slash in the name, an unknown dtype, no axes or too many.
    """
    if "/" in key or not key:
        raise FeatureError(f"a feature's name has no '/' and is not empty, got '{key}'", hint="use dots instead")
    if feature.is_picture:
        if len(feature.shape) != 3:
            raise FeatureError(f"picture '{key}' has three axes, got {feature}")
        return
    if not 1 <= len(feature.shape) <= _MAX_AXES:
        raise FeatureError(f"'{key}' has one to {_MAX_AXES} axes, got {feature}")
    _value_type(key, feature)


def _language_type(key: str, call: pa.DataType) -> pa.DataType:
    """Of a list of entries, whose tool calls are of type `call`; only those that stay have a time."""
    kinds = dict.fromkeys(_LANGUAGE, pa.string()) | {"timestamp": pa.float32(), "tool_calls": pa.list_(call)}
    keys = [name for name in _LANGUAGE if name != "timestamp" or key != "language_events"]
    return pa.list_(pa.struct([(name, kinds[name]) for name in keys]))


def _value_type(key: str, feature: Feature) -> pa.DataType:
    if feature.dtype == "language":
        return _language_type(key, pa.json_())
    if feature.dtype == "string":
        return pa.string()
    try:
        return pa.from_numpy_dtype(np.dtype(feature.dtype))
    except (TypeError, pa.ArrowNotImplementedError):
        raise FeatureError(
            f"'{key}' has dtype '{feature.dtype}'",
            hint="known are the numpy dtypes, string, image and video",
        ) from None


def _field(key: str, feature: Feature) -> pa.Field:
    if feature.dtype == "image":
        return pa.field(key, IMAGE_TYPE)
    value = _value_type(key, feature)
    if feature.shape == (1,):
        return pa.field(key, value)
    if len(feature.shape) == 1:
        return pa.field(key, pa.list_(pa.field("element", value), feature.shape[0]))
    for _ in feature.shape:
        value = pa.list_(pa.field("element", value))
    axes = len(feature.shape)
    metadata = {
        "ARROW:extension:name": f"datasets.features.features.Array{axes}DExtensionType",
        "ARROW:extension:metadata": json.dumps([list(feature.shape), feature.dtype]),
    }
    return pa.field(key, value, metadata=metadata)


def _description(key: str, feature: Feature) -> dict[str, Any]:
    """How the `datasets` library names the type of a column."""
    if feature.dtype == "language":
        value = {"dtype": "string", "_type": "Value"}
        kinds: dict[str, Any] = dict.fromkeys(_LANGUAGE, value)
        kinds |= {
            "timestamp": {"dtype": "float32", "_type": "Value"},
            "tool_calls": {"feature": {"_type": "Json"}, "_type": "List"},
        }
        names = [name for name in _LANGUAGE if name != "timestamp" or key != "language_events"]
        return {"feature": {name: kinds[name] for name in names}, "_type": "List"}
    value = {"dtype": feature.dtype, "_type": "Value"}
    if feature.dtype == "image":
        return {"_type": "Image"}
    if feature.shape == (1,):
        return value
    if len(feature.shape) == 1:
        return {"feature": value, "length": feature.shape[0], "_type": "List"}
    return {"shape": list(feature.shape), "dtype": feature.dtype, "_type": f"Array{len(feature.shape)}D"}


def stored(features: Mapping[str, Feature]) -> dict[str, Feature]:
    """The features that have a column: all but the videos."""
    return {key: feature for key, feature in features.items() if feature.dtype != "video"}


def schema(features: Mapping[str, Feature]) -> pa.Schema:
    """Schema of a frame table, with the description the `datasets` library reads."""
    columns = stored(features)
    described = {"info": {"features": {key: _description(key, feature) for key, feature in columns.items()}}}
    return pa.schema(
        [_field(key, feature) for key, feature in columns.items()], metadata={"huggingface": json.dumps(described)}
    )


def to_arrow(values: Sequence[Any] | np.ndarray, key: str, feature: Feature) -> pa.Array:
    """A column from the values of `length` frames: array (length, *shape), strings, or PNG structs."""
    kind = _field(key, feature).type
    if feature.dtype in ("string", "image"):
        return pa.array(values, type=kind)
    if feature.dtype == "language":
        texts = [[_stored(entry) for entry in cell] for cell in values]
        return pa.array(texts, type=_language_type(key, pa.string())).cast(kind)
    array = np.ascontiguousarray(values, dtype=feature.dtype).reshape(len(values), *feature.shape)
    out = pa.array(array.reshape(-1))
    if feature.shape == (1,):
        return out
    if len(feature.shape) == 1:
        return pa.FixedSizeListArray.from_arrays(out, type=kind)
    for axis in range(len(feature.shape) - 1, -1, -1):
        size = feature.shape[axis]
        lists = len(out) // size if size else 0
        field = pa.list_(pa.field("element", out.type))
        out = pa.ListArray.from_arrays(pa.array(np.arange(lists + 1, dtype=np.int32) * size), out, type=field)
    return out


def to_numpy(column: pa.ChunkedArray | pa.Array, key: str, feature: Feature, where: Any = "") -> np.ndarray:
    """Array (length, *shape) of a column; (length,) for scalars. Strings, picture cells (`{"bytes", "path"}`) and
    language (lists of dicts) come as an array of objects.

    Args:
        column: any of the forms writers use: scalars, fixed-size lists or plain nested lists, of any type that casts.
        key: the feature's name, for the message.
        feature: what the column should hold.
        where: the file, for the message.

    Raises:
        DataError: the column holds something else, or an empty cell.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    length = len(array)
    _require_full(array, key, feature, where)
    if feature.dtype in OBJECTS:
        return _objects(array, key, feature, where)
    for size in feature.shape:
        if not _is_list(array.type):
            break
        widths = array.type.list_size if pa.types.is_fixed_size_list(array.type) else array.value_lengths()
        if not np.all(np.asarray(widths) == size):
            raise DataError(f"'{where}': column '{key}' holds lists that do not fit {feature}", path=where)
        array = array.flatten()
    count = length * int(np.prod(feature.shape))
    if _is_list(array.type) or len(array) != count or array.null_count:
        raise DataError(f"'{where}': column '{key}' is {column.type}, info.json says {feature}", path=where)
    try:
        flat = array.cast(_value_type(key, feature)).to_numpy(zero_copy_only=False)
    except pa.ArrowException:
        raise DataError(f"'{where}': column '{key}' is {column.type}, info.json says {feature}", path=where) from None
    return flat.reshape(length) if feature.shape == (1,) else flat.reshape(length, *feature.shape)


def to_cells(column: pa.ChunkedArray | pa.Array, key: str, feature: Feature, where: Any = "") -> pa.Array:
    """A column of no numbers in the one form that `Cells` takes: texts, bytes of pictures, or JSON of language.

    Raises:
        DataError: the column holds something else, or an empty cell.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    _require_full(array, key, feature, where)
    _require_objects(array, key, feature, where)
    if feature.dtype == "string":
        return array.cast(pa.large_string())
    if feature.dtype == "image":
        data = array.field("bytes") if pa.types.is_struct(array.type) else array
        return data.cast(pa.large_binary())
    entries = ([_utterance(entry) for entry in cell or ()] for cell in array.to_pylist())
    return pa.array([json.dumps(entry) for entry in entries], pa.large_string())


class Cells:
    """A column of texts, pictures or language, read a cell at a time. Cells are those of `to_numpy`.

    Args:
        parts: of `to_cells`, in order.
        feature: what they hold.
    """

    def __init__(self, parts: Sequence[pa.Array], feature: Feature) -> None:
        self._parts, self._dtype = parts, feature.dtype
        self._ends = np.cumsum([len(part) for part in parts])

    def take(self, rows: np.ndarray) -> list[Any]:
        """The cells of some rows (...): nested lists of that shape."""
        flat = rows.reshape(-1)
        which = np.searchsorted(self._ends, flat, side="right").tolist()
        found = [self._cell(part, row) for part, row in zip(which, flat.tolist(), strict=True)]
        for size in reversed(rows.shape[1:]):
            found = [found[i : i + size] for i in range(0, len(found), size)]
        return found

    def _cell(self, part: int, row: int) -> Any:
        array = self._parts[part]
        value = array[row - int(self._ends[part]) + len(array)].as_py()
        if self._dtype == "image":
            return {"bytes": value, "path": None}
        return json.loads(value) if self._dtype == "language" else value


def empty(feature: Feature) -> np.ndarray:
    """What `to_numpy` gives for a column of no rows."""
    if feature.dtype in OBJECTS:
        return np.empty(0, dtype=object)
    return np.empty((0, *(() if feature.shape == (1,) else feature.shape)), dtype=feature.dtype)


def _require_full(array: pa.Array, key: str, feature: Feature, where: Any) -> None:
    if array.null_count and feature.dtype != "language":
        row = array.is_null().index(True).as_py()
        raise DataError(f"'{where}': column '{key}' is empty in row {row}", path=where)


def _require_objects(array: pa.Array, key: str, feature: Feature, where: Any) -> None:
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if not _HOLDS[feature.dtype](kind):
        raise DataError(f"'{where}': column '{key}' is {array.type}, info.json says {feature}", path=where)


def _objects(array: pa.Array, key: str, feature: Feature, where: Any) -> np.ndarray:
    _require_objects(array, key, feature, where)
    out = np.empty(len(array), dtype=object)
    for row, cell in enumerate(array.to_pylist()):
        if feature.dtype == "language":
            cell = [_utterance(entry) for entry in cell or ()]
        elif feature.dtype == "image":
            cell = cell if isinstance(cell, dict) else {"bytes": cell, "path": None}
            if problem := _no_picture(cell, feature):
                raise DataError(f"'{where}': column '{key}', row {row}: {problem}", path=where or None)
        out[row] = cell
    return out


def _no_picture(cell: Mapping[str, Any], feature: Feature) -> str:
    """Why a cell's bytes cannot be decoded, by the first of them; nothing is decoded."""
    data = cell.get("bytes")
    if data is None:  # the format keeps pictures in the table; a path is a name, and of the machine that wrote it
        return f"the picture is not in the table, which names '{cell.get('path')}' only"
    if feature.is_depth:
        return "" if tiff.is_tiff(data) else "no TIFF, which depth pictures are"
    return "" if png.kind(data) else f"no picture of a kind known, which are {png.KNOWN}"


def _utterance(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of a language column as the format has it, whatever types its writer inferred."""
    out = {key: entry.get(key) for key in _LANGUAGE if key != "timestamp" or key in entry}
    if out.get("timestamp") is not None:
        out["timestamp"] = float(np.float32(out["timestamp"]))
    if out["tool_calls"] is not None:
        out["tool_calls"] = [json.loads(call) if isinstance(call, str) else call for call in out["tool_calls"]]
    return out


def _stored(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of a language column with its tool calls as JSON."""
    calls = entry["tool_calls"]
    return {**entry, "tool_calls": None if calls is None else [json.dumps(call) for call in calls]}


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


_HOLDS = {"string": _is_text, "image": _is_bytes, "language": _is_list}
