"""Packages written for LeRobot, unmodified, driven by `lr` through a bridge of a hundred lines.

Where the bridge is installed, as in the session `bridge`, so is the real library; elsewhere a stand-in with its base classes.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
SOURCES = [HERE / "lr_bridge" / "src", HERE / "stand_in", *(HERE / "third_party").iterdir()]
INSTALLED = {"lr_bridge": "lr-bridge", "lerobot_robot_pendulum": "", "lerobot_teleoperator_swing": ""}
ROBOT = ("--robot.type=pendulum", "--robot.port=/dev/pendulum")
TELEOP = ("--teleop.type=swing",)
CAMERA = "--robot.cameras={top: {type: drawn, width: 64, height: 48, fps: 30, brightness: 7}}"
STORE = f"--plugin={HERE.parent / 'motors' / 'toys.py'}"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the bridge and two packages of other people are installed."""
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "HOME": str(folder), "HF_HOME": str(folder), "HF_HUB_OFFLINE": "1"}
    if importlib.util.find_spec("lr_bridge") is not None:
        return environment
    for package, distribution in INSTALLED.items():
        info = folder / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution or package}\nVersion: 1.0\n")
    (folder / "lr_bridge-1.0.dist-info" / "entry_points.txt").write_text("[lerobot]\nbridge = lr_bridge.plugin\n")
    paths = [folder, *SOURCES, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(map(str, paths))}


@pytest.fixture
def lr(environment: dict[str, str]):
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from lerobot_core.cli import main; main()", *args]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    return run


def test_the_bridge_is_small() -> None:
    modules = (HERE / "lr_bridge" / "src").rglob("*.py")
    assert sum(len(module.read_text().splitlines()) for module in modules) <= 100


def test_packages_are_listed_without_being_imported(environment) -> None:
    script = (
        "import sys\nfrom lerobot_core.cli import main\n"
        "try:\n    main(['plugins', '--json'])\n"
        "finally:\n    print([name for name in sys.modules if name.startswith('lerobot_robot') or name == 'lerobot'])\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    *listed, imported = ran.stdout.splitlines()
    (bridge,) = [row for row in json.loads("".join(listed)) if row["name"] == "bridge"]
    assert (bridge["state"], bridge["components"]) == ("ok", ["robot pendulum", "teleoperator swing"])
    assert imported == "[]"


def test_its_options_are_in_the_help(lr) -> None:
    shown = " ".join(lr("teleoperate", *ROBOT, *TELEOP, "--help").stdout.split())
    for row in (
        "--robot.port TEXT [required]",
        "--robot.max_angle NUMBER [default 60.0]",
        "--robot.id TEXT",
        "--teleop.step",
    ):
        assert row in shown


def test_a_foreign_robot_follows_a_foreign_teleoperator(lr, tmp_path) -> None:
    ran = lr("teleoperate", *ROBOT, *TELEOP, "--teleop_time_s=0.5", f"--output_file={tmp_path}/report.json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads((tmp_path / "report.json").read_text())["ticks"] == 30


def test_it_is_recorded(lr, tmp_path) -> None:
    ran = lr(
        "record", STORE, *ROBOT, *TELEOP, CAMERA, "--robot.max_angle=3", "--robot.rod.length_m=0.4", "--guard.ramp_speed=1e6",
        "--dataset.type=toy_store", "--dataset.repo_id=me/set", f"--dataset.root={tmp_path}/set",
        "--dataset.single_task=swing", "--dataset.num_episodes=1", "--dataset.episode_time_s=0.2",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    with np.load(tmp_path / "set" / "0.npz") as stored:
        assert stored["action"].ravel().tolist() == [1, 2, 3, 3, 3, 3], "as the robot sent it, within its own limit"
        assert stored["observation.state"].ravel().tolist() == [0, 1, 2, 3, 3, 3]
        assert stored["observation.images.top"].shape == (6, 48, 64, 3)
        assert np.all(stored["observation.images.top"] == 7)
    assert json.loads((tmp_path / "set" / "info.json").read_text())["robot_type"] == "pendulum"


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--robot.max_angel=3", "robot.max_angel: unknown option; did you mean 'max_angle'?"),
        ("--robot.max_angle=far", "robot.max_angle: expected a number, got 'far'"),
        ("--robot.max_angle=-3", "max_angle must be positive"),
        ("--robot.rod.length=3", "length"),
        (
            "--robot.cameras={top: {type: drown, width: 4, height: 4, fps: 30}}",
            "Couldn't find a choice class for 'drown'",
        ),
        ("--robot.cameras=5", "cameras"),
        ("--robot.port=COM5", "'pendulum': no port COM5"),
        ("--robot.silent=true", "'pendulum': no answer from the encoder"),
    ],
)
def test_its_errors_are_told_like_ours(lr, option, told) -> None:
    others = [word for word in ROBOT if word.partition("=")[0] != option.partition("=")[0]]
    ran = lr("teleoperate", *others, *TELEOP, "--teleop_time_s=0.1", option)
    assert ran.returncode in (1, 2)
    assert told in ran.stderr
    assert "Traceback" not in ran.stderr


def test_it_passes_the_checks_of_robots_and_teleoperators(environment, tmp_path) -> None:
    (tmp_path / "test_them.py").write_text(
        "import pytest\n"
        "from lerobot_core.config import choose\n"
        "from lerobot_core.roles import Robot, Teleoperator\n"
        "from lerobot_core.testing import RobotSuite, TeleoperatorSuite\n\n\n"
        "class TestPendulum(RobotSuite):\n"
        "    limits = {'pivot.pos': (-60.0, 60.0)}\n\n"
        "    @pytest.fixture\n"
        "    def robot(self):\n"
        "        return choose(Robot, 'pendulum', port='/dev/pendulum').build()\n\n\n"
        "class TestSwing(TeleoperatorSuite):\n"
        "    @pytest.fixture\n"
        "    def teleoperator(self):\n"
        "        return choose(Teleoperator, 'swing').build()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
