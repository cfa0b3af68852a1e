"""What the conformance suites must know of the parts here: a folder to write to, how a kill is played, what is imported."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, ClassVar

import pytest

from lerobot_core import roles
from lerobot_core.config import choose
from lerobot_core.testing import CommandSuite, DatasetBackendSuite


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


class InfoSuite(CommandSuite):
    """It reads tables, and its module those who read them."""

    works_on: ClassVar[tuple[str, ...]] = ("pyarrow", "av")
