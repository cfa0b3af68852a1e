"""What `lr new` makes is a finished plugin: `lr` lists it, it passes its own tests, it records, trains and runs.

Linters, type checker, wheels and `lr plugins --check` for every role: `nox -s template`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter

from lerobot_core.cli.new import ROLES, TEMPLATE, new
from lerobot_core.components import Component
from lerobot_core.errors import LeRobotError

CONSOLE = "from lerobot_core.cli import main; main()"
Lr = Callable[..., str]


def make(*words: str) -> None:
    """`lr new …` in this process."""
    new.main(list(words), standalone_mode=False)


def described(project: str) -> dict[str, Any]:
    return tomllib.loads(Path(project, "pyproject.toml").read_text())["project"]


@pytest.fixture(autouse=True)
def _nobody(host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, no plugin, and a git that knows nobody."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


# --- what is made -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_a_project_holds_its_role_and_no_other(role: str) -> None:
    make(role, "left_hand")
    files = {str(file.relative_to("left-hand")): file for file in Path("left-hand").rglob("*") if file.is_file()}
    for name, file in files.items():
        text = file.read_text().replace("${{ matrix.python }}", "")
        assert not [left for left in ("cookiecutter", "{%", "{{", "my_arm", "MyArm", "\n\n\n\n") if left in text], name
        if file.suffix == ".py":
            compile(text, name, "exec")
    stem = role.replace("-", "_")
    assert set(files) >= {"CHANGELOG.md", "LICENSE", "README.md", ".gitignore", "src/left_hand/py.typed"}
    modules = {file.stem for file in files.values() if file.suffix == ".py"} - {"__init__", "plugin", "conftest"}
    assert modules >= {stem, f"test_{stem}"}
    assert all(module.removeprefix("test_").startswith(stem) for module in modules)
    manifest = files["src/left_hand/plugin.py"].read_text()
    assert manifest.count("@hookimpl") == manifest.count(f"def {ROLES[role][0]}()") == 1


def test_answers_go_everywhere() -> None:
    make("robot", "left_hand", "--description", 'A  "hand" \\ {{ 🤖 }}', "--author", 'Zoë "Z"')
    project = described("left-hand")
    assert (project["description"], project["authors"]) == ('A "hand" \\ {{ 🤖 }}', [{"name": 'Zoë "Z"'}])
    assert project["entry-points"] == {"lerobot": {"left_hand": "left_hand.plugin"}}
    assert 'A "hand" \\ {{ 🤖 }}, as a plugin' in Path("left-hand/README.md").read_text()
    workflow = yaml.safe_load(Path("left-hand/.github/workflows/test.yml").read_text())
    assert workflow["jobs"]["test"]["steps"][1]["with"]["python-version"] == "${{ matrix.python }}"


def test_the_author_is_whom_git_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    make("env", "nobody_knows")
    assert described("nobody-knows")["authors"] == [{"name": "the authors of nobody-knows"}]
    for key, value in {"COUNT": "1", "KEY_0": "user.name", "VALUE_0": "Ada Lovelace"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{key}", value)
    make("env", "known")
    assert described("known")["authors"] == [{"name": "Ada Lovelace"}]


def test_it_says_what_was_made_and_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    make("motor_bus", "policy", "policy", "left_hand", "--output_dir=there")
    said = capsys.readouterr().out
    assert [line.split()[-1] for line in said.splitlines()[1:3]] == [
        "src/left_hand/motor_bus.py",
        "src/left_hand/policy.py",
    ]
    assert said.splitlines()[4:] == [
        '    cd there/left-hand && pip install -e ".[test]"',
        "    pytest",
        "    lr plugins --check left_hand",
    ]
    dependencies = described("there/left-hand")["dependencies"]
    assert {line.split(">")[0] for line in dependencies} == {"attrs", "lerobot-core", "lerobot-policies", "torch"}


def test_help_explains_every_role(capsys: pytest.CaptureFixture[str]) -> None:
    make("--help")
    said = " ".join(capsys.readouterr().out.split())
    assert all(f"{role} {sentence}" in said for role, (_, sentence) in ROLES.items())


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said", "advice"),
    [
        ([], "no role stands before ''", "lr new robot my_arm"),
        (["robot"], "'robot' does not end in a name", "the name last"),
        (["my_arm", "robot"], "'my_arm robot' does not end in a name", "the name last"),
        (["robto", "my_arm"], "unknown role 'robto'; did you mean 'robot'", "roles first"),
        (["robot", "my-arm"], "'my-arm' cannot name", "'my_arm'"),
        (["robot", "LeftHand2"], "'LeftHand2' cannot name", "'left_hand2'"),
        (["robot", "2nd"], "'2nd' cannot name", "'nd'"),
        (["robot", "class"], "'class' cannot name", "'my_arm'"),
        (["robot", "json"], "'json' is a module of Python", "'my_json'"),
        (["robot", "numpy"], "a module 'numpy' is installed already", "'my_numpy'"),
        (["robot", "toy_arm"], "robot 'toy_arm' is offered by 'test-dist'", "'my_toy_arm'"),
        (["robot", "there"], "'there' exists already", "--output_dir"),
        (["robot", "my_arm", "--output_dir=a.file"], "'a.file'", "another --output_dir"),
    ],
)
def test_what_cannot_be_is_refused(host: Any, words: list[str], said: str, advice: str) -> None:
    host.offer("lr_robots", Component("toy_arm", "m:Config", "m:Robot", "A toy"))
    Path("there").mkdir()
    Path("a.file").touch()
    with pytest.raises(LeRobotError) as refused:
        make(*words)
    assert said in refused.value.message
    assert advice in refused.value.hint
    assert {path.name for path in Path().iterdir()} == {"there", "a.file"}


def test_without_cookiecutter_it_names_the_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cookiecutter", None)
    with pytest.raises(LeRobotError) as refused:
        make("robot", "my_arm")
    assert refused.value.hint == 'pip install "lerobot-core[new]"'


def test_cookiecutter_alone_does_it_too(repository: Path) -> None:
    template = str(repository / "plugins-template")
    cookiecutter(template, no_input=True, extra_context={"roles": "camera motor-bus"})
    assert Path("my-arm/src/my_arm/motor_bus.py").is_file()
    with pytest.raises(FailedHookException):
        cookiecutter(template, no_input=True, extra_context={"roles": "camera motor_bus", "name": "other"})
    assert not Path("other").exists()


def test_every_role_of_the_template_can_be_asked_for() -> None:
    tests = (TEMPLATE / "{{ cookiecutter.distribution }}" / "tests").glob("test_*.py")
    assert {file.stem.removeprefix("test_").replace("_", "-") for file in tests} == set(ROLES)


# --- what it does -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lr:
    """Runs Python beside a project of all roles, which is installed as pip would leave it."""
    folder = tmp_path_factory.mktemp("lab")
    environment = {**os.environ, "HOME": str(folder), "LR_STRICT_PLUGINS": "1"}

    def python(*args: str) -> str:
        done = subprocess.run(
            [sys.executable, *args],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    python("-c", CONSOLE, "new", *ROLES, "my_lab", "--author=Ada")
    info = folder / "site" / "my_lab-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-lab\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[lerobot]\nmy_lab = my_lab.plugin\n")
    paths = [folder / "my-lab" / "src", folder / "site", environment.get("PYTHONPATH")]
    environment["PYTHONPATH"] = os.pathsep.join(str(path) for path in paths if path)
    return python


def test_lr_lists_it_with_its_options(lab: Lr) -> None:
    rows = {row["name"]: row for row in json.loads(lab("-c", CONSOLE, "plugins", "--json"))}
    mine = rows["my_lab"]
    assert (mine["distribution"], mine["state"], len(mine["components"])) == ("my-lab", "ok", len(ROLES) - 1)
    assert "highest position of a joint" in lab("-c", CONSOLE, "teleoperate", "--robot.type=my_lab", "--help")


def test_it_passes_its_own_tests(lab: Lr) -> None:
    said = lab(
        "-m", "pytest", "-p", "no:cacheprovider", "-c", "my-lab/pyproject.toml", "--rootdir=my-lab", "my-lab/tests"
    )
    assert "failed" not in said
    assert int(said.split(" passed")[0].split()[-1]) > 150


def test_the_python_of_its_readme_runs(lab: Lr) -> None:
    readme = Path(lab("-c", "import my_lab; print(my_lab.__path__[0])").strip()).parents[1] / "README.md"
    blocks = re.findall(r"^    from (?:.*\n(?:    |\n(?=    )))+.*$", readme.read_text(), re.M)
    assert len(blocks) == 3
    lab("-c", "\n".join(textwrap.dedent(block) for block in blocks))


@pytest.mark.needs_torch
def test_its_parts_record_train_and_run(lab: Lr, tmp_path: Path) -> None:
    data, run, report = tmp_path / "data", tmp_path / "run", tmp_path / "report.json"
    robot = "--robot.type=my_lab"
    told = [f"--dataset.root={data}", "--dataset.repo_id=me/set"]
    lab(
        "-c", CONSOLE, "record", robot, "--teleop.type=my_lab", *told, "--dataset.single_task=swing",
        "--dataset.num_episodes=1", "--dataset.episode_time_s=1", "--dataset.reset_time_s=0",
    )  # fmt: skip
    policy = ["--policy.type=my_lab", "--policy.push_to_hub=false", "--policy.device=cpu"]
    lab("-c", CONSOLE, "train", *policy, *told, "--steps=20", f"--output_dir={run}")
    checkpoint = run / "checkpoints" / "last" / "pretrained_model"
    lab(
        "-c", CONSOLE, "run", robot, f"--policy.path={checkpoint}", "--aggregate_fn_name=my_lab", "--duration=1",
        f"--output_file={report}",
    )  # fmt: skip
    summary = json.loads(report.read_text())["summary"]
    assert (summary["ticks"] > 10, summary["idle"] < summary["ticks"]) == (True, True)
