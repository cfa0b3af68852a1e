"""A robot and a policy of one file each go the whole way: teleoperate, record, train, serve, run. As a stranger types it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lerobot_core.testing import plugin as toys

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
MY_ROBOT, MY_POLICY = EXAMPLES / "my_robot.py", EXAMPLES / "my_policy.py"
LEADER = (f"--plugin={toys.__file__}", "--teleop.type=toy_leader", "--teleop.period=1")
ROBOT = (f"--plugin={MY_ROBOT}", "--robot.type=my_robot")
POLICY = f"--plugin={MY_POLICY}"
LR = [sys.executable, "-c", "from lerobot_core.cli import main; main()"]


def lr(*args: str) -> str:
    """What `lr` printed; it must have nothing to complain about."""
    ran = subprocess.run([*LR, *args], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stdout


def read(file: Path) -> dict:
    return json.loads(file.read_text())


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Two episodes of the robot, recorded."""
    root = tmp_path_factory.mktemp("recorded") / "arm"
    named = ("--dataset.repo_id=me/arm", f"--dataset.root={root}")
    lr(
        "record", *ROBOT, *LEADER, *named, "--dataset.single_task=wave", "--dataset.num_episodes=2",
        "--dataset.episode_time_s=1", "--dataset.reset_time_s=0.1",
    )  # fmt: skip
    info = read(root / "meta" / "info.json")
    assert (info["robot_type"], info["total_episodes"], info["total_frames"]) == ("my_robot", 2, 60)
    assert info["features"]["observation.images.front"]["shape"] == [64, 64, 3]
    return named


@pytest.fixture(scope="module")
def checkpoint(dataset: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The policy, trained on them."""
    run = tmp_path_factory.mktemp("trained") / "run"
    lr(
        "train", POLICY, *dataset, "--policy.type=my_policy", "--policy.device=cpu", "--steps=20", "--batch_size=16",
        "--log_freq=5", f"--output_dir={run}",
    )  # fmt: skip
    losses = [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.9 * losses[0], losses
    return f"--policy.path={run}/checkpoints/last/pretrained_model"


@pytest.mark.parametrize("file", [MY_ROBOT, MY_POLICY], ids=["robot", "policy"])
def test_it_is_short_and_passes_every_check(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 50
    subprocess.run(
        [sys.executable, "-m", "lerobot_core.testing.offered", file.stem, f"--plugin={file}"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip


def test_the_robot_follows_a_leader(tmp_path: Path) -> None:
    lr("teleoperate", *ROBOT, *LEADER, "--teleop_time_s=0.5", f"--output_file={tmp_path}/run.json")
    assert read(tmp_path / "run.json")["ticks"] == 30


def test_its_options_are_in_the_help() -> None:
    assert "joints go from -reach to reach" in lr("run", *ROBOT, "--help")


def drives(result: dict) -> None:
    (episode,) = result["episodes"]
    assert episode["ticks"] == 15
    assert episode["executed"] == episode["ticks"] - episode["idle"] > 5


def test_the_policy_drives_the_robot(checkpoint: str, tmp_path: Path) -> None:
    lr("run", *ROBOT, POLICY, checkpoint, "--duration=0.5", f"--output_file={tmp_path}/run.json")
    drives(read(tmp_path / "run.json"))


def test_the_policy_drives_the_robot_from_elsewhere(checkpoint: str, tmp_path: Path) -> None:
    words = [*LR, "serve", POLICY, checkpoint, "--address=tcp://127.0.0.1:0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().split()[-1]
            lr("run", *ROBOT, f"--server={address}", "--duration=0.5", f"--output_file={tmp_path}/run.json")
        finally:
            server.send_signal(signal.SIGINT)
            _, err = server.communicate(timeout=10)
    assert (server.returncode, err) == (0, "stopped\n")
    drives(read(tmp_path / "run.json"))


def test_processes_that_read_the_data_know_the_plugin(tmp_path: Path) -> None:
    """A part in one file is handed to a process of its own, as the readers of a training run are."""
    (tmp_path / "my_rows.py").write_text("class Rows(list):\n    pass\n")
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / "elsewhere" / "main.py"
    file.write_text(
        "import multiprocessing, pathlib\n"
        "from lerobot_core import plugins\n"
        "if __name__ == '__main__':\n"
        "    plugins.host().add_file(pathlib.Path('my_rows.py'))\n"
        "    import my_rows\n"
        "    process = multiprocessing.get_context('spawn').Process(target=print, args=(my_rows.Rows([1, 2]),))\n"
        "    process.start()\n"
        "    process.join()\n"
    )
    ran = subprocess.run([sys.executable, file], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert (ran.stdout, ran.stderr) == ("[1, 2]\n", "")
