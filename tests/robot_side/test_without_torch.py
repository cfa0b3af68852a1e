"""The robot side in an environment without torch: every command a small computer beside the arm has to run."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is not None, reason="for an environment without torch: nox -s robot_side"
)

ROBOT = ("--robot.type=so101_follower", "--robot.port=emulated://so101?name=robot-side", "--robot.id=none")
LEADER = ("--teleop.type=so101_leader", "--teleop.port=emulated://so101-leader?motion=sine&name=robot-side-leader")
CAMERA = "--robot.cameras={front: {type: pattern, width: 64, height: 48, fps: 30}}"


def lr(*args: str) -> str:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lr")), *args], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, f"lr {' '.join(args)}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_teleoperate() -> None:
    assert "0 bus errors" in lr("teleoperate", *ROBOT, *LEADER, "--fps=60", "--teleop_time_s=2")


def test_record_then_info_then_replay(tmp_path: Path) -> None:
    dataset = ("--dataset.repo_id=me/robot-side", f"--dataset.root={tmp_path / 'set'}")
    lr(
        "record", *ROBOT, CAMERA, *LEADER, *dataset, "--dataset.single_task=wave", "--dataset.num_episodes=2",
        "--dataset.episode_time_s=1", "--dataset.reset_time_s=0.2", "--dataset.vcodec=h264",
    )  # fmt: skip
    info = json.loads(lr("dataset", "info", str(tmp_path / "set"), "--json"))
    assert info["episodes"] == 2
    assert info["frames"] == 60
    lr("replay", *ROBOT, *dataset, "--dataset.episode=1")


def test_run_a_policy(tmp_path: Path) -> None:
    results = tmp_path / "run.json"
    lr("run", *ROBOT, "--policy.type=hold", "--duration=1", f"--output_file={results}")
    assert json.loads(results.read_text())
