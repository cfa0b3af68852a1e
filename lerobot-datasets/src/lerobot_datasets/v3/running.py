"""The running episode on disk: what a killed recording leaves, and how much of it can be committed.

A folder under `.recording` holds the rows as they were added (`rows`), what the encoders had given out of each camera
(`<camera>.mp4` in fragments, or `<camera>.cells`, picture after picture), and the encoder's options. Knows nothing of
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
from lerobot_datasets import records
from lerobot_datasets.config import DEPTH, EncoderConfig
from lerobot_datasets.v3.committed import Episode
from lerobot_datasets.v3.journal import LEFT, ROWS
from lerobot_datasets.v3.metadata import Info
from lerobot_datasets.v3.stamps import Stamps
from lerobot_datasets.video import decode, depth, encode, png, tiff
from lerobot_datasets.video.pictures import Camera, Distances, Levels
from lerobot_datasets.video.stream import Recorded, cells

_ENCODER = "encoder.json"
_LENGTH = struct.Struct("<I")

#: How often the rows are brought to the disk [s].
_FLUSH = 0.1


def row_keys(features: Mapping[str, Feature]) -> list[str]:
    """The features kept in rows: all but pictures and default columns."""
    return [key for key, feature in features.items() if not feature.is_picture and key not in DEFAULT_COLUMNS]


def camera(key: str, info: Info, encoder: EncoderConfig) -> Camera:
    """How the pictures of a camera are kept."""
    feature = info.features[key]
    height, width = feature.shape[1:] if feature.channels_first else feature.shape[:2]
    is_depth = feature.is_depth
    return Camera(
        name=key,
        dtype=feature.dtype,
        shape=(height, width, 1 if is_depth else 3),
        fps=info.fps,
        encoder=attrs.evolve(DEPTH, queue_size=encoder.queue_size, when_full=encoder.when_full)
        if is_depth
        else encoder,
        depth=depth.quantiser(key, feature) if is_depth else None,
    )


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
        self._file = records.RecordFile(folder / ROWS, every=_FLUSH)

    def add(self, values: Mapping[str, Any], task: str, stamps: Stamps) -> None:
        """A checked frame, and when its values were measured.

        Raises:
            OSError: the disk is full.
        """
        parts = [_bytes(values[key]) for key in self._keys]
        parts += [task.encode(), json.dumps(stamps).encode()]
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
    path = camera(key, info, EncoderConfig()).file(folder)
    if not path.exists():
        return {0}
    if info.features[key].dtype == "image":
        return set(range(1 + sum(1 for _ in records.read(path))))
    encode.mend(path)
    return encode.cuts(path, info.fps)


def restore(found: Left, info: Info) -> tuple[Episode, EncoderConfig]:
    """The first `length` frames as an episode to commit, and how its pictures were encoded.

    Raises:
        DataError: a video is damaged.
    """
    features = info.features
    rows: dict[str, list[Any]] = {key: [] for key in row_keys(features)}
    tasks, stamps = [], []
    for record, _ in zip(records.read(found.folder / ROWS), range(found.length), strict=False):
        *values, task, stamp = _parts(record)
        tasks.append(task.decode())
        stamps.append(json.loads(stamp))
        for (key, column), value in zip(rows.items(), values, strict=True):
            column.append(_value(features[key], value))
    encoder = EncoderConfig(**json.loads((found.folder / _ENCODER).read_text(encoding="utf-8")))
    clips, pictures = {}, {}
    for key in found.pictures:
        kept = camera(key, info, encoder)
        if kept.dtype == "video":
            clips[key] = found.folder / f"{key}.cut.mp4"
            encode.cut(kept.file(found.folder), found.length, clips[key])
        pictures[key] = _recorded(kept, found)
    units: dict[str, depth.Unit] = {}
    for key in (key for key in found.pictures if features[key].is_depth):
        units[key] = unit_file(found.folder, key).read_text(encoding="utf-8")  # type: ignore[assignment]
    episode = Episode(rows, tasks, lambda: pictures, clips, units, stamps, source=found.folder / ROWS)
    return episode, encoder


def unit_file(folder: Path, key: str) -> Path:
    """Where the unit of a depth camera's pictures is kept in the folder of the episode."""
    return folder / f"{key}.unit"


def _parts(record: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(record):
        (length,) = _LENGTH.unpack_from(record, at)
        at += _LENGTH.size + length
        yield record[at - length : at]


def _bytes(value: Any) -> bytes:
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def _value(feature: Feature, data: bytes) -> Any:
    if feature.dtype == "string":
        return data.decode()
    if feature.dtype == "language":
        return json.loads(data)
    return np.frombuffer(data, feature.dtype).reshape(feature.shape)


def _recorded(kept: Camera, found: Left) -> Recorded:
    """What the pictures that are left tell."""
    path, length = kept.file(found.folder), found.length
    kind = "png" if kept.depth is None else "tiff"
    out = cells(path, kind, length) if kept.dtype == "image" else []
    seen: Levels | Distances = Levels() if kept.depth is None else Distances()
    for picture in _pictures(kept, found, out):
        seen.add(picture)
    return Recorded(stats=seen.result(length), cells=out)


def _pictures(kept: Camera, found: Left, cut: list[dict[str, object]]) -> Iterable[np.ndarray]:
    """(H, W, C) as they were added; of a depth video as near as its codes are."""
    if cut and kept.depth is None:
        return (png.decode(bytes(cell["bytes"])) for cell in cut)  # type: ignore[call-overload]
    if cut:
        return (tiff.decode(bytes(cell["bytes"]))[..., None] for cell in cut)  # type: ignore[call-overload]
    path = found.folder / f"{kept.name}.cut.mp4"
    if kept.depth is None:
        return encode.pictures(path)
    unit: depth.Unit = unit_file(found.folder, kept.name).read_text(encoding="utf-8")  # type: ignore[assignment]
    distances = kept.depth.distances(unit)
    codes = decode.iterate(path, 0.0, found.length / kept.fps, depth.PIXELS)
    return (distances[picture][..., None] for picture in codes)
