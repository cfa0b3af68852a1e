"""What a check of a dataset learns of its cameras: when a video's pictures are shown, without decoding any, and what the
pictures that statistics are made of look like. Knows files; what is wrong is told by `checks`. No torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from lerobot_core.errors import DataError
from lerobot_datasets import checks, stats
from lerobot_datasets.checks import Finding
from lerobot_datasets.v3 import layout
from lerobot_datasets.v3.layout import Place
from lerobot_datasets.v3.reader import Reader, pictures, read_columns
from lerobot_datasets.video import decode, depth

_AT_ONCE = 16  # pictures decoded at once
_DEPTH_M = 10.0  # what a depth camera usually sees up to [m]


class Shown(NamedTuple):
    """A video by its packets: when its pictures are shown, rising (P,) [s], and their size."""

    times: np.ndarray
    height: int
    width: int


class Films:
    """The cameras of a dataset, an episode after the other.

    Args:
        reader: the dataset.
        tolerance_s: how far a picture may be from its row [s].
        all_frames: look at every picture, not only at those that statistics are made of.
        decoded: whether to look at pictures at all.
    """

    def __init__(self, reader: Reader, tolerance_s: float, *, all_frames: bool, decoded: bool = True) -> None:
        self._reader, self._tolerance_s = reader, tolerance_s
        self._all_frames, self._decoded = all_frames, decoded
        self._parts: dict[str, list[dict[str, np.ndarray]]] = defaultdict(list)
        self._shown: dict[Path, Shown | str] = {}
        self._videos = decode.VideoReader("pyav", tolerance_s=1.0)

    def episode(self, row: Mapping[str, Any], columns: Mapping[str, np.ndarray]) -> Iterator[Finding]:
        """What is wrong with the cameras of one episode, whose numeric columns are given."""
        for camera in self._reader.info.camera_keys:
            is_video = self._reader.features[camera].dtype == "video"
            name = self._video(row, camera) if is_video else self._table(row)
            where = {"file": str(name), "column": camera, "episode": row["episode_index"]}
            found = list(self._packets(row, camera, columns["timestamp"])) if is_video else []
            yield from (Finding(check=check, message=says, row=at, **where) for check, says, at in found)
            if any(at is not None for _, _, at in found) or any(check == "unreadable" for check, *_ in found):
                continue  # its pictures are not where its rows look for them
            if self._decoded:
                yield from self._look(row, camera, columns, where)

    def _video(self, row: Mapping[str, Any], camera: str) -> Path:
        place = Place(row[f"videos/{camera}/chunk_index"], row[f"videos/{camera}/file_index"])
        return self._reader.info.video_file(place, camera)

    def _table(self, row: Mapping[str, Any]) -> Path:
        return self._reader.info.data_file(Place(row["data/chunk_index"], row["data/file_index"]))

    def _packets(
        self, row: Mapping[str, Any], camera: str, timestamps: np.ndarray
    ) -> Iterator[tuple[str, str, int | None]]:
        shown = self._of(self._video(row, camera))
        if isinstance(shown, str):
            yield "unreadable", shown, None
            return
        feature = self._reader.features[camera]
        size = feature.shape[1:] if feature.channels_first else feature.shape[:2]
        if (shown.height, shown.width) != tuple(size) and row["episode_index"] == self._first_in(row, camera):
            yield "dtype", f"pictures of {shown.height}x{shown.width}, info.json says {size[0]}x{size[1]}", None
        yield from checks.pictures(shown.times, row[f"videos/{camera}/from_timestamp"], timestamps, self._tolerance_s)

    def _first_in(self, row: Mapping[str, Any], camera: str) -> int:
        """The first episode in the same video: what is wrong with all of it is told once."""
        table = self._reader.all_episodes
        keys = [f"videos/{camera}/{name}" for name in ("chunk_index", "file_index")]
        return int(np.all([np.asarray(table[key]) == row[key] for key in keys], axis=0).argmax())

    def _of(self, name: Path) -> Shown | str:
        if name not in self._shown:
            self._shown = {**dict(list(self._shown.items())[-16:]), name: shown(self._reader.root / name)}
        return self._shown[name]

    def _look(
        self, row: Mapping[str, Any], camera: str, columns: Mapping[str, np.ndarray], where: dict[str, Any]
    ) -> Iterator[Finding]:
        length, still, seen = row["length"], checks.Standstill(), _Seen(self._reader.features[camera].is_depth)
        sampled = np.unique(stats.sample_indices(length))
        try:
            for at, picture in self._pictures(row, camera, np.arange(length) if self._all_frames else sampled):
                still.add(at, picture)
                if not self._all_frames or at in sampled:
                    seen.add(picture)
        except DataError as problem:
            yield Finding(check="unreadable", message=problem.message, **where)
            return
        self._parts[camera].append(seen.result())
        for at, says in still.frozen(columns, self._reader.fps):
            yield Finding(check="frozen", message=says, row=at, **where)

    def _pictures(self, row: Mapping[str, Any], camera: str, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Row and picture (H, W, C): uint8, or distances."""
        reader, feature = self._reader, self._reader.features[camera]
        if feature.dtype == "image":
            path, episode = reader.root / self._table(row), [row["episode_index"]]
            cells = read_columns(path, {camera: feature}, episode, row["length"])[camera]
            for at in rows.tolist():
                yield at, pictures(cells[at : at + 1], feature, reader.depth_output_unit)[0]
            return
        path, start = reader.root / self._video(row, camera), row[f"videos/{camera}/from_timestamp"]
        for some in np.split(rows, range(_AT_ONCE, len(rows), _AT_ONCE)):
            found = self._videos.frames(
                path, start + some / reader.fps, depth.PIXELS if feature.is_depth else decode.RGB
            )
            if feature.is_depth:
                found = reader.distances(camera)[found][..., None]
            yield from zip(some.tolist(), found, strict=True)

    def whole(self) -> Iterator[Finding]:
        """What all episodes together tell: statistics of other pictures, and pictures of no episode."""
        for camera, parts in self._parts.items():
            stored, feature = (self._reader.stats or {}).get(camera), self._reader.features[camera]
            if stored is not None:
                metres = _DEPTH_M * (1000 if self._reader.depth_output_unit == "mm" else 1)
                scale = metres if feature.is_depth else 1.0
                for found in checks.camera(
                    camera, stats.aggregate([{camera: part} for part in parts])[camera], stored, scale
                ):
                    yield checks.in_file(layout.STATS, found)
        for camera in self._reader.info.video_keys:
            yield from self._outside(camera)
        self._videos.close()

    def _outside(self, camera: str) -> Iterator[Finding]:
        spans: dict[Path, list[tuple[float, float]]] = defaultdict(list)
        half = 0.5 / self._reader.fps
        for row in self._reader.all_episodes:
            start = row[f"videos/{camera}/from_timestamp"]
            spans[self._video(row, camera)].append((start - half, start + row["length"] / self._reader.fps - half))
        for name, known in spans.items():
            film = self._of(name)
            if not isinstance(film, str) and (count := checks.outside(film.times, known)):
                says = f"{count} pictures are in no episode"
                yield Finding(check="video", message=says, file=str(name), column=camera)


