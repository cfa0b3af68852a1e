"""What `lr record` writes is what the LeRobotDataset reader gives back, pictures in their places."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import hub_emulator
from lerobot_core import plugins
from lerobot_core.cli.program import lr
from lerobot_core.config import choose
from lerobot_core.roles import DatasetBackend
from lerobot_motors.cameras.pattern import decode

ROBOT = ("--robot.type=so101_follower", "--robot.port=emulated://so101?name=recorded")
TELEOP = ("--teleop.type=so101_leader", "--teleop.port=emulated://so101-leader?motion=sine&name=recorder")
CAMERA = "--robot.cameras={front: {type: pattern, width: 128, height: 96, fps: 30}}"


@pytest.fixture(autouse=True)
def installed(host, monkeypatch, tmp_path):
    """The motors and datasets distributions, and nothing else."""
    import lerobot_datasets.plugin
    import lerobot_motors.plugin

    host.add(lerobot_motors.plugin, "motors", "lerobot-motors")
    host.add(lerobot_datasets.plugin, "datasets", "lerobot-datasets")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert plugins.host() is host


def record(root: Path, *args: str, episodes: int = 2) -> dict:
    report = root.parent / "report.json"
    words = [
        "record", *ROBOT, CAMERA, *TELEOP, "--dataset.repo_id=me/set", f"--dataset.root={root}", "--dataset.vcodec=h264",
        "--dataset.single_task=wave", f"--dataset.num_episodes={episodes}", "--dataset.episode_time_s=1", "--dataset.reset_time_s=0.2",
        f"--output_file={report}", *args,
    ]  # fmt: skip
    lr.main(words, prog_name="lr", standalone_mode=False)
    return json.loads(report.read_text())


def test_two_episodes_then_one_more(tmp_path):
    root = tmp_path / "set"
    report = record(root)
    record(root, "--resume=true", episodes=1)
    dataset = choose(DatasetBackend, "lerobot", repo_id="me/set", root=str(root)).build().open()
    assert (dataset.num_episodes, dataset.num_frames) == (3, 90)
    assert json.loads((root / "meta/info.json").read_text())["robot_type"] == "so_follower"
    for episode in range(3):
        columns = dataset.columns(episode)
        assert np.allclose(columns["timestamp"].ravel(), np.arange(30) / 30, atol=1e-4)
        assert np.abs(np.diff(columns["action"], axis=0)).max() > 0, "the leader moves"
        numbers = [decode(picture) for picture in dataset.frames(episode, "observation.images.front")]
        assert len(numbers) == 30
        assert numbers == sorted(numbers)
        if episode < 2:
            seconds = report["episodes"][episode]["seconds"]
            assert abs(numbers[-1] - numbers[0] - 30 * seconds) <= 3, "pictures of their time"


def test_a_recording_is_pushed_when_asked(tmp_path, monkeypatch):
    pytest.importorskip("huggingface_hub")
    with hub_emulator.online(monkeypatch) as hub:
        record(tmp_path / "set", "--dataset.push_to_hub=true", "--dataset.private=true", episodes=1)
    repository = hub.repositories["me/set"]
    assert repository.private
    assert (tmp_path / "set/meta/info.json").read_bytes() == repository.at("v3.0")["meta/info.json"]
