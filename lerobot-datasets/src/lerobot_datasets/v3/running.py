"""The running episode on disk: what a killed recording leaves, and how much of it can be committed.

A folder under `.recording` holds the rows as they were added (`rows`), what the encoders had given out of each camera
(`<camera>.mp4` in fragments, or `<camera>.png` pictures one after another), and the encoder's options. Knows nothing of
the committed episodes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from lerobot_core.features import DEFAULT_COLUMNS, Feature
from lerobot_datasets import records, stats
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.v3.committed import Episode
from lerobot_datasets.v3.journal import LEFT, ROWS
from lerobot_datasets.v3.metadata import Info
from lerobot_datasets.video import encode, png
from lerobot_datasets.video.stream import Recorded, cell

_ENCODER = "encoder.json"
_LENGTH = struct.Struct("<I")


def row_keys(features: Mapping[str, Feature]) -> list[str]:
    """The features kept in rows: all but pictures and default columns."""
    return [key for key, feature in features.items() if not feature.is_picture and key not in DEFAULT_COLUMNS]


class Rows:
    """The rows of the running episode, as they come.

    Args:
        folder: of the running episode.
        features: of the dataset.
        encoder: how its pictures are encoded.
    """

    def __init__(self, folder: Path, features: Mapping[str, Feature], encoder: EncoderConfig) -> None:
        self._keys = row_keys(features)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _ENCODER).write_text(json.dumps(attrs.asdict(encoder)), encoding="utf-8")
        self._file = records.RecordFile(folder / ROWS)

    def add(self, values: Mapping[str, Any], task: str) -> None:
        """A checked frame.

        Raises:
            OSError: the disk is full.
        """
        parts = [value.encode() if isinstance(value := values[key], str) else value.tobytes() for key in self._keys]
        parts.append(task.encode())
        self._file.add(b"".join(_LENGTH.pack(len(part)) + part for part in parts))

    def close(self) -> None:
        self._file.close()


@attrs.frozen
class Left:
    """A running episode that was left behind.

    Attributes:
        folder: where it is.
        rows: frames of state and action.
        pictures: camera → pictures that the encoder had given out.
        length: frames that can be committed: all that have a row and every picture.
    """

    folder: Path
    rows: int
    pictures: Mapping[str, int]
    length: int


def left(root: Path, info: Info) -> list[Left]:
    """The running episodes that killed recordings left in a dataset, oldest first."""
    folders = sorted((root / LEFT).glob("*"), key=lambda path: int(path.name))
    return [_measure(folder, info) for folder in folders if (folder / ROWS).exists()]


def _measure(folder: Path, info: Info) -> Left:
    rows = sum(1 for _ in records.read(folder / ROWS))
    pictures, possible = {}, set(range(rows + 1))
    for key in info.camera_keys:
        cuts = _cuts(folder, key, info)
        pictures[key] = max(cuts)
        possible &= cuts
    return Left(folder, rows, pictures, max(possible))


def _cuts(folder: Path, key: str, info: Info) -> set[int]:
    """After how many pictures a camera can be cut."""
    if info.features[key].dtype == "image":
        path = folder / f"{key}.png"
        return set(range(1 + sum(1 for _ in records.read(path)))) if path.exists() else {0}
    path = folder / f"{key}.mp4"
    if path.exists():
        encode.mend(path)
    return encode.cuts(path, info.fps)


def restore(found: Left, features: Mapping[str, Feature]) -> tuple[Episode, EncoderConfig]:
    """The first `length` frames as an episode to commit, and how its pictures were encoded.

    Raises:
        DataError: a video is damaged.
    """
    rows: dict[str, list[Any]] = {key: [] for key in row_keys(features)}
    tasks = []
    for record, _ in zip(records.read(found.folder / ROWS), range(found.length), strict=False):
        *values, task = _parts(record)
        tasks.append(task.decode())
        for (key, column), value in zip(rows.items(), values, strict=True):
            column.append(_value(features[key], value))
    clips = {key: found.folder / f"{key}.cut.mp4" for key in found.pictures if features[key].dtype == "video"}
    pictures = {}
    for key in found.pictures:
        if key in clips:
            encode.cut(found.folder / f"{key}.mp4", found.length, clips[key])
            pictures[key] = _recorded(encode.pictures(clips[key]), found.length, [])
        else:
            data = [one for one, _ in zip(records.read(found.folder / f"{key}.png"), range(found.length), strict=False)]
            pictures[key] = _recorded(map(png.decode, data), found.length, [cell(i, one) for i, one in enumerate(data)])
    encoder = EncoderConfig(**json.loads((found.folder / _ENCODER).read_text(encoding="utf-8")))
    return Episode(rows, tasks, pictures, clips, source=found.folder / ROWS), encoder


def _parts(record: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(record):
        (length,) = _LENGTH.unpack_from(record, at)
        at += _LENGTH.size + length
        yield record[at - length : at]


def _value(feature: Feature, data: bytes) -> Any:
    if feature.dtype == "string":
        return data.decode()
    return np.frombuffer(data, feature.dtype).reshape(feature.shape)


def _recorded(pictures: Iterable[np.ndarray], length: int, cells: list[dict[str, object]]) -> Recorded:
    return Recorded.of(stats.sampled_levels(pictures, length), 0, cells)
