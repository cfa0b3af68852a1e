"""The `robomimic` dataset backend: reads the demonstrations of an HDF5 file. Imports torch only when asked for a torch dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets.robomimic.config import RobomimicBackendConfig
from lerobot_datasets.robomimic.reader import Reader


class RobomimicReader(Reader):
    """A file opened for reading, which can also be had as a torch dataset."""

    def torch(self, delta_timestamps: Mapping[str, Sequence[float]] | None = None, transforms: Any = None) -> Any:
        """The same episodes as a map-style torch dataset; `transforms` are `ImageTransforms`, their arguments, or any callable.

        Raises:
            DataError: a window that names no feature or no frame, or columns that do not fit.
        """
        from lerobot_datasets.robomimic.dataset import RobomimicDataset
        from lerobot_datasets.transforms import ImageTransforms

        if isinstance(transforms, Mapping):
            transforms = ImageTransforms(**transforms)
        return RobomimicDataset(self, delta_timestamps or {}, transforms)


class RobomimicBackend:
    """Makes readers of robomimic's files."""

    def __init__(self, config: RobomimicBackendConfig) -> None:
        self.config = config

    def create(
        self, features: Mapping[str, Feature], fps: int, *, robot_type: str | None = None, resume: bool = False
    ) -> Any:
        """Refused: robomimic's layout is read, not recorded.

        Raises:
            DataError: always.
        """
        raise DataError(
            f"'{self.config.file}' cannot be recorded to: robomimic files are read only",
            path=self.config.file,
            hint="record with --dataset.type=lerobot; `lr dataset import` brings this file there",
        )

    def open(self, episodes: Sequence[int] | None = None) -> RobomimicReader:
        """A reader of some or all episodes.

        Raises:
            DataError: no such file, or of another layout.
            FeatureError: a feature cannot be made of the arrays named.
        """
        return RobomimicReader(self.config, episodes)
