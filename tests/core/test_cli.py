"""The `lr` command: two lines for a user's error, a traceback for a bug, help of what was picked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from core import parts
from lerobot_core import cli
from lerobot_core.components import Command

COMMANDS = (
    Command("work", "core.parts:work", "Work with a robot for some steps."),
    Command("crash", "core.parts:crash", "Be wrong about something."),
    Command("gone", "core.no_such:gone", "A command whose module is not there."),
    Command("things list", "core.parts:crash", "List things."),
    Command("things show", "core.parts:work", "Show one thing."),
    Command("config explain", "lerobot_core.cli.explaining:explain", "Where options come from."),
    Command("plugins", "lerobot_core.cli.listing:list_plugins", "List plugins."),
)


class Ran:
    """What one call of `lr` left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def lr(host, capsys: pytest.CaptureFixture[str]):
    """Run `lr` in this process."""
    parts.offer_all(host)
    host.offer("lr_commands", *COMMANDS, name="commands", distribution="lerobot-core")

    def run(*args: str) -> Ran:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(args))
        return Ran(ended.value.code, *capsys.readouterr())

    return run


def test_help_has_every_command_with_its_line(lr) -> None:
    ran = lr("--help")
    assert ran.code == 0
    assert "core.no_such" not in sys.modules
    for command in COMMANDS:
        assert command.name.split(" ")[0] in ran.out
    assert "A command whose module is not there." in ran.out
    things = lr("things", "--help")
    assert (things.code, "List things." in things.out, "Be wrong" in things.out) == (0, True, False)


def test_version(lr) -> None:
    assert lr("--version").out.startswith("lr 0.")


def test_a_command_gets_its_config(lr) -> None:
    ran = lr("work", "--robot.type=leg", "--steps", "3")
    assert (ran.code, ran.out, ran.err) == (0, "leg at leg0 for 3 steps\n", "")


@pytest.mark.parametrize(
    ("args", "code", "first", "second"),
    [
        (["work", "--robot.type=leg", "--stps=3"], 2, "error: stps: unknown option; did you mean 'steps'?", "hint: "),
        (["work"], 2, "error: robot.type: missing", "hint: "),
        (["work", "stray", "--robot.type=leg"], 2, "error: unexpected argument 'stray'", "hint: "),
        (["work", "--robot.type=hand"], 1, "error: 'hand' needs the library", 'hint: pip install "hand-driver[usb]"'),
        (["wrok"], 1, "error: unknown command 'lr wrok'; did you mean 'work'?", "hint: "),
        (
            ["things", "lst"],
            1,
            "error: unknown command 'lr things lst'; did you mean 'list'?",
            "hint: `lr things --help`",
        ),
        (["gone"], 1, "error: 'core.no_such:gone' cannot be imported", "hint: "),
        (["--bogus"], 2, "error: '--bogus' stands before a command", "hint: "),
        (["--plugin=nothing.py", "work"], 1, "error: plugin file 'nothing.py' does not exist", "hint: "),
    ],
)
def test_a_users_error_is_two_lines_and_a_status(lr, args: list[str], code: int, first: str, second: str) -> None:
    ran = lr(*args)
    assert ran.code == code
    lines = ran.err.splitlines()
    assert len(lines) == 2, ran.err
    assert lines[0].startswith(first)
    assert lines[1].startswith(second)
    assert ran.out == ""


def test_every_problem_is_a_line(lr) -> None:
    ran = lr("work", "--robot.type=leg", "--robot.lenght=1", "--steps=x")
    assert ran.err.splitlines()[:2] == [
        "error: robot.lenght: unknown option; did you mean 'length'?",
        "error: steps: expected an integer, got 'x'",
    ]


