"""What the pictures of one camera in one episode are written to, and what is found out about them on the way.

Knows paths and pictures, nothing of where they come from. Runs in the process that encodes.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

import attrs
import numpy as np

from lerobot_datasets import stats
from lerobot_datasets.config import EncoderConfig
from lerobot_datasets.records import RecordFile
from lerobot_datasets.video import png, tiff
from lerobot_datasets.video.depth import Quantiser
from lerobot_datasets.video.encode import VideoFile


class PictureFile(Protocol):
    """What pictures are written to, in order."""

    def write(self, picture: np.ndarray) -> None: ...

    def close(self) -> None: ...

    def flush(self) -> None: ...


@attrs.frozen(kw_only=True)
class Camera:
    """How the pictures of one camera are kept.

    Attributes:
        name: the feature.
        dtype: `video`, or `image` for cells of a table.
        shape: (H, W, C) of a picture.
        fps: frames per second.
        encoder: how to encode.
        depth: how distances become codes; None for a camera that sees colours.
    """

    name: str
    dtype: str
    shape: tuple[int, int, int]
    fps: int
    encoder: EncoderConfig
    depth: Quantiser | None = None

    def file(self, folder: Path) -> Path:
        """Where its pictures of an episode are kept in the folder of the episode."""
        return folder / f"{self.name}.{'mp4' if self.dtype == 'video' else 'cells'}"

    def open(self, folder: Path) -> PictureFile:
        """A new file."""
        path = self.file(folder)
        if self.dtype == "image":
            return Cells(path)
        file = VideoFile(path, self.shape[:2], self.fps, self.encoder, fragments=True)
        return file if self.depth is None else DepthFile(file, self.depth)

    def to_data(self) -> dict[str, Any]:
        return attrs.asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Camera:
        """The camera of `to_data`."""
        depth = None if data["depth"] is None else Quantiser(**data["depth"])
        shape = tuple(data["shape"])
        return cls(**data | {"shape": shape, "encoder": EncoderConfig(**data["encoder"]), "depth": depth})


class DepthFile:
    """Distances as the codes of a video."""

    def __init__(self, file: VideoFile, quantiser: Quantiser) -> None:
        self._file, self._quantiser = file, quantiser
        self.close, self.flush = file.close, file.flush

    @property
    def delay(self) -> int:
        return self._file.delay

    def write(self, picture: np.ndarray) -> None:
        self._file.write(self._quantiser.codes(picture[..., 0]))  # (H, W)


class Cells:
    """Pictures as file bytes, one record each: PNG, or TIFF of depth.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._file = RecordFile(path)

    def close(self) -> None:
        self._file.close()

    def flush(self) -> None:
        """Nothing: the cells are stored again with the table."""

    def write(self, picture: np.ndarray) -> None:
        self._file.add(tiff.encode(picture[..., 0]) if picture.shape[2] == 1 else png.encode(picture))


class Levels:
    """Statistics of colour pictures: those of the frames that are looked at, which the length decides at the end."""

    def __init__(self) -> None:
        self._counted: list[np.ndarray] = []

    def add(self, picture: np.ndarray) -> None:
        self._counted.append(stats.level_counts(picture))

    def again(self) -> None:
        self._counted.append(self._counted[-1])

    def result(self, length: int) -> dict[str, np.ndarray]:
        return stats.picture_stats([self._counted[i] for i in stats.sample_indices(length)])


class Distances:
    """Statistics of depth pictures in the unit of recording, of every frame; `count` is that of a camera with colours."""

    def __init__(self) -> None:
        self._running = stats.RunningStats()

    def add(self, picture: np.ndarray) -> None:
        self._last = stats.thinned(picture).reshape(-1, 1).astype(np.float64)
        self._running.update(self._last)

    def again(self) -> None:
        self._running.update(self._last)

    def result(self, length: int) -> dict[str, np.ndarray]:
        found = {name: value.reshape(-1, 1, 1) for name, value in self._running.result().items()}
        found["count"] = np.array([len(stats.sample_indices(length))])
        return {name: found[name] for name in stats.NAMES}


class Encoding:
    """One camera in one episode, picture by picture. A picture that never came is the one before it once more.

    Args:
        camera: which.
        folder: of the episode.
    """

    def __init__(self, camera: Camera, folder: Path) -> None:
        self._file = camera.open(folder)
        self._seen: Levels | Distances = Levels() if camera.shape[2] == 3 else Distances()
        self._last: np.ndarray | None = None
        self._count, self._began = 0, time.process_time()

    def add(self, index: int, picture: np.ndarray) -> None:
        """Frame `index` of the episode; a view, whose memory is another's afterwards."""
        self._fill(index, picture)
        self._file.write(picture)
        self._seen.add(picture)
        self._count += 1
        self._last = picture.copy()

    def _fill(self, index: int, picture: np.ndarray) -> None:
        while self._count < index:
            self._file.write(picture if self._last is None else self._last)
            self._seen.add(picture) if self._last is None else self._seen.again()
            self._count += 1
            self._last = picture.copy() if self._last is None else self._last

    def finish(self, length: int) -> dict[str, Any]:
        """Close the file after `length` frames; what was found out, as plain data."""
        if self._last is not None:
            self._fill(length, self._last)
        self._file.close()
        self._file.flush()
        found = {name: value.tolist() for name, value in self._seen.result(length).items()}
        seconds = time.process_time() - self._began
        return {"stats": found, "delay": getattr(self._file, "delay", 0), "seconds": seconds}

    def cancel(self) -> None:
        """Close the file; what is in it is of no use."""
        self._file.close()
