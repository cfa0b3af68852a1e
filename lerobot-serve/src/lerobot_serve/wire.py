"""The bytes of a message: a header, JSON metadata, raw array buffers. *Pure.* Knows nothing of sockets or of what is said.

Layout, little-endian:

    magic "LRSV" | version u16 | zero u16 | metadata length u32 | body length u32      16 bytes
    metadata     UTF-8 JSON {"fields": {...}, "arrays": [[name, dtype, shape], ...]}, padded with spaces to a multiple of 8
    body         each array's C-order bytes, each padded with zeros to a multiple of 8

Bytes from a network are only ever looked at as numbers: dtypes come from a closed list, every length is checked against what
really arrived before anything is made of it, and arrays are read-only views of the received buffer. Nothing names code.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from lerobot_core.errors import WireError

VERSION = 1
MAX_BYTES = 64 << 20
MAX_METADATA = 256 << 10
MAX_ARRAYS = 64
MAX_AXES = 8

#: The only dtypes an array may have. No objects, no strings, no bool (a byte other than 0 and 1 would be no bool).
DTYPES = {
    name: np.dtype(name).newbyteorder("<")
    for name in ("float16", "float32", "float64", "uint8", "uint16", "uint32", "int8", "int16", "int32", "int64")
}

_MAGIC = b"LRSV"
_HEADER = struct.Struct("<4sHHII")
_ALIGN = 8


def encode(fields: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> bytes:
    """A message of JSON-able fields and arrays.

    Raises:
        WireError: a field is no JSON, an array's dtype is not allowed or it is empty, or a cap is exceeded.
    """
    arrays = arrays or {}
    listed, parts = [], []
    for name, array in arrays.items():
        dtype = DTYPES.get(array.dtype.name)
        if dtype is None or array.size == 0 or array.ndim > MAX_AXES:
            _refuse(
                f"array '{name}' {array.dtype.name}{list(array.shape)} cannot be sent (dtypes: {', '.join(DTYPES)})"
            )
        listed.append([name, array.dtype.name, list(array.shape)])
        raw = np.ascontiguousarray(array, dtype=dtype).reshape(-1).view(np.uint8).data
        parts += [raw, bytes(-len(raw) % _ALIGN)]
    try:
        metadata = json.dumps({"fields": fields, "arrays": listed}, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as failure:
        raise WireError(f"a message's fields are no JSON: {failure}") from failure
    metadata += b" " * (-len(metadata) % _ALIGN)
    body = sum(len(part) for part in parts)
    if len(metadata) > MAX_METADATA or len(arrays) > MAX_ARRAYS or body > MAX_BYTES:
        _refuse(f"too large: {len(metadata)} bytes of metadata, {len(arrays)} arrays of {body} bytes together")
    return b"".join([_HEADER.pack(_MAGIC, VERSION, 0, len(metadata), body), metadata, *parts])


def decode(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The fields and arrays of a message; the arrays are read-only views of `data`.

    Raises:
        WireError: anything that `encode` would not have written.
    """
    body = _check_lengths(data)
    fields, listed = _metadata(data[_HEADER.size : body])
    arrays: dict[str, np.ndarray] = {}
    offset = body
    for entry in listed:
        name, dtype, shape = _described(entry)
        count = math.prod(shape)
        size = count * dtype.itemsize
        if name in arrays or size > len(data) - offset:
            _refuse(
                f"array '{name}' {dtype.name}{shape} does not fit the {len(data) - offset} bytes left, or comes twice"
            )
        arrays[name] = np.frombuffer(data, dtype, count, offset).reshape(shape)
        offset += size + -size % _ALIGN
    if offset != len(data):
        _refuse(f"{len(data) - body} bytes of arrays, described are {offset - body}")
    return fields, arrays


def _check_lengths(data: bytes) -> int:
    """Where the body starts."""
    if len(data) < _HEADER.size:
        _refuse(f"{len(data)} bytes are no message")
    magic, version, zero, metadata, body = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        _refuse("the other side does not speak this protocol")
    if version != VERSION:
        raise WireError(
            f"the other side speaks version {version} of the protocol, this one version {VERSION}",
            hint="install the same version of lerobot-serve on both sides",
        )
    if zero or metadata > MAX_METADATA or body > MAX_BYTES or metadata % _ALIGN or body % _ALIGN:
        _refuse(f"impossible header: {metadata} bytes of metadata, {body} of arrays")
    if _HEADER.size + metadata + body != len(data):
        _refuse(f"{len(data)} bytes, announced are {_HEADER.size + metadata + body}")
    return _HEADER.size + metadata


def _metadata(text: bytes) -> tuple[dict[str, Any], list[Any]]:
    try:
        # decoded first: json.loads guesses UTF-16 and UTF-32 from bytes
        data = json.loads(text.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as failure:
        raise WireError(f"a message's metadata is no JSON: {failure}") from failure
    if not isinstance(data, dict) or data.keys() != {"fields", "arrays"}:
        _refuse("metadata holds 'fields' and 'arrays'")
    if not isinstance(data["fields"], dict) or not isinstance(data["arrays"], list) or len(data["arrays"]) > MAX_ARRAYS:
        _refuse(f"metadata holds an object 'fields' and at most {MAX_ARRAYS} 'arrays'")
    return data["fields"], data["arrays"]


def _described(entry: Any) -> tuple[str, np.dtype[Any], list[int]]:
    if not isinstance(entry, list) or len(entry) != 3:
        _refuse("an array is described by [name, dtype, shape]")
    name, dtype, shape = entry
    if not isinstance(name, str) or not isinstance(dtype, str) or dtype not in DTYPES:
        _refuse(f"array {name!r:.40} of dtype {dtype!r:.40} (allowed: {', '.join(DTYPES)})")
    if (
        not isinstance(shape, list)
        or len(shape) > MAX_AXES
        or not all(type(n) is int and 0 < n <= MAX_BYTES for n in shape)
    ):
        _refuse(f"array '{name:.40}' has an impossible shape")
    return name, DTYPES[dtype], shape


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _refuse(problem: str) -> NoReturn:
    raise WireError(f"bad message: {problem}")
