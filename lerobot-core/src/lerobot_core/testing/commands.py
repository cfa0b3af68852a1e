"""What a command must do: explain itself, refuse what it does not know, and cost nothing until it runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import click
import pytest
from click.testing import CliRunner, Result

from lerobot_core.components import Command
from lerobot_core.errors import LeRobotError
from lerobot_core.registry import resolve
from lerobot_core.testing.suite import Suite

_HEAVY = ("torch", "cv2", "pyarrow", "av", "transformers", "matplotlib")
_WATCH = (
    "import sys, importlib; importlib.import_module(sys.argv[1]); print(*[m for m in sys.argv[2:] if m in sys.modules])"
)


class CommandSuite(Suite):
    """Subclass it and give the fixture `command`, a `Command`.

    Attributes:
        works_on: heavy libraries the command is about and may import for its help, as pyarrow.
    """

    role: ClassVar[type] = Command
    works_on: ClassVar[tuple[str, ...]] = ()

    @pytest.fixture
    def command(self) -> Any:
        if not isinstance(self.component, Command):
            raise TypeError(f"{type(self).__name__} does not override the fixture that gives the command to test")
        return self.component

    def run(self, command: Command, *args: str) -> Result:
        """Runs it as `lr` does."""
        return CliRunner().invoke(resolve(command.target), list(args), prog_name=f"lr {command.name}")

    def said(self, result: Result) -> str:
        """What a user gets to read."""
        failure = result.exception
        if isinstance(failure, LeRobotError):
            return f"{result.output}error: {failure.message}\nhint: {failure.hint}"
        assert failure is None or isinstance(failure, SystemExit), f"a traceback: {failure!r}"
        return result.output

    def test_its_name_is_words(self, command: Any) -> None:
        """People type it. Fix: lower-case words with hyphens; one space makes a group."""
        assert re.fullmatch(r"[a-z][a-z0-9-]*( [a-z][a-z0-9-]*)?", command.name)

    def test_its_summary_is_one_line(self, command: Any) -> None:
        """`lr --help` lists it. Fix: one sentence of at most 100 characters."""
        assert command.summary.strip() == command.summary
        assert 5 <= len(command.summary) <= 100
        assert "\n" not in command.summary

    def test_its_target_is_a_command(self, command: Any) -> None:
        """`lr` runs whatever it names. Fix: "module:attribute" of a function with @click.command."""
        assert isinstance(resolve(command.target), click.Command)

    def test_help_explains_it(self, command: Any) -> None:
        """The first thing anybody tries. Fix: a docstring that says what the summary says, and no work before the options."""
        result = self.run(command, "--help")
        text = self.said(result)
        assert result.exit_code == 0
        assert "Usage:" in text
        wanted = set(re.findall(r"\w+", command.summary.lower()))
        missing = wanted - set(re.findall(r"\w+", text.lower()))
        assert len(missing) <= len(wanted) / 2, f"the help does not speak of {', '.join(sorted(missing))}: {text[:200]}"

    def test_every_option_is_explained(self, command: Any) -> None:
        """An option without a word is guessed at. Fix: help=… with the unit, for each."""
        for option in resolve(command.target).params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.help, f"'{option.opts[0]}' has no help"

    def test_help_can_be_asked_twice(self, command: Any) -> None:
        """Tests and shells run commands in one process. Fix: no state in the module."""
        assert self.said(self.run(command, "--help")) == self.said(self.run(command, "--help"))

    def test_help_does_nothing(self, command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Asking must not make folders. Fix: write only when the command runs."""
        monkeypatch.chdir(tmp_path)
        self.said(self.run(command, "--help"))
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("wrong", ["--no-such-option=1", "--no_such.option", "no-such-word"])
    def test_what_it_does_not_know_is_refused(self, command: Any, wrong: str) -> None:
        """A misspelt option would quietly do something else. Fix: let click or the config refuse it; few lines, no traceback."""
        result = self.run(command, wrong)
        text = self.said(result)
        assert result.exit_code != 0
        assert len(text.strip().splitlines()) <= 6, text
        name = wrong.strip("-").partition("=")[0].partition(".")[0]  # of a section, its first word is enough
        assert name in text, f"'{wrong}' is not named: {text}"

    def test_importing_it_is_light(self, command: Any) -> None:
        """Its help must come at once. Fix: import torch and the like inside the function; print nothing at import."""
        module = command.target.partition(":")[0]
        heavy = [name for name in _HEAVY if name not in self.works_on]
        done = subprocess.run(
            [sys.executable, "-c", _WATCH, module, *heavy],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert not done.stdout.strip(), f"importing {module} imports or prints: {done.stdout.strip()}"
        assert not done.stderr.strip(), f"importing {module} prints: {done.stderr.strip()}"
