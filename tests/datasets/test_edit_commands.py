"""`lr dataset delete|split|merge|tasks|trim|remove-feature|add-feature|stats`, each as people type it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import recordings
from click.testing import CliRunner, Result

from lerobot_core.errors import DataError
from lerobot_core.registry import resolve
from lerobot_core.testing.offered import suites
from lerobot_datasets import plugin
from lerobot_datasets.v3.reader import Reader

for _name in (
    "delete",
    "split",
    "merge",
    "tasks",
    "trim",
    "remove-feature",
    "add-feature",
    "stats",
    "reencode",
    "to-video",
):
    globals().update(suites(f"dataset {_name}"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A dataset of episodes of 5, 3 and 4 frames."""
    writer = recordings.backend(tmp_path / "set").create(recordings.features(None), 10, robot_type="arm")
    recordings.record(writer, [5, 3, 4], camera=False)
    writer.finalize()
    return tmp_path / "set"


def lr(line: str, *args: object) -> Result:
    """Run `lr dataset …`; the command's words come first."""
    targets = {command.name: command.target for command in plugin.lr_commands()}
    return CliRunner().invoke(resolve(targets[f"dataset {line}"]), [str(arg) for arg in args])


def test_each_command_writes(root: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "values.npy", np.arange(12, dtype=np.float32))
    cases: dict[str, tuple[object, ...]] = {
        "delete": (root, "--episodes", "0,2"),
        "merge": (root, root),
        "tasks": (root, "--new_task", "rest", "--episode_task", "0-1=fold", "--replace", "task 0=wave"),
        "trim": (root, "--drop_first", "1", "--drop_last", 1, "--episodes", "0"),
        "remove-feature": (root, "--feature", "note", "--feature", "tactile"),
        "add-feature": (root, "--feature", "load", "--values", tmp_path / "values.npy", "--names", "grams"),
        "stats": (root, "--pictures"),
    }
    for name, args in cases.items():
        result = lr(name, *args, "--output_dir", tmp_path / name)
        assert result.exit_code == 0, result.output
        assert str(tmp_path / name) in result.output
    found = {name: Reader(tmp_path / name) for name in cases}
    assert [found[name].num_frames for name in cases] == [3, 24, 12, 10, 12, 12, 12]
    assert found["tasks"].tasks == ["fold", "wave"]
    assert "note" not in found["remove-feature"].features
    assert found["add-feature"].columns(1)["load"].tolist() == [5, 6, 7]


def test_split_writes_a_folder_per_part(root: Path, tmp_path: Path) -> None:
    result = lr("split", root, "--part", "train=0.8", "--part", "val=0.2", "--output_dir", tmp_path / "parts")
    assert result.exit_code == 0, result.output
    assert Reader(tmp_path / "parts" / "train").num_frames == 8
    assert Reader(tmp_path / "parts" / "val").num_frames == 4
    lr("split", root, "--part", "a=2,0", "--part", "b=1", "--output_dir", tmp_path / "lists")
    assert Reader(tmp_path / "lists" / "a").columns(0)["note"][0] == "ep2-f0"
    (tmp_path / "taken" / "b").mkdir(parents=True)
    (tmp_path / "taken" / "b" / "mine").touch()
    refused = lr("split", root, "--part", "a=0", "--part", "b=1", "--output_dir", tmp_path / "taken")
    assert isinstance(refused.exception, DataError)
    assert not (tmp_path / "taken" / "a").exists()
    few = lr("split", root, "--part", "none=0.2", "--part", "all=0.8", "--output_dir", tmp_path / "few")
    assert "warning: part 'none' comes to no episode" in few.output


@pytest.mark.parametrize("name", ["delete", "split", "merge"])
def test_dry_run_shows_the_plan_and_writes_nothing(root: Path, tmp_path: Path, name: str) -> None:
    args = {"delete": ["--episodes", "1"], "split": ["--part", "a=0-1", "--part", "b=2"], "merge": [root]}[name]
    result = lr(name, root, *args, "--dry_run")
    assert result.exit_code == 0, result.output
    assert "set episode 2 (4 frames)" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_in_place_is_asked_for(root: Path) -> None:
    neither = lr("delete", root, "--episodes", "0")
    assert neither.exit_code == 2
    assert "--output_dir" in neither.output
    both = lr("delete", root, "--episodes", "0", "--in_place", "--output_dir", root.parent / "x")
    assert both.exit_code == 2
    assert Reader(root).num_episodes == 3
    assert lr("delete", root, "--episodes", "0", "--in_place").exit_code == 0
    assert Reader(root).columns(0)["note"][0] == "ep1-f0"


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("delete", [], "give --episodes"),
        ("add-feature", ["--feature", "x"], "give --values"),
        ("delete", ["--episodes", "5-3"], "'5-3' is not an episode"),
        ("delete", ["--episodes", "one"], "'one' is not an episode"),
        ("split", ["--part", "a=0.8.1"], "'0.8.1' is not a fraction"),
        ("split", ["--part", "a=0", "--part", "a=1"], "different names"),
        ("split", ["--part", "../a=0"], "names of folders"),
        ("tasks", ["--replace", "old"], "'old' has not the form OLD=NEW"),
        ("trim", ["--drop_first", "-1"], "-1 is not in the range"),
    ],
)
def test_mistyped_options_are_refused(root: Path, name: str, args: list[str], words: str) -> None:
    result = lr(name, root, *args, "--output_dir", root.parent / "out")
    assert result.exit_code == 2
    assert words in result.output
    assert not (root.parent / "out").exists()


def test_values_that_are_no_array_are_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "values.npy").write_text("1, 2, 3")
    result = lr("add-feature", root, "--feature", "x", "--values", tmp_path / "values.npy", "--dry_run")
    assert isinstance(result.exception, DataError)
    assert "is not a numpy array" in result.exception.message


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_leaves_nothing_half_made(root: Path, tmp_path: Path) -> None:
    """Interrupted while it writes, as the folder beside the target shows."""
    code = "import sys; from lerobot_core.cli import main; sys.exit(main())"
    call = [sys.executable, "-c", code, "dataset", "merge", *[str(root)] * 150]
    with subprocess.Popen([*call, "--output_dir", str(tmp_path / "out")], stderr=subprocess.PIPE) as process:
        while process.poll() is None and not list(tmp_path.glob(".out.*/data/*/*")):
            time.sleep(0.01)
        assert process.poll() is None, "it ended before it could be interrupted"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert b"Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
