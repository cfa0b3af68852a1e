"""`lr serve` and `lr run` as processes: what users see, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

PLUGIN = f"--plugin={Path(__file__).parent / 'embodiments.py'}"
LR = [sys.executable, "-c", "from lerobot_core.cli import main; main()"]
TOY = [PLUGIN, "--robot.type=toy"]
STEPS = f"--plugin={Path(__file__).parents[1] / 'motors' / 'toys.py'}"


def start(*args, **environment):
    return subprocess.Popen(
        [*LR, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **environment},
    )


def lr(*args, **environment):
    process = start(*args, **environment)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def server():
    process = start("serve", "--policy.type=hold", "--address=tcp://127.0.0.1:0", LR_SERVE_TOKEN="secret")
    line = process.stdout.readline()
    assert line.startswith("ready: hold at tcp://127.0.0.1:")
    yield line.split()[-1]
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert time.monotonic() - began < 1.5
    assert (process.returncode, err) == (0, "stopped\n")


def test_run_brings_its_own_server_and_reports_every_episode(tmp_path):
    report = tmp_path / "figures" / "run.json"
    code, out, err = lr(
        "run",
        *TOY,
        "--teleop.type=toy_leader",
        "--teleop.value=4",
        "--policy.type=hold",
        "--policy.drift=0.5",
        "--fps=50",
        "--num_episodes=2",
        "--episode_time_s=5",
        f"--output_file={report}",
    )
    assert code == 0, err
    assert "2 episodes, 2 of 2 succeeded" in out
    data = json.loads(report.read_text())
    assert data["summary"]["episodes"] == data["summary"]["successes"] == 2
    for episode in data["episodes"]:
        assert episode["success"] is True
        assert episode["ticks"] == 12
        assert episode["executed"] == episode["ticks"] - episode["idle"]
        assert episode["latency_p50_ms"] > 0


def test_steps_stand_between_the_policy_and_the_robot(tmp_path):
    code, _, err = lr(
        "run",
        *TOY,
        STEPS,
        "--action_steps=[{type: toy_wiring, shift: 1}]",
        "--policy.type=hold",
        "--task=wait",
        "--dataset.type=toy_store",
        "--dataset.repo_id=me/set",
        f"--dataset.root={tmp_path}/set",
        "--duration=0.5",
        "--guard.ramp_speed=1e6",
    )
    assert code == 0, err
    with np.load(tmp_path / "set" / "0.npz") as stored:
        state, action = stored["observation.state"], stored["action"]
    assert (action[-1] - state[0]).tolist() == [1] * 6, "the policy holds, the step shifts"


def test_run_with_a_server_elsewhere(server):
    code, out, err = lr(
        "rollout",
        *TOY,
        f"--server={server}",
        "--duration=0.3",
        "--aggregate_fn_name=latest_only",
        LR_SERVE_TOKEN="secret",
    )
    assert code == 0, err
    assert "1 episodes, nobody judged them; 9 ticks" in out


@pytest.mark.parametrize(
    ("args", "problem", "hint"),
    [
        (["--server=tcp://127.0.0.1:9", "--timeout_s=0.3"], "error: no answer from a policy server at", "lr serve"),
        (["--server=SERVER", "--token=guess"], "error: the server's token is another", "--token"),
        (
            ["--server=SERVER", "--token=secret", "--robot.joints=7"],
            "'observation.state' is STATE[7], needed is",
            "--rename_map",
        ),
        (
            ["--policy.type=hold", "--policy.joints=5"],
            "'observation.state' is STATE[6], needed is STATE[5]",
            "--rename_map",
        ),
        (
            ["--policy.type=hold", STEPS, "--observation_steps=[toy_travel]"],
            "'observation.state' is STATE[12], needed is STATE[6]",
            "--rename_map",
        ),
        (
            ["--policy.type=hold", STEPS, "--action_steps=[{type: toy_wiring, names: {joint_0.pos: joint_1.pos}}]"],
            "the policy's action does not fit: 'joint_0.pos' float32[] is missing",
            "--rename_map",
        ),
        (["--policy.type=hold", "--aggregate_fn_name=averag"], "did you mean 'average'", ""),
        ([], "give either --policy.path", ""),
        (["--policy.type=hold", "--chunk_size_threshold=2"], "chunk_size_threshold is between 0 and 1", ""),
    ],
)
def test_a_users_error_is_two_lines(server, args, problem, hint):
    code, _, err = lr("run", *TOY, *[arg.replace("SERVER", server) for arg in args])
    assert code in (1, 2)
    assert problem in err
    assert hint in err
    assert "Traceback" not in err


def test_ctrl_c_ends_a_run_at_once_and_leaves_the_robot_safely(tmp_path):
    log = tmp_path / "life"
    process = start("run", *TOY, f"--robot.log={log}", "--policy.type=hold", "--episode_time_s=0")
    while not process.stderr.readline().startswith("episode 1/1"):
        assert process.poll() is None
    time.sleep(0.3)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert time.monotonic() - began < 1.5
    assert process.returncode == 130
    assert "Traceback" not in err
    assert log.read_text() == "disconnected\n"


def test_a_server_that_cannot_start_is_said_by_run(tmp_path):
    code, _, err = lr("run", *TOY, "--policy.type=hold", "--policy.cameras={top: [8, 8]}")
    assert code == 1
    assert "'observation.images.top' VISUAL[3, 8, 8] is missing" in err


def test_no_torch_is_imported():
    script = "import lerobot_serve.commands.run, lerobot_serve.commands.serve, sys; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"
