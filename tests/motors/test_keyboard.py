"""Keys through the parser and through a pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import termios
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_motors.keyboard import ESCAPE_WAIT, Key, Keyboard, steering

PRESSES = {
    b"\x1b[C": [Key.RIGHT],
    b"\x1bOC": [Key.RIGHT],
    b"\x1b[D": [Key.LEFT],
    b"\x1bOD": [Key.LEFT],
    b"x": [],
    b"\x1b[A": [],
    b"\x1b[1;5C": [],  # with control held
    b"\x1bq": [],  # with alt held
}


@pytest.fixture
def terminal():
    ours, theirs = pty.openpty()
    yield ours, theirs
    for descriptor in (ours, theirs):
        with contextlib.suppress(OSError):
            os.close(descriptor)


@given(st.lists(st.sampled_from(sorted(PRESSES)), max_size=8), st.data())
def test_keys_do_not_depend_on_how_the_bytes_are_split(presses, data):
    stream = b"".join(presses)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    parser, keys = steering(), []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        keys += parser.feed(stream[begin:end], now=0.0)
    keys += parser.feed(b"", now=1.0)
    assert keys == [key for press in presses for key in PRESSES[press]]


def test_a_bare_escape_is_known_after_the_wait():
    parser = steering()
    assert parser.feed(b"\x1b", 1.0) == []
    assert parser.feed(b"", 1.0 + ESCAPE_WAIT * 0.9) == []
    assert parser.feed(b"", 1.0 + ESCAPE_WAIT * 1.1) == [Key.ESCAPE]
    assert parser.feed(b"", 9.0) == []


def test_escape_then_an_arrow_are_two_keys():
    assert steering().feed(b"\x1b\x1b[C", 0.0) == [Key.ESCAPE, Key.RIGHT]


def test_keys_come_through_a_terminal_which_is_restored(terminal):
    ours, theirs = terminal
    before = termios.tcgetattr(theirs)
    with contextlib.suppress(KeyError), Keyboard(theirs) as keyboard:
        assert keyboard.enabled
        assert not termios.tcgetattr(theirs)[3] & (termios.ICANON | termios.ECHO)
        assert termios.tcgetattr(theirs)[3] & termios.ISIG, "Ctrl-C stays a signal"
        assert keyboard.poll() == []
        os.write(ours, b"\x1b[C\x1bOD")
        assert keyboard.poll() == [Key.RIGHT, Key.LEFT]
        os.write(ours, b"\x1b")
        assert keyboard.poll() == []
        time.sleep(ESCAPE_WAIT * 1.2)
        assert keyboard.poll() == [Key.ESCAPE]
        raise KeyError("whatever happens inside")
    assert termios.tcgetattr(theirs) == before
    assert keyboard.poll() == []


def test_a_terminal_that_goes_away_turns_the_keys_off(terminal, caplog):
    ours, theirs = terminal
    with Keyboard(theirs) as keyboard:
        os.close(ours)
        assert keyboard.poll() == []
        assert not keyboard.enabled
    assert "keys are off" in caplog.text


def test_no_terminal_means_no_keys_and_one_line(caplog, tmp_path):
    caplog.set_level("INFO")
    with (tmp_path / "input").open("w+") as file, Keyboard(file.fileno()) as keyboard:
        assert not keyboard.enabled
        assert keyboard.poll() == []
    assert len(caplog.records) == 1


SESSION = """
import time
from lerobot_motors.keyboard import Keyboard
with Keyboard() as keyboard:
    print("enabled", keyboard.enabled, flush=True)
    end = time.monotonic() + 5
    keys = []
    while not keys and time.monotonic() < end:
        keys = keyboard.poll()
        time.sleep(0.01)
    print([key.value for key in keys], flush=True)
"""


def test_the_standard_input_of_a_session_with_its_own_terminal(terminal):
    ours, theirs = terminal
    child = subprocess.Popen(
        [sys.executable, "-c", SESSION], stdin=theirs, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with child:
        assert child.stdout.readline() == "enabled True\n"
        os.write(ours, b"\x1b[D")
        assert child.stdout.readline() == "['left arrow']\n"
    assert child.returncode == 0
