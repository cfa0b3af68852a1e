"""What LeKiwi and its client say to each other, as bytes. *Pure* but for the coding of pictures.

An action is a JSON object of numbers by key. An observation has several parts: a JSON object of numbers by key with `_cams`, the
names of the cameras, then a JPEG picture for each of these, empty where it could not be coded. Colours are in the order the
camera gives them, on both sides. Everything that arrives is checked: it came over a network.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lerobot_core.errors import WireError

CAMERAS = "_cams"
JPEG_QUALITY = 90
#: Largest parts taken [bytes]: an action or header, and a picture.
LARGEST_TEXT, LARGEST_PICTURE = 64 * 1024, 8 * 1024 * 1024
#: Largest side of a picture taken [px].
LARGEST_SIDE = 8192


def pack_numbers(values: Mapping[str, Any], cameras: Sequence[str] | None = None) -> bytes:
    """Numbers by key, and the names of the cameras where it is an observation."""
    data: dict[str, Any] = {key: float(value) for key, value in values.items()}
    return json.dumps(data if cameras is None else {**data, CAMERAS: list(cameras)}).encode()


def unpack_numbers(data: bytes) -> tuple[dict[str, float], list[str]]:
    """(numbers by key, names of the cameras).

    Raises:
        WireError: it is no JSON object of finite numbers.
    """
    try:
        found = json.loads(data) if len(data) <= LARGEST_TEXT else None
    except (ValueError, RecursionError) as problem:
        raise WireError(f"a message is no JSON: {problem}", hint="both ends need the same protocol") from problem
    cameras = found.pop(CAMERAS, []) if isinstance(found, dict) else None
    good = isinstance(cameras, list) and all(isinstance(name, str) for name in cameras)
    if not good or not all(_is_number(value) for value in found.values()):
        raise WireError(
            f"a message of {len(data)} bytes is no JSON object of finite numbers",
            hint="both ends need the same protocol",
        )
    return {key: float(value) for key, value in found.items()}, cameras


def pack_observation(observation: Mapping[str, Any]) -> list[bytes]:
    """The parts of an observation: numbers, then pictures (H, W, 3) uint8."""
    import cv2  # optional: extra [lekiwi]

    pictures = {key: value for key, value in observation.items() if isinstance(value, np.ndarray) and value.ndim == 3}
    numbers = {key: value for key, value in observation.items() if key not in pictures}
    parts = [pack_numbers(numbers, list(pictures))]
    for picture in pictures.values():
        done, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        parts.append(coded.tobytes() if done else b"")
    return parts


def unpack_observation(parts: Sequence[bytes]) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """(numbers by key, pictures (H, W, 3) uint8 of the cameras that gave one).

    Raises:
        WireError: the parts are no observation, or a picture is none.
    """
    numbers, cameras = unpack_numbers(parts[0])
    if len(cameras) != len(parts) - 1:
        raise WireError(f"an observation names {len(cameras)} cameras and has {len(parts) - 1} pictures")
    return numbers, {name: _picture(name, data) for name, data in zip(cameras, parts[1:], strict=True) if data}


def _picture(name: str, data: bytes) -> np.ndarray:
    import cv2  # optional: extra [lekiwi]

    height, width = _jpeg_size(data)
    decoded = None
    if 0 < height <= LARGEST_SIDE and 0 < width <= LARGEST_SIDE and len(data) <= LARGEST_PICTURE:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise WireError(f"{len(data)} bytes of camera '{name}' are no JPEG picture that can be taken")
    return np.asarray(decoded)


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """(height, width) as the frame header says, so that nothing huge is decoded; 0 without one. ITU T.81, B.2.2."""
    at = 2 if data.startswith(b"\xff\xd8") else len(data)
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
        at += 2 + length
    return 0, 0


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9 and math.isfinite(value)
