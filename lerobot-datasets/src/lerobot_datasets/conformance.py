"""What the conformance suite must know of the `lerobot` backend: a folder to write to, and how a kill is played."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from lerobot_core import roles
from lerobot_core.config import choose
from lerobot_core.testing import DatasetBackendSuite


class LeRobotBackendSuite(DatasetBackendSuite):
    """Datasets in a temporary folder; no frame is lost to a busy machine."""

    def made(self, root: Path) -> Any:
        """A backend on that folder."""
        encoder = {"vcodec": "h264", "crf": 18, "when_full": "wait"}
        return choose(roles.DatasetBackend, "lerobot", repo_id="conformance/set", root=root, encoder=encoder).build()

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Any:
        return self.made(tmp_path / "set")

    def killed(self, backend: Any, elsewhere: Path) -> Any:
        shutil.copytree(backend.config.root, elsewhere)
        return self.made(elsewhere)
