"""`LeRobotDatasetMetadata`: what a dataset says about itself, under the names users know. Needs no torch."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from lerobot_core.features import to_info
from lerobot_datasets import hub
from lerobot_datasets.cache import Cache
from lerobot_datasets.v3.metadata import Episodes
from lerobot_datasets.v3.reader import Reader


class LeRobotDatasetMetadata:
    """What a dataset says about itself.

    Args:
        repo_id: name of the dataset.
        root: its folder; the one of `repo_id` under $HF_LEROBOT_HOME when not given.
        revision: version tag, branch or commit on the Hub.
        force_cache_sync: fetch the metadata even if it is there.

    Raises:
        DataError: no such dataset, or it cannot be read.
    """

    def __init__(
        self,
        repo_id: str,
        root: str | Path | None = None,
        revision: str | None = None,
        force_cache_sync: bool = False,
    ) -> None:
        patterns = ["meta/*"]
        folder = hub.locate(repo_id, root, revision, patterns=patterns, force=force_cache_sync)
        self._init(repo_id, revision, Reader(folder, cache=Cache(folder)))

    def _init(self, repo_id: str, revision: str | None, reader: Reader) -> None:
        self.repo_id, self.revision, self.root = repo_id, revision, reader.root
        self.info, self.stats = reader.info, reader.stats
        self.episodes: Episodes = reader.all_episodes
        #: task text → its index
        self.tasks: dict[str, int] = {task: index for index, task in enumerate(reader.tasks)}

    @classmethod
    def of(cls, reader: Reader, repo_id: str, revision: str | None = None) -> LeRobotDatasetMetadata:
        """The metadata of a dataset that is open already."""
        meta = cls.__new__(cls)
        meta._init(repo_id, revision, reader)
        return meta

    @cached_property
    def features(self) -> dict[str, dict[str, Any]]:
        """Feature → its dtype, shape (a tuple), names and maybe info."""
        return {key: to_info(f) | {"shape": tuple(f.shape)} for key, f in self.info.features.items()}

    @property
    def fps(self) -> int:
        return self.info.fps

    @property
    def robot_type(self) -> str | None:
        return self.info.robot_type

    @property
    def total_episodes(self) -> int:
        return self.info.total_episodes

    @property
    def total_frames(self) -> int:
        return self.info.total_frames

    @property
    def total_tasks(self) -> int:
        return self.info.total_tasks

    @property
    def video_keys(self) -> list[str]:
        return self.info.video_keys

    @property
    def image_keys(self) -> list[str]:
        return [key for key, feature in self.info.features.items() if feature.dtype == "image"]

    @property
    def camera_keys(self) -> list[str]:
        return self.info.camera_keys

    @property
    def depth_keys(self) -> list[str]:
        return [key for key, feature in self.info.features.items() if feature.is_picture and feature.is_depth]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {key: tuple(feature.shape) for key, feature in self.info.features.items()}

    @property
    def names(self) -> dict[str, Any]:
        return {key: feature.names for key, feature in self.info.features.items()}


class Described:
    """A dataset opened for reading: what it says about itself, whichever way its items are had.

    Attributes:
        meta: all of it.
    """

    meta: LeRobotDatasetMetadata
    _reader: Reader

    @property
    def fps(self) -> int:
        return self._reader.fps

    @property
    def features(self) -> dict[str, dict[str, Any]]:
        """Feature → its dtype, shape (a tuple), names and maybe info."""
        return self.meta.features

    @property
    def num_frames(self) -> int:
        return self._reader.num_frames

    @property
    def num_episodes(self) -> int:
        return self._reader.num_episodes

    @property
    def episodes(self) -> Episodes:
        """The rows of the episodes selected."""
        return self._reader.episodes
