"""The backend passes the suite that every dataset backend has to pass, and its files are plain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lerobot_core.config import choose
from lerobot_core.errors import ConfigError, DataError
from lerobot_core.roles import DatasetBackend

from {{ cookiecutter.name }} import plugin
from {{ cookiecutter.name }}.dataset_backend_conformance import {{ cookiecutter.class_name }}DatasetBackendSuite


class Test{{ cookiecutter.class_name }}DatasetBackend({{ cookiecutter.class_name }}DatasetBackendSuite):
    component = plugin.lr_dataset_backends()[0]

    def test_any_numpy_reads_an_episode(self, written: Any) -> None:
        with np.load(written.config.root / "episodes" / "000000.npz", allow_pickle=False) as arrays:
            assert {"observation.state", "action", "task"} <= set(arrays)

    def test_no_half_file_stays_behind(self, written: Any) -> None:
        assert {file.suffix for file in written.config.root.rglob("*") if file.is_file()} == {".json", ".npz"}

    def test_other_features_do_not_go_into_the_same_dataset(self, written: Any) -> None:
        features = self.features()
        del features["action"]
        with pytest.raises(DataError, match="other features"):
            written.create(features, 10, robot_type="toy", resume=True)


def test_a_folder_is_needed() -> None:
    with pytest.raises(ConfigError, match="root: missing"):
        choose(DatasetBackend, "{{ cookiecutter.name }}")


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no dataset"):
        choose(DatasetBackend, "{{ cookiecutter.name }}", root=str(tmp_path)).build().open()
