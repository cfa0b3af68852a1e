"""The backends pass the suite that third parties use; `lerobot` with each way of storing pictures."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from lerobot_core.features import Feature
from lerobot_datasets import plugin
from lerobot_datasets.conformance import LeRobotBackendSuite, RobomimicBackendSuite


@pytest.fixture(autouse=True)
def _ours(host: Any) -> None:
    host.add(plugin, "datasets", "lerobot-datasets")


class TestVideos(LeRobotBackendSuite):
    """As `lr plugins --check` runs it."""


class TestPictures(LeRobotBackendSuite):
    lossy: ClassVar[bool] = False

    def features(self) -> dict[str, Feature]:
        found = super().features()
        shape = (*self.size, 3)
        return found | {
            key: Feature(dtype="image", shape=shape, names=f.names) for key, f in found.items() if f.is_picture
        }


class TestTables(LeRobotBackendSuite):
    size: ClassVar[Any] = None


class TestRobomimic(RobomimicBackendSuite):
    """As `lr plugins --check` runs it."""
