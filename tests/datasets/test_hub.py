"""Pushing to and pulling from a Hub on this machine, good network and bad."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hub_emulator import Fault, Hub, Repository, serving

from lerobot_core.errors import DataError
from lerobot_datasets import hub, publish, versions
from lerobot_datasets.commands.card import card as card_command
from lerobot_datasets.commands.pull import pull as pull_command
from lerobot_datasets.commands.push import push as push_command
from lerobot_datasets.meta import LeRobotDatasetMetadata
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.writer import Writer
from recordings import PATIENT, features, record

constants = pytest.importorskip("huggingface_hub.constants")

#: huggingface_hub and the library below it disagree on how bytes are sent.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

NAME = "acme/cubes"


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub that this process and those it starts talk to."""
    from huggingface_hub.utils import disable_progress_bars
    from tqdm import tqdm

    disable_progress_bars()
    monkeypatch.setattr(tqdm, "monitor_interval", 0)  # no thread that watches bars
    with serving() as (here, address):
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setenv("HF_TOKEN", "writer")
        yield here


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four episodes with a camera, each in files of its own."""
    root = tmp_path_factory.mktemp("recorded") / "set"
    for part in range(4):
        if part == 0:
            writer = Writer.create(root, features(), 10, robot_type="so_follower", encoder=PATIENT)
        else:
            writer = Writer.resume(root, encoder=PATIENT)
        record(writer, [5 + part])
        writer.finalize()
    return root


@pytest.fixture
def dataset(recorded: Path, tmp_path: Path) -> Path:
    """A copy of that dataset."""
    return Path(shutil.copytree(recorded, tmp_path / "set"))


def push(root: Path, **options: Any) -> str:
    return publish.push(publish.plan(root, NAME), **options)


def contents(root: Path) -> dict[str, bytes]:
    """Path → bytes of a dataset's files."""
    found = (path for kind in ("data", "videos", "meta") for path in (root / kind).rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def test_what_is_pushed_is_pulled(online: Hub, dataset: Path, tmp_path: Path) -> None:
    assert push(dataset).endswith(f"/datasets/{NAME}")
    assert contents(hub.pull(NAME)) == contents(dataset)
    assert contents(hub.pull(NAME, root=tmp_path / "other")) == contents(dataset)
    assert (tmp_path / "other/README.md").is_file()
