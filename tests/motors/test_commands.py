"""The commands that move hardware, through the command line, with a toy arm, a toy leader and a toy dataset format."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lerobot_core.cli.program import lr
from lerobot_core.components import hookimpl
from lerobot_core.errors import ConfigError, DataError, DeviceError, FeatureError

TOYS = Path(__file__).with_name("toys.py")
ROBOT = ("--robot.type=toy_arm",)
TELEOP = ("--teleop.type=toy_leader",)
SHORT = (
    "--dataset.single_task=wave",
    "--dataset.fps=100",
    "--dataset.episode_time_s=0.2",
    "--dataset.reset_time_s=0.1",
    "--dataset.num_episodes=2",
)


@pytest.fixture
def arms(commands, monkeypatch):
    """Every toy arm made, to see what was sent to it."""
    made, module = [], sys.modules["toys"]
    monkeypatch.setattr(module, "Arm", lambda config, kind=module.Arm: made.append(kind(config)) or made[-1])
    return made


def run(*args: str) -> None:
    lr.main(list(args), prog_name="lr", standalone_mode=False)


def record(*args: str, root: Path | str = "set") -> dict:
    dataset = ("--dataset.type=toy_store", "--dataset.repo_id=me/set", *([f"--dataset.root={root}"] if root else []))
    given = {arg.partition("=")[0] for arg in args}
    short = [option for option in SHORT if option.partition("=")[0] not in given]
    run("record", *ROBOT, *TELEOP, *dataset, *short, "--output_file=report.json", *args)
    return json.loads(Path("report.json").read_text())


def episode(number: int, root: Path | str = "set") -> dict:
    with np.load(Path(root) / f"{number}.npz") as stored:
        return dict(stored)


@pytest.mark.usefixtures("commands")
def test_teleoperate_reports_loop_and_devices(capsys):
    run("teleoperate", *ROBOT, *TELEOP, "--fps=100", "--teleop_time_s=0.3", "--output_file=out/report.json")
    report = json.loads(Path("out/report.json").read_text())
    assert report["ticks"] == 30
    assert report["devices"] == {"robot": {"reads": 30, "errors": 0}}
    out = capsys.readouterr().out
    assert "loop: 30 ticks" in out
    assert "robot: reads 30, errors 0" in out


@pytest.mark.usefixtures("commands")
def test_record_writes_actions_as_sent_and_names_of_the_robot():
    report = record("--robot.limit=5", "--guard.ramp_speed=1e6")
    assert [entry["episode"] for entry in report["episodes"]] == [0, 1]
    assert [entry["ticks"] for entry in report["episodes"]] == [20, 20]
    assert [entry["dropped"] for entry in report["episodes"]] == [1, 2]
    assert report["dropped"] == 3
    first = episode(0)
    assert first["action"][:, 0].tolist() == [1, 2, 3, 4, *[5] * 16], "the arm's limit, not the leader's wish"
    assert first["observation.state"][1:].tolist() == first["action"][:-1].tolist()
    assert first["observation.images.top"].shape == (20, 16, 64, 3)
    assert set(first["task"]) == {"wave"}
    info = json.loads(Path("set/info.json").read_text())
    assert info["robot_type"] == "toy_arm"
    assert info["features"]["action"]["names"] == ["base.pos", "grip.pos"]
    assert Path("set/final").exists()


CROSSED = "{type: toy_wiring, names: {base.pos: grip.pos, grip.pos: base.pos}, shift: 0.5}"


@pytest.mark.usefixtures("commands")
def test_steps_are_in_what_is_recorded():
    record(
        "--guard.ramp_speed=1e6", "--robot.limit=5", "--observation_steps=[toy_travel]", f"--action_steps=[{CROSSED}]"
    )
    first = episode(0)
    assert first["action"][:, 0].tolist() == [1.5, 2.5, 3.5, 4.5, *[5] * 16], "after the step, and as the arm took it"
    assert first["observation.state"].shape == (20, 4)
    again = episode(1)["observation.state"]
    assert again[0].tolist() == [5, 5, 0, 0], "an episode's travel begins with it"
    names = json.loads(Path("set/info.json").read_text())["features"]["observation.state"]["names"]
    assert names == ["base.pos", "grip.pos", "base.pos.travel", "grip.pos.travel"]


def test_steps_stand_between_what_is_replayed_and_the_arm(arms):
    record("--guard.ramp_speed=1e6")
    run("replay", *ROBOT, "--dataset.type=toy_store", "--dataset.repo_id=me/set", "--dataset.root=set",
        "--guard.ramp_speed=1e6", f"--action_steps=[{CROSSED}]")  # fmt: skip
    assert [action["base.pos"] for action in arms[-1].sent][:4] == [1.5, 1.5, 2.5, 3.5], (
        "moved to the first, then from it"
    )


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (
            "action_steps=[{type: toy_wiring, names: {wrist.pos: base.pos}}]",
            "step Wiring needs 'wrist.pos', found base",
        ),
        ("action_steps=[{type: toy_wiring, names: {base.pos: base.pos}}]", "'grip.pos' float32.* is missing"),
        ("observation_steps=[{type: toy_wiring, names: {wrist.pos: base.pos}}]", "step Wiring needs 'wrist.pos'"),
    ],
)
def test_a_step_that_does_not_fit_is_said_before_anything_moves(arms, steps, message):
    with pytest.raises(FeatureError, match=message):
        record(f"--{steps}")
    assert not arms[0].is_connected
    assert not Path("set").exists()


@pytest.mark.usefixtures("commands")
def test_an_unknown_step_is_named_with_its_place():
    with pytest.raises(ConfigError, match=r"action_steps\.1\.type: unknown processor step 'toy_wirin'; did you mean"):
        run("teleoperate", *ROBOT, *TELEOP, "--action_steps=[toy_travel, toy_wirin]")


def test_teleoperation_through_a_step(arms):
    run(
        "teleoperate",
        *ROBOT,
        *TELEOP,
        "--fps=100",
        "--teleop_time_s=0.05",
        "--guard.ramp_speed=1e6",
        f"--action_steps=[{CROSSED}]",
    )
    assert [action["grip.pos"] for action in arms[0].sent] == [1.5, 2.5, 3.5, 4.5, 5.5]


@pytest.mark.usefixtures("commands")
def test_the_reset_moves_the_arm_but_is_not_recorded():
    record("--guard.ramp_speed=1e6", "--robot.limit=1e6")
    assert episode(0)["action"][:, 0].tolist() == list(range(1, 21))
    assert episode(1)["action"][:, 0].tolist() == list(range(31, 51)), "10 ticks of reset between"


def test_the_first_actions_of_every_phase_are_ramped(arms):
    record("--guard.ramp_speed=1000", "--teleop.jump_at=21", "--robot.limit=1e6")
    steps = np.diff([action["base.pos"] for action in arms[0].sent], prepend=0.0)
    assert steps[:20].tolist() == [1.0] * 20
    assert steps[20:24].tolist() == [10.0, 10.0, 10.0, 4.0], (
        "while nobody drove the arm its leader was moved by 30 units"
    )


@pytest.mark.usefixtures("commands")
def test_events_of_the_teleoperator_end_and_discard():
    # tick 5 ends the first episode; the reset ends by time at 15; tick 20 discards the second, which is recorded again
    report = record("--teleop.events={5: terminate_episode, 20: rerecord_episode}", "--guard.ramp_speed=1e6")
    assert [entry["ticks"] for entry in report["episodes"]] == [5, 20]
    assert report["discarded"] == 1
    assert len(episode(0)["action"]) == 5
    assert episode(1)["action"][0, 0] == 31
    assert sorted(path.name for path in Path("set").iterdir()) == ["0.npz", "1.npz", "final", "info.json"]


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize("undoes", ["true", "false"])
def test_an_episode_can_be_discarded_while_the_scene_is_reset(undoes, host):
    heard = []

    class Observer:
        @hookimpl
        def lr_episode_saved(self, episode):
            heard.append(episode)

    host.manager.register(Observer())
    events = "--teleop.events={25: rerecord_episode}"
    report = record(events, f"--dataset.undoes={undoes}", "--guard.ramp_speed=1e6", "--robot.limit=1e6")
    assert report["discarded"] == 1
    assert heard == [0, 1], "of episodes that stay"
    assert report["dropped"] == 3
    assert episode(0)["action"][0, 0] == 26, "the first 20 ticks left no trace"
    assert len(report["episodes"]) == 2


@pytest.mark.usefixtures("commands")
def test_a_device_that_fails_keeps_the_episodes_before():
    with pytest.raises(DeviceError, match="a servo is missing"):
        record("--robot.fail_at=45")
    assert json.loads(Path("report.json").read_text())["episodes"][0]["ticks"] == 20
    assert sorted(path.name for path in Path("set").iterdir()) == ["0.npz", "final", "info.json"]


@pytest.mark.usefixtures("commands")
def test_a_device_that_fails_during_the_reset_keeps_the_episode():
    with pytest.raises(DeviceError, match="a servo is missing"):
        record("--robot.fail_at=25")
    assert Path("set/0.npz").exists()


@pytest.mark.usefixtures("commands")
def test_observers_hear_of_every_episode(host):
    heard = []

    class Observer:
        @hookimpl
        def lr_episode_saved(self, episode, dataset):
            heard.append((episode, dataset["repo_id"], Path(dataset["root"]).name))

    host.manager.register(Observer())
    record()
    assert heard == [(0, "me/set", "set"), (1, "me/set", "set")]


@pytest.mark.usefixtures("commands")
def test_a_new_name_is_stamped_and_resume_adds():
    report = record("--dataset.num_episodes=1", root="")
    name, _, stamp = report["repo_id"].partition("_")
    assert name == "me/set"
    assert time.strptime(stamp, "%Y%m%d_%H%M%S")
    report = record("--dataset.no_stamp=true", root="")
    assert report["repo_id"] == "me/set"
    with pytest.raises(DataError, match="exists"):
        record("--dataset.no_stamp=true", root="")
    report = record("--resume=true", root="")
    assert [entry["episode"] for entry in report["episodes"]] == [2, 3]


def test_replay_sends_what_was_recorded(arms):
    record("--dataset.num_episodes=1", "--guard.ramp_speed=1e6")
    run(
        "replay",
        *ROBOT,
        "--dataset.type=toy_store",
        "--dataset.repo_id=me/set",
        "--dataset.root=set",
        "--guard.ramp_speed=20",
    )
    recorded = episode(0)["action"][:, 0].tolist()
    sent = [action["base.pos"] for action in arms[-1].sent]
    assert sent[-len(recorded) :] == recorded
    approach = sent[: -len(recorded)]
    assert max(np.diff(approach, prepend=0.0)) <= 0.2 + 1e-9, "20 units/s at 100 Hz up to the first frame"
    assert approach[-1] == recorded[0]


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        (["teleoperate", "--robot.type=toy_arn", *TELEOP], ConfigError, "unknown robot 'toy_arn'; did you mean 'toy_arm'"),
        (["teleoperate", *ROBOT], ConfigError, "teleop.type: missing; pick a teleoperator"),
        (["teleoperate", *ROBOT, *TELEOP, "--fps=0"], ConfigError, "fps is above 0"),
        (["calibrate"], ConfigError, "exactly one of --robot.type=… and --teleop.type=…, got neither"),
        (["calibrate", *ROBOT, *TELEOP], ConfigError, "got both"),
        (["record", *ROBOT, *TELEOP, *SHORT], ConfigError, "unknown dataset backend 'lerobot'"),
        (
            ["replay", *ROBOT, "--dataset.type=toy_store", "--dataset.repo_id=me/set", "--dataset.root=set", "--dataset.episode=7"],
            DataError,
            "episode 7: the dataset has episodes 0 to 1",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_said_before_anything_moves(args, error, message):
    if args[0] == "replay":
        record()
    with pytest.raises(error) as caught:
        run(*args)
    assert message in caught.value.message


@pytest.mark.usefixtures("commands")
def test_names_of_policy_recordings_and_uploads_are_refused():
    with pytest.raises(ConfigError, match="eval_"):
        run("record", *ROBOT, *TELEOP, "--dataset.type=toy_store", "--dataset.repo_id=me/eval_set", *SHORT)
    with pytest.raises(ConfigError, match="cannot upload"):
        record("--dataset.push_to_hub=true")
    assert not Path("set").exists()


@pytest.mark.usefixtures("commands")
def test_without_a_dataset_format_record_names_what_to_install(host):
    host.statuses = [status for status in host.statuses if status.name == "motors"]
    with pytest.raises(ConfigError) as caught:
        run("record", "--dataset.repo_id=me/set", "--dataset.single_task=wave")
    assert "pip install lerobot-datasets" in caught.value.hint


@pytest.mark.usefixtures("commands")
def test_a_leader_that_lacks_a_joint_is_refused_before_connecting(monkeypatch):
    toys_module = sys.modules["toys"]
    monkeypatch.setattr(toys_module, "JOINTS", ("base.pos", "grip.pos", "wrist.pos"))
    monkeypatch.setattr(
        toys_module.Leader, "action_features", property(lambda self: {"base.pos": float}, lambda self, value: None), raising=False
    )  # fmt: skip
    with pytest.raises(FeatureError, match=r"'wrist\.pos'.*missing"):
        run("teleoperate", *ROBOT, *TELEOP)


@pytest.mark.usefixtures("commands")
def test_what_comes_calibrated_says_so(monkeypatch):
    monkeypatch.delattr(sys.modules["toys"].Arm, "calibrate")
    with pytest.raises(ConfigError, match="'toy_arm' needs no calibration"):
        run("calibrate", *ROBOT)


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize("device", [ROBOT, TELEOP])
def test_calibrate_takes_one_device(device, capsys):
    run("calibrate", *device)
    assert "is calibrated" in capsys.readouterr().out


def in_terminal(tmp_path: Path, *args: str) -> tuple[subprocess.Popen, int]:
    """`lr record` of long episodes in a process with a terminal of its own."""
    ours, theirs = pty.openpty()
    code = "from lerobot_core.cli import main; main()"
    dataset = (
        "--dataset.type=toy_store",
        "--dataset.repo_id=me/set",
        "--dataset.root=set",
        "--dataset.single_task=wave",
    )
    child = subprocess.Popen(
        [
            sys.executable, "-c", code, "record", "--plugin", str(TOYS), *ROBOT, *TELEOP, *dataset,
            "--dataset.episode_time_s=60", "--dataset.reset_time_s=60", "--output_file=report.json", *args,
        ],
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True,
        env=os.environ | {"LR_BLOCK_PLUGINS": "datasets,policies,serve"},
    )  # fmt: skip
    os.close(theirs)
    return child, ours


def wait_for(child: subprocess.Popen, text: str) -> None:
    for line in child.stderr:
        if text in line:
            return
    pytest.fail(f"the program ended without saying '{text}': {child.communicate()}")


def test_keys_steer_a_recording(tmp_path):
    child, ours = in_terminal(tmp_path, "--dataset.num_episodes=5")
    wait_for(child, "episode 1/5: 60 s")
    time.sleep(0.3)
    os.write(ours, b"\x1b[C")
    wait_for(child, "reset")
    os.write(ours, b"\x1bOC")
    wait_for(child, "episode 2/5: 60 s")
    time.sleep(0.3)
    os.write(ours, b"\x1b[D")
    wait_for(child, "episode 2/5: discarded")
    wait_for(child, "reset")
    os.write(ours, b"\x1b[C")
    wait_for(child, "episode 2/5: 60 s")
    time.sleep(0.3)
    os.write(ours, b"\x1b")
    out, err = child.communicate(timeout=20)
    os.close(ours)
    assert child.returncode == 0, err
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(report["episodes"]) == 2, "escape keeps the episode"
    assert report["discarded"] == 1
    assert "2 episodes recorded (1 discarded)" in out


@pytest.mark.parametrize(("phase", "kept", "sent"), [("episode 2/5", 1, signal.SIGINT), ("reset", 1, signal.SIGINT), ("episode 2/5", 1, signal.SIGTERM)])  # fmt: skip
def test_an_interrupted_recording_keeps_what_was_finished(tmp_path, phase, kept, sent):
    child, ours = in_terminal(tmp_path, "--dataset.num_episodes=5")
    wait_for(child, "episode 1/5: 60 s")
    time.sleep(0.3)
    os.write(ours, b"\x1b[C")
    wait_for(child, "reset")
    if phase != "reset":
        os.write(ours, b"\x1b[C")
        wait_for(child, f"{phase}: 60 s")
    time.sleep(0.3)
    child.send_signal(sent)
    out, err = child.communicate(timeout=20)
    os.close(ours)
    assert child.returncode == 130, err
    assert "interrupted" in err
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["0.npz", "final", "info.json"]
    assert f"{kept} episodes recorded" in out


@pytest.mark.parametrize(("undoes", "kept"), [("true", ["0.npz", "info.json"]), ("false", ["info.json", "running"])])
def test_a_kill_during_the_reset_keeps_the_episode_where_it_can_be_taken_back(tmp_path, undoes, kept):
    child, ours = in_terminal(tmp_path, "--dataset.num_episodes=5", f"--dataset.undoes={undoes}")
    wait_for(child, "episode 1/5: 60 s")
    time.sleep(0.3)
    os.write(ours, b"\x1b[C")
    wait_for(child, "reset")
    child.kill()
    child.communicate()
    os.close(ours)
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == kept


def test_a_teleoperation_ends_with_its_figures_on_ctrl_c(tmp_path):
    child = subprocess.Popen(
        [
            sys.executable, "-c", "from lerobot_core.cli import main; main()", "teleoperate", "--plugin", str(TOYS),
            *ROBOT, *TELEOP, "--output_file=report.json",
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    time.sleep(2.0)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert child.returncode == 0, err
    assert "loop: " in out
    assert json.loads((tmp_path / "report.json").read_text())["ticks"] > 10


@pytest.mark.usefixtures("commands")
def test_help_names_keys_and_the_default_of_uploads(capsys):
    run("record", "--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "push_to_hub true|false upload when done; off by default" in text
    assert "right arrow ends the episode" in text
