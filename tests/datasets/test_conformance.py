"""The `lerobot` backend passes the suite that third parties use, with each way of storing pictures."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, ClassVar

import pytest
import recordings

from lerobot_core.features import Feature
from lerobot_core.testing.datasets import DatasetBackendSuite
from lerobot_datasets.backend import LeRobotBackend
from lerobot_datasets.config import EncoderConfig


class TestVideos(DatasetBackendSuite):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> LeRobotBackend:
        return recordings.backend(tmp_path / "set", vcodec="h264", encoder=EncoderConfig(crf=18, when_full="wait"))

    def killed(self, backend: LeRobotBackend, elsewhere: Path) -> LeRobotBackend:
        shutil.copytree(backend.config.root, elsewhere)
        return recordings.backend(elsewhere)


class TestPictures(TestVideos):
    lossy: ClassVar[bool] = False

    def features(self) -> dict[str, Feature]:
        found = super().features()
        shape = (*self.size, 3)
        return found | {
            key: Feature(dtype="image", shape=shape, names=f.names) for key, f in found.items() if f.is_picture
        }


class TestTables(TestVideos):
    size: ClassVar[Any] = None