def test_a_bug_shows_its_traceback(lr, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        cli.main(["crash"])
    monkeypatch.setenv("LR_DEBUG", "1")
    from lerobot_core.errors import LeRobotError

    with pytest.raises(LeRobotError):
        cli.main(["wrok"])


def test_ctrl_c_is_130(lr, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(parts.crash, "callback", interrupted)
    ran = lr("crash")
    assert (ran.code, ran.err.strip()) == (130, "interrupted")


def test_an_unknown_command_names_the_plugins_left_out(lr, host) -> None:
    host._note("broken", "some-dist", "1", error="ImportError: x")
    assert "'broken' (ImportError: x)" in lr("train").err


# --- help of a command ------------------------------------------------------------------------------------------------


def test_help_lists_sections_types_defaults_and_sentences(lr) -> None:
    text = " ".join(lr("work", "--help").out.split())
    assert "--steps INT how many. [default 10]" in text
    assert "--robot.type NAME the body. One of: arm, hand, leg." in text
    assert "--dataset.single_task TEXT sentence that says what is done. [required]" in text
    assert "--dataset.repo_id TEXT owner/name. [required]" in text, "its type is picked by the command's defaults"
    assert "--config_path" in text
    assert "--robot.port" not in text


@pytest.mark.parametrize("args", [["--robot.type=arm"], ["--robot.type", "arm"], ["--robot=arm"]])
def test_help_has_the_options_of_the_picked_type(lr, args: list[str]) -> None:
    ran = lr("work", *args, "--help")
    text = " ".join(ran.out.split())
    assert ran.code == 0
    assert "[picked arm]" in text
    assert "--robot.port TEXT serial port. [required]" in text
    assert "--robot.max_step NUMBER largest step [deg]; none for no limit. [default none]" in text
    assert "--robot.mode soft|stiff how it moves. [default soft]" in text


def test_help_of_a_type_that_is_not_there_is_still_help(lr) -> None:
    ran = lr("work", "--robot.type=amr", "--help")
    assert ran.code == 0
    assert "unknown robot 'amr'" in " ".join(ran.out.split())


# --- dry run, explain -------------------------------------------------------------------------------------------------


def test_dry_run_prints_what_a_file_can_hold(lr, tmp_path: Path) -> None:
    ran = lr("work", "--robot.type=leg", "--robot.length=0.9", "--dry_run")
    data = json.loads(ran.out)
    assert data["robot"] == {"type": "leg", "port": "leg0", "length": 0.9}
    file = tmp_path / "run.json"
    file.write_text(ran.out)
    again = lr("work", f"--config_path={file}", "--dry_run")
    assert json.loads(again.out) == data


def test_a_dry_run_checks(lr) -> None:
    assert lr("work", "--dry_run", "--robot.type=leg", "--steps=x").code == 2


def test_explain_says_where_options_come_from(lr, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("steps: 4\nrobot: {type: leg}\n")
    ran = lr("config", "explain", "work", f"--config_path={file}", "--robot.length=0.5")
    assert ran.code == 0
    assert f"steps = 4  ({file})" in ran.out
    assert "robot.length = 0.5  (the command line)" in ran.out
    assert 'robot.port = "leg0"  (default)' in ran.out


def test_explain_of_a_command_in_a_group(lr) -> None:
    assert "steps = 10  (default)" in lr("config", "explain", "things show", "--robot.type=leg").out


def test_explain_of_what_has_no_configuration(lr) -> None:
    ran = lr("config", "explain", "crash")
    assert (ran.code, "'crash' is not a command with a configuration" in ran.err) == (2, True)


# --- plugins ----------------------------------------------------------------------------------------------------------


def test_plugins_as_a_list_and_as_json(lr, host) -> None:
    host._note("broken", "some-dist", "1", error="ImportError: x")
    rows = json.loads(lr("plugins", "--json").out)
    named = {row["name"]: row for row in rows}
    assert named["broken"]["state"] == "ImportError: x"
    assert named["parts-lr_robots"]["components"] == ["robot arm", "robot leg", "robot hand"]
    ran = lr("plugins")
    assert "arm, leg, hand" in ran.out
    assert "ImportError: x" in ran.out


@pytest.mark.parametrize("form", ["--plugin={}", "--plugin {}"])
def test_a_plugin_file_given_on_the_command_line(lr, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"extra_{form.count('=')}.py"
    file.write_text(
        "from lerobot_core.components import Component, hookimpl\n"
        "@hookimpl\n"
        "def lr_robots():\n"
        "    return [Component('tail', 'core.parts:LegConfig', 'core.parts:Part', 'A tail')]\n"
    )
    ran = lr("work", *form.format(file).split(), "--robot.type=tail")
    assert (ran.code, ran.out) == (0, "tail at leg0 for 10 steps\n")
