"""What the conformance suite must know of the backend. `lr plugins --check {{ cookiecutter.name }}` runs it, and so do the tests."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from lerobot_core.testing import DatasetBackendSuite

from {{ cookiecutter.name }}.dataset_backend import {{ cookiecutter.class_name }}DatasetBackend
from {{ cookiecutter.name }}.dataset_backend_config import {{ cookiecutter.class_name }}DatasetBackendConfig


class {{ cookiecutter.class_name }}DatasetBackendSuite(DatasetBackendSuite):
    """A folder to write to, how a kill is played, and that there is nothing for torch yet."""

    lossy = False
    has_torch = False

    @pytest.fixture
    def backend(self, tmp_path: Path) -> {{ cookiecutter.class_name }}DatasetBackend:
        return {{ cookiecutter.class_name }}DatasetBackend({{ cookiecutter.class_name }}DatasetBackendConfig(root=tmp_path / "dataset"))

    def killed(self, backend: Any, elsewhere: Path) -> {{ cookiecutter.class_name }}DatasetBackend:
        shutil.copytree(backend.config.root, elsewhere)
        return {{ cookiecutter.class_name }}DatasetBackend({{ cookiecutter.class_name }}DatasetBackendConfig(root=elsewhere))
