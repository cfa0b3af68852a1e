"""`lr emulate` as another program sees it: a path on standard output, a port behind it, a table on a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from scservo_sdk import COMM_SUCCESS, PacketHandler, PortHandler

from lerobot_core.errors import ConfigError
from lerobot_motors import emulators
from lerobot_motors.commands.emulate import emulate

pytestmark = pytest.mark.usefixtures("emulator_folder")

COMMAND = [sys.executable, "-c", "from lerobot_motors.commands.emulate import emulate; emulate()"]


def answers(path: str) -> bool:
    """Whether servo 3 of an SO-101 answers there, sooner or later: the SDK has deadlines that a busy machine does not keep."""
    port, deadline = PortHandler(path), time.monotonic() + 5
    port.openPort()
    try:
        while time.monotonic() < deadline:
            with contextlib.suppress(IndexError):  # it takes a late reply for that to its next question
                if PacketHandler(0).ping(port, 3)[:2] == (777, COMM_SUCCESS):
                    return True
        return False
    finally:
        port.closePort()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_any_program_opens_its_port_until_it_is_ended(tmp_path: Path, ending: signal.Signals) -> None:
    link = tmp_path / "arm"
    run = subprocess.Popen([*COMMAND, "so101", f"--port={link}"], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    path = run.stdout.readline().strip()
    assert link.readlink() == Path(path)
    assert answers(str(link))
    run.send_signal(ending)
    assert run.wait(10) == 0
    run.stdout.close()
    assert not link.is_symlink()
    assert not Path(path).exists()


def test_plugged_in_again_it_is_there_again(tmp_path: Path) -> None:
    link = tmp_path / "arm"
    run = subprocess.Popen([*COMMAND, "so101", f"--port={link}"], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    run.stdout.readline()
    state = emulators.state("so101")
    state.inject("unplug:for=0.3")
    deadline = time.monotonic() + 10
    while state.device == "" and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)  # it looks ten times a second where its port is
    assert link.readlink() == Path(state.device)
    assert answers(str(link))
    run.send_signal(signal.SIGINT)
    assert run.wait(10) == 0
    run.stdout.close()


def test_on_a_terminal_the_joints_are_shown() -> None:
    terminal, side = pty.openpty()
    run = subprocess.Popen(
        [*COMMAND, "koch", "--faults=overload:id=3"],
        stdout=subprocess.PIPE,
        stderr=side,
        env={**os.environ, "COLUMNS": "110", "TERM": "xterm"},
    )
    os.close(side)
    seen, deadline = b"", time.monotonic() + 10
    while b"overload" not in seen and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            seen += os.read(terminal, 65536)
    run.send_signal(signal.SIGINT)
    run.communicate()
    os.close(terminal)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())
    assert re.search(r"3 .*elbow_flex .*xl330-m288 .*off .*overload", text)
    assert "koch on /dev/pts/" in text


def test_what_it_cannot_do_is_refused(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("mine")
    running = emulators.open_port("emulated://so101?name=there")
    for arguments, said in (
        (["so101", f"--port={taken}"], "exists already"),
        (["so101", f"--port={tmp_path / 'none' / 'arm'}"], "no folder"),
        (["so101", "--name=there"], "running already"),
        (["so10"], "did you mean 'so101'"),
        (["so101", "--faults=drp"], "did you mean 'drop'"),
    ):
        with pytest.raises(ConfigError, match=said):
            CliRunner().invoke(emulate, arguments, catch_exceptions=False)
    running.close()
    assert taken.read_text() == "mine"


def test_its_help_has_examples() -> None:
    text = CliRunner().invoke(emulate, ["--help"]).output
    assert "lr emulate koch" in text
    assert "hope_jr_hand" in text
    assert "collision" in text
