"""Single pictures for cameras that a browser does not play: cells of tables, depth in colours, videos decoded here. No torch."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets.stats import Stats
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.video import decode, depth, png

#: first bytes of a picture file → its media type, of those that browsers show
_KINDS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}

#: near to far: dark violet, blue, teal, green, yellow; rising in brightness, so that it reads without colours too
_RAMP = np.array(
    [(38, 12, 66), (54, 50, 124), (42, 95, 148), (30, 138, 146), (54, 178, 118), (142, 210, 74), (248, 228, 52)]
)
_QUICK = 1  # compression level of pictures made for one look


def kind(cell: bytes) -> str | None:
    """Media type of a picture file, None for one that browsers do not show."""
    return next((name for start, name in _KINDS.items() if cell.startswith(start)), None)


def of_cell(cell: bytes, feature: Feature, bounds: tuple[float, float]) -> tuple[bytes, str]:
    """A picture file to show and its media type, of a cell of a table.

    Raises:
        DataError: the cell holds no picture.
    """
    if feature.is_depth:
        return coloured(depth.from_cell(cell, feature, "mm")[..., 0], bounds), "image/png"
    if (known := kind(cell)) is not None:
        return cell, known
    return png.encode(png.decode(cell), _QUICK), "image/png"


def coloured(distances: np.ndarray, bounds: tuple[float, float]) -> bytes:
    """PNG of distances (H, W) between two bounds; black where there is no reading."""
    low, high = bounds
    share = np.clip((distances - low) / max(high - low, 1e-6), 0, 1)
    known = np.isfinite(share) & (distances > 0)
    steps = (np.nan_to_num(share) * 255).astype(np.uint8)
    return png.encode(np.where(known[..., None], _COLOURS[steps], 0).astype(np.uint8), _QUICK)


_STEPS = np.linspace(0, 1, 256)
_COLOURS = np.stack([np.interp(_STEPS, np.linspace(0, 1, len(_RAMP)), channel) for channel in _RAMP.T], axis=1).astype(
    np.uint8
)  # (256, 3)


def bounds(key: str, feature: Feature, stats: Stats | None) -> tuple[float, float]:
    """Least and greatest distance of a depth camera's colours [mm]: what most of its pixels have, else all it can tell."""
    found = (stats or {}).get(key, {})
    for low, high in (("q01", "q99"), ("min", "max")):
        if low in found and high in found:
            near, far = float(found[low].reshape(-1)[0]), float(found[high].reshape(-1)[0])
            if np.isfinite(near + far) and far > near:
                return near, far
    quantiser = depth.quantiser(key, feature)
    return quantiser.depth_min * 1000, quantiser.depth_max * 1000


class Videos:
    """Pictures of videos, one at a time; quick where the next asked for is the next in the video.

    Args:
        reader: the dataset.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._open = {
            key: (threading.Lock(), decode.VideoReader("pyav", tolerance_s=1 / reader.fps))
            for key in reader.info.video_keys
        }

    def picture(self, camera: str, path: Path, time: float, bounds: tuple[float, float]) -> bytes:
        """PNG of what a video shows at a time [s].

        Raises:
            DataError: the video is missing, broken or has no such time.
        """
        lock, videos = self._open[camera]
        is_depth = self._reader.features[camera].is_depth
        with lock:
            found = videos.frames(path, np.array([time]), depth.PIXELS if is_depth else decode.RGB)[0]
        if is_depth:
            return coloured(self._reader.distances(camera)[found], bounds)
        return png.encode(found, _QUICK)


def require_within(path: Path) -> Path:
    """
    Raises:
        DataError: a path that metadata name leads out of the dataset's folder.
    """
    if path.is_absolute() or ".." in path.parts:
        raise DataError(
            f"'{path}' leads out of the dataset's folder", hint="mend data_path and video_path in info.json"
        )
    return path
