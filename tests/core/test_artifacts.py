"""Where a checkpoint or dataset lies on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lerobot_core import artifacts
from lerobot_core.errors import CheckpointError


def test_a_folder_is_itself(tmp_path: Path, home: Path) -> None:
    assert artifacts.resolve(tmp_path) == tmp_path
    (home / "runs").mkdir()
    assert artifacts.resolve("~/runs") == home / "runs"


@pytest.mark.parametrize("name", ["./nothing", "/nothing/here", "nothing", "a/b/c", "../x"])
def test_a_missing_folder_is_not_looked_for_elsewhere(name: str) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        artifacts.resolve(name)


def test_a_repository_needs_the_hub_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match="needs huggingface_hub") as info:
        artifacts.resolve("someone/something")
    assert "lerobot-core[hub]" in info.value.hint


def test_a_repository_is_downloaded_with_what_was_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from types import SimpleNamespace

    asked = {}

    def snapshot_download(name: str, **options: object) -> str:
        asked.update(options, name=name)
        return str(tmp_path)

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=snapshot_download))
    assert artifacts.resolve("someone/something", "v2", ["*.json"]) == tmp_path
    assert asked == {"name": "someone/something", "revision": "v2", "allow_patterns": ["*.json"]}


def test_a_failed_download_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    def snapshot_download(name: str, **options: object) -> str:
        raise OSError("offline")

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=snapshot_download))
    with pytest.raises(CheckpointError, match=r"could not be downloaded: offline"):
        artifacts.resolve("someone/something")