class _Seen:
    """Statistics of pictures as they pass: of levels in [0, 1], or of distances."""

    def __init__(self, is_depth: bool) -> None:
        self._is_depth = is_depth
        self._levels: list[np.ndarray] = []
        self._distances: list[np.ndarray] = []

    def add(self, picture: np.ndarray) -> None:
        if self._is_depth:
            self._distances.append(np.array([picture.mean(), np.square(picture, dtype=np.float64).mean()]))
        else:
            self._levels.append(stats.level_counts(picture))

    def result(self) -> dict[str, np.ndarray]:
        if not self._is_depth:
            return stats.picture_stats(self._levels)
        mean, square = np.mean(self._distances, axis=0)
        values = {"min": mean, "max": mean, "mean": mean, "std": np.sqrt(max(square - mean**2, 0.0))}
        out = {name: np.full((1, 1, 1), value) for name, value in values.items()}
        return out | {"count": np.array([len(self._distances)])}


def shown(path: Path) -> Shown | str:
    """When the pictures of a video are shown, and their size, or why it cannot be read. Nothing is decoded."""
    if not path.is_file():
        return "the video is missing"
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            found = [packet.pts for packet in container.demux(stream) if packet.pts is not None and packet.size]
            times = np.sort(np.array(found) - (stream.start_time or 0)) * float(stream.time_base)
            return Shown(times, stream.height, stream.width)
    except (av.FFmpegError, IndexError) as problem:
        return f"the video cannot be read: {problem}"
