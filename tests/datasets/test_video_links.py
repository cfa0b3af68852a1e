"""torchcodec loads with the FFmpeg of PyAV's wheel, by links."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from lerobot_core.errors import DataError
from lerobot_datasets.video.links import link


def test_links_have_the_names_that_are_looked_for(tmp_path: Path) -> None:
    libraries, folder = tmp_path / "av.libs", tmp_path / "links"
    libraries.mkdir()
    for name in ("libavcodec-5e6b81c2.so.62.28.102", "libswscale-88e9f973.so.9.5.102", "libx264-0b6eadfb.so.165"):
        (libraries / name).touch()
    assert link(libraries, folder) == ["libavcodec.so.62", "libswscale.so.9"]
    assert (folder / "libavcodec.so.62").resolve() == libraries / "libavcodec-5e6b81c2.so.62.28.102"
    (libraries / "libavcodec-5e6b81c2.so.62.28.102").rename(libraries / "libavcodec-00000000.so.62.29.100")
    assert link(libraries, folder) == ["libavcodec.so.62", "libswscale.so.9"]
    assert (folder / "libavcodec.so.62").resolve().name == "libavcodec-00000000.so.62.29.100"


def test_no_libraries_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no libraries of FFmpeg"):
        link(tmp_path, tmp_path / "links")


@pytest.mark.skipif(sys.platform != "linux" or find_spec("torchcodec") is None, reason="needs torchcodec on Linux")
def test_torchcodec_loads_with_them() -> None:
    paths = subprocess.run(
        [sys.executable, "-m", "lerobot_datasets.video.links"], capture_output=True, text=True, check=True
    )
    environment = os.environ | {"LD_LIBRARY_PATH": paths.stdout.strip(), "PYTHONWARNINGS": "ignore"}
    probe = "from lerobot_datasets.video.decode import torchcodec_problem; print(torchcodec_problem() or 'loads')"
    told = subprocess.run([sys.executable, "-c", probe], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout == "loads\n"
