"""What the template writes is a finished plugin: `lr` lists it, it passes its own tests, and it moves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from lerobot_core.testing import plugin as toys

Python = Callable[..., str]


def run(*args: str, folder: Path, paths: tuple[Path, ...] = (), **environment: str) -> str:
    """Standard output of `python …`, with the folders of a package in front."""
    path = os.pathsep.join([*map(str, paths), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, **environment}
    done = subprocess.run(
        [sys.executable, *args], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def render(repository: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a project as a user does, without questions; gives its folder."""

    def render(**answers: str) -> Path:
        words = [f"{name}={answer}" for name, answer in answers.items()]
        template = str(repository / "plugins-template")
        run("-m", "cookiecutter", template, "--no-input", "-o", str(tmp_path / "projects"), *words, folder=tmp_path)
        (project,) = (tmp_path / "projects").iterdir()
        return project

    return render


@pytest.fixture
def python(render: Callable[..., Path], tmp_path: Path) -> Python:
    """Runs Python in a rendered project that is installed as pip would leave it."""
    project = render()
    described = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    info = tmp_path / "site" / "my_arm-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {described['name']}\nVersion: {described['version']}\n"
    )
    lines = [f"{name} = {target}" for name, target in described["entry-points"]["lerobot"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[lerobot]", *lines, ""]))

    def python(*args: str) -> str:
        return run(*args, folder=project, paths=(project / "src", tmp_path / "site"), LR_STRICT_PLUGINS="1")

    return python


def lr(python: Python, *args: str) -> str:
    return python("-c", "from lerobot_core.cli import main; main()", *args)


def test_answers_go_everywhere(render: Callable[..., Path]) -> None:
    project = render(name="left_hand", description='A "hand" (left)', author="Zoë")
    files = [file for file in project.rglob("*") if file.is_file()]
    for file in files:
        text = file.read_text()
        assert not any(left in text for left in ("cookiecutter", "{%", "my_arm", "MyArm")), file
        if file.suffix == ".py":
            compile(text, str(file), "exec")
    assert {file.name for file in files} >= {"py.typed", "LICENSE", ".gitignore", "test_left_hand.py"}
    described = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert (described["description"], described["authors"][0]["name"]) == ('A "hand" (left)', "Zoë")
    assert described["entry-points"] == {"lerobot": {"left_hand": "left_hand.plugin"}}
    workflow = yaml.safe_load((project / ".github" / "workflows" / "test.yml").read_text())
    assert workflow["jobs"]["test"]["steps"][1]["with"]["python-version"] == "${{ matrix.python }}"


def test_lr_lists_it_with_its_options(python: Python) -> None:
    rows = {row["name"]: row for row in json.loads(lr(python, "plugins", "--json"))}
    mine = rows["my_arm"]
    assert (mine["distribution"], mine["state"], mine["components"]) == ("my-arm", "ok", ["robot my_arm"])
    assert "highest position of a joint" in lr(python, "teleoperate", "--robot.type=my_arm", "--help")


def test_it_passes_its_own_tests(python: Python) -> None:
    said = python("-m", "pytest", "-p", "no:cacheprovider")
    assert "failed" not in said
    assert int(said.split(" passed")[0].split()[-1]) > 40


def test_it_follows_a_leader(python: Python, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    lr(
        python, "--plugin", toys.__file__, "teleoperate", "--robot.type=my_arm", "--robot.on_stop=hold",
        "--teleop.type=toy_leader", "--teleop_time_s=1", "--fps=30", f"--output_file={report}",
    )  # fmt: skip
    ran = json.loads(report.read_text())
    assert (ran["ticks"], ran["idle"]) == (30, 0)
