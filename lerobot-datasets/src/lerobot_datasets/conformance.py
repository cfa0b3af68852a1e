"""What the conformance suites must know of the parts here: where to write, how a kill is played, what is imported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core import roles
from lerobot_core.config import choose
from lerobot_core.testing import CommandSuite, DatasetBackendSuite
from lerobot_core.testing.memory import MemoryWriter, Stored
from lerobot_core.testing.recordings import RecordingSuite


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


class RobomimicBackendSuite(DatasetBackendSuite):
    """Demonstrations in a temporary file, written by the suite: the backend itself only reads."""

    lossy: ClassVar[bool] = False

    @pytest.fixture
    def backend(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        pytest.importorskip("h5py")
        monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path / "home"))  # where statistics are kept
        made_of = {"observation.state": ["obs/a", "obs/b", "obs/c"], "touch": ["obs/touch"], "count": ["obs/count"]}
        options = {"file": tmp_path / "set.hdf5", "features": made_of, "names": {"action": ["a", "b"]}}
        return _Written(choose(roles.DatasetBackend, "robomimic", **options).build())

    @pytest.fixture(autouse=True)
    def _only_reading(self, request: pytest.FixtureRequest) -> None:
        if request.function.__name__ in vars(RecordingSuite):
            pytest.skip("not declared: recording")

    @pytest.mark.xfail(reason="a demonstration has one task", strict=True)
    def test_tasks_are_kept_to_the_letter(self, backend: Any) -> None:
        super().test_tasks_are_kept_to_the_letter(backend)


class _Written:
    """The backend, and a writer beside it of the layout it reads."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.open = backend.open

    def create(self, features: Any, fps: int, **what: Any) -> MemoryWriter:
        return _FileWriter(self._backend.config.file, Stored(dict(features), fps, None, [], []))


class _FileWriter(MemoryWriter):
    """Adds each episode to the file when it is saved."""

    def __init__(self, file: Path, stored: Stored) -> None:
        super().__init__(stored)
        self._file = file

    def save_episode(self) -> int:
        import h5py

        number = super().save_episode()
        frames, tasks = self._stored.episodes[number]
        with h5py.File(self._file, "a") as file:
            data = file.require_group("data")
            data.attrs["env_args"] = json.dumps({"env_kwargs": {"control_freq": self._stored.fps}})
            demo = data.create_group(f"demo_{number}")
            demo.attrs["ep_meta"] = json.dumps({"lang": tasks[0]})
            for key in self.features:
                values = np.stack([frame[key] for frame in frames])
                values = values[:, 0] if values.shape[1:] == (1,) else values
                if key == "observation.state":
                    for i, name in enumerate("abc"):
                        demo[f"obs/{name}"] = values[:, i]
                else:
                    demo[_PLACES.get(key, f"obs/{key}")] = values
        return number


_PLACES = {"action": "actions", "next.done": "dones", "observation.images.front": "obs/front_image"}


class InfoSuite(CommandSuite):
    """It reads tables, and its module those who read them."""

    works_on: ClassVar[tuple[str, ...]] = ("pyarrow", "av")
