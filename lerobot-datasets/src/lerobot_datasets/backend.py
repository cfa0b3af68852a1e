"""The `lerobot` dataset backend: opens v3.0 and v2.x folders, creates v3.0. Imports torch only when asked for a torch dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lerobot_core.errors import DataError
from lerobot_core.features import Feature
from lerobot_datasets import hub, publish
from lerobot_datasets.cache import Cache
from lerobot_datasets.config import LeRobotBackendConfig
from lerobot_datasets.v3 import layout
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.writer import Writer


class LeRobotReader(Reader):
    """A folder opened for reading, which can also be had as a torch dataset."""

    def __init__(self, config: LeRobotBackendConfig, root: Path, episodes: Sequence[int] | None) -> None:
        super().__init__(root, episodes, config.depth_output_unit, Cache(root))
        self._config = config

    def torch(self, delta_timestamps: Mapping[str, Sequence[float]] | None = None, transforms: Any = None) -> Any:
        """The same episodes as a `LeRobotDataset`; `transforms` are `ImageTransforms`, their arguments, or any callable.

        Raises:
            ConfigError: arguments that ImageTransforms does not take.
            DataError: a video is missing.
        """
        from lerobot_datasets.dataset import LeRobotDataset

        self.require_videos()
        return LeRobotDataset(
            self._config.repo_id,
            root=self.root,
            episodes=self.selection,
            image_transforms=_image_transforms(transforms),
            delta_timestamps=delta_timestamps,
            tolerance_s=self._config.tolerance_s,
            video_backend=self._config.video_backend,
            return_uint8=self._config.return_uint8,
            depth_output_unit=self._config.depth_output_unit,
            video_cache_mb=self._config.video_cache_mb,
        )


class StreamingReader(LeRobotReader):
    """A dataset whose tables and videos stay where they are: its metadata, and it as a torch dataset to stream.

    Where it is a folder, columns and frames can be read too.
    """

    def __init__(self, config: LeRobotBackendConfig, episodes: Sequence[int] | None) -> None:
        from lerobot_datasets.stream import place

        self._located = place.locate(config.repo_id, config.root, config.revision)
        super().__init__(config, self._located.folder, episodes)

    def torch(self, delta_timestamps: Mapping[str, Sequence[float]] | None = None, transforms: Any = None) -> Any:
        """The same episodes as a `StreamingLeRobotDataset`; `transforms` are as for `LeRobotReader.torch`.

        Raises:
            ConfigError: arguments that ImageTransforms does not take.
            DataError: the dataset is incomplete or cannot be reached.
        """
        from lerobot_datasets.streaming import StreamingLeRobotDataset

        config = self._config
        return StreamingLeRobotDataset(
            config.repo_id,
            config.root,
            self.selection,
            _image_transforms(transforms),
            delta_timestamps,
            config.tolerance_s,
            config.revision,
            buffer_size=config.buffer_size,
            max_num_shards=config.max_num_shards,
            return_uint8=config.return_uint8,
            video_backend=config.video_backend,
            depth_output_unit=config.depth_output_unit,
        )


def _image_transforms(given: Any) -> Any:
    from lerobot_datasets.transforms import ImageTransforms

    return ImageTransforms(**given) if isinstance(given, Mapping) else given


class LeRobotBackend:
    """Makes readers of v3.0 and v2.x folders, and writers of v3.0."""

    def __init__(self, config: LeRobotBackendConfig) -> None:
        self.config = config

    def create(
        self, features: Mapping[str, Feature], fps: int, *, robot_type: str | None = None, resume: bool = False
    ) -> Writer:
        """A writer for a new dataset, or with `resume` for more episodes of an existing one.

        Raises:
            DataError: the folder holds a dataset (or none, with `resume`), or one with other features, fps or robot.
            FeatureError: a feature cannot be stored.
        """
        folder = layout.local_root(self.config.repo_id, self.config.root)
        if resume:
            if not (folder / layout.INFO).is_file():
                raise DataError(f"no dataset in '{folder}' to add to", path=folder, hint="begin one without --resume")
            writer = Writer.resume(folder, encoder=self.config.encoding)
            try:
                writer.require(features, fps, robot_type)
            except DataError:
                writer.finalize()
                raise
            return writer
        return Writer.create(
            folder,
            features,
            fps,
            robot_type=robot_type,
            encoder=self.config.encoding,
            data_files_size_in_mb=self.config.data_files_size_in_mb,
            video_files_size_in_mb=self.config.video_files_size_in_mb,
        )

    def open(self, episodes: Sequence[int] | None = None) -> LeRobotReader:
        """A reader of some or all episodes.

        Raises:
            DataError: no such dataset, or it cannot be read.
        """
        if self.config.streaming:
            return StreamingReader(self.config, episodes)
        patterns = None if self.config.download_videos else ["meta/*", "data/*"]
        root = hub.locate(
            self.config.repo_id, self.config.root, self.config.revision, patterns=patterns, episodes=episodes
        )
        return LeRobotReader(self.config, root, episodes)

    def push_to_hub(self) -> None:
        """Push the dataset as `repo_id` to the Hub.

        Raises:
            DataError: the dataset is not whole, the Hub refused, or the connection broke.
        """
        folder = layout.local_root(self.config.repo_id, self.config.root)
        try:
            what = publish.plan(folder, self.config.repo_id, tags=self.config.tags)
            publish.push(what, private=self.config.private or None)
        except DataError as failure:
            again = f"the recording is safe; to push it: `lr dataset push {folder} {self.config.repo_id}`"
            raise DataError(failure.message, path=folder, hint=f"{failure.hint}; {again}") from failure
