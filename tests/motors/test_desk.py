"""What a person sees and hears of a run: the lines at the foot of the terminal, the voice, the viewer."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import types
from contextlib import redirect_stderr, suppress
from pathlib import Path

import numpy as np
import pytest

from lerobot_core.errors import LeRobotError
from lerobot_core.guard import Guard, GuardConfig
from lerobot_core.loop import Tick
from lerobot_motors.buses.health import BusHealth
from lerobot_motors.cameras.stream import CameraHealth
from lerobot_motors.commands import panel
from lerobot_motors.commands.dashboard import Dashboard
from lerobot_motors.commands.panel import Panel, fitted
from lerobot_motors.sides import BothHealth
from lerobot_motors.speech import Speaker
from lerobot_motors.viewer import Viewer
from motors.terminal import Terminal

MS = 1_000_000
TOYS = Path(__file__).with_name("toys.py")


# --- lines ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "width", "expected"),
    [
        ([("rate ", ""), ("30 Hz", "")], 20, "rate 30 Hz"),
        ([("rate ", ""), ("30 Hz", "")], 10, "rate 30 Hz"),
        ([("rate ", ""), ("30 Hz", "")], 9, "rate 30 …"),
        ([("rate", ""), ("30 Hz", "")], 4, "rate"),
        ([("手首", ""), ("カメラ", "")], 7, "手首カ…"),
        ([("two\nlines\x1b[2J", "")], 30, "two lines [2J"),
    ],
)
def test_a_line_stays_one_line_in_its_width(line, width, expected):
    assert fitted(line, width) == expected


def test_colours_cost_no_columns_and_can_be_left_out():
    assert fitted([("a", "notice"), ("bcd", "")], 3) == "\x1b[33ma\x1b[0mb…"
    assert fitted([("a", "notice")], 3, colours=False) == "a"


# --- the panel on a terminal ------------------------------------------------------------------------------------------


@pytest.fixture
def terminal(monkeypatch):
    """A terminal with a stream onto it."""
    terminal = Terminal(40, 10)
    terminal.stream = os.fdopen(terminal.theirs, "w")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(panel, "REFRESH", 0.02)
    monkeypatch.setattr(panel, "_PATIENCE", 0.05)
    yield terminal
    terminal.close()
    with suppress(OSError):  # nobody takes what was not written yet
        terminal.stream.close()


def test_messages_go_above_the_lines_and_the_end_leaves_nothing_else(terminal):
    count = iter(range(1000))
    with redirect_stderr(terminal.stream):
        with Panel(lambda columns: [[(f"figures {next(count)} " * 9, "")], [("keys", "")]]):
            terminal.until(lambda text: text.startswith("figures 1"))
            print("the robot holds:", end=" ", file=sys.stderr)
            print("a message\nof two lines", file=sys.stderr)
            seen = terminal.until(lambda text: "message" in text and "keys" in text).splitlines()
        assert seen[:2] == ["the robot holds: a message", "of two lines"]
        assert seen[2].startswith("figures")
        assert seen[3:] == ["keys"]
        assert sys.stderr is terminal.stream
        print("done", file=sys.stderr, flush=True)
    terminal.read(0.05)
    assert terminal.text().splitlines()[:3] == ["the robot holds: a message", "of two lines", "done"]
    assert "keys" not in terminal.text()
    assert not terminal.wrapped


def test_a_terminal_that_takes_nothing_holds_nobody_up(terminal):
    with redirect_stderr(terminal.stream), Panel(lambda columns: [[("figures", "")]]):
        for _ in range(20):
            print("x" * 10_000, file=sys.stderr)  # more than a terminal keeps: without the panel this never returns
        thread = next(thread for thread in threading.enumerate() if thread.name == "panel")
    assert thread.is_alive()
    while thread.is_alive():
        terminal.read(0.01)


def test_lines_that_cannot_be_made_end_the_panel_and_nothing_else(terminal, monkeypatch):
    told = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda problem: told.set())
    with redirect_stderr(terminal.stream), Panel(lambda columns: 1 / 0):
        assert told.wait(10)
        assert sys.stderr is terminal.stream


def test_a_closed_terminal_ends_the_panel_and_nothing_else(terminal):
    with redirect_stderr(terminal.stream), Panel(lambda columns: [[("figures", "")]]):
        terminal.close()
        deadline = time.monotonic() + 10
        while sys.stderr is not terminal.stream and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sys.stderr is terminal.stream


def test_a_file_gets_no_lines(tmp_path):
    with open(tmp_path / "log", "w") as log, redirect_stderr(log), Panel(lambda columns: [[("figures", "")]]):
        assert not any(thread.name == "panel" for thread in threading.enumerate())
    assert (tmp_path / "log").read_text() == ""


# --- what the lines say -----------------------------------------------------------------------------------------------


class Seeing:
    fps = 25.0
    health = CameraHealth(frames=90, dropped=2, failures=1)


class Robot:
    def __init__(self):
        self.health, self.cameras = BusHealth(transactions=480), {"top": Seeing()}


def ticked(dashboard, count=30, fps=30.0, ago=0.0, action=None, late=0):
    """Ticks up to `ago` s ago, the last one `late` ns after its time."""
    end = time.monotonic_ns() - round(ago * 1e9)
    for index in range(count):
        now = end - round((count - 1 - index) * 1e9 / fps) + late * (index == count - 1)
        stamps = {"a.pos": now, "b.pos": now, "top": now - 70 * MS, "side": now - 20 * MS}
        tick = Tick(index=index, time=now, observation={}, action=action, info={}, stamps=stamps)
        dashboard.add(tick)


def shown(dashboard, columns=79):
    return {line[0][0].strip(): line[1:] for line in dashboard.lines(columns)}


def words(pieces):
    return "".join(text for text, _ in pieces)


def alarming(pieces):
    return [text for text, style in pieces if style in ("notice", "alarm")]


def test_the_lines_say_rate_health_ages_and_guard():
    robot, guard = Robot(), Guard(30, GuardConfig(ramp_speed=30.0))
    dashboard = Dashboard(30, guard=guard, robot=robot, teleop=object())
    dashboard.begin("recording episode 3 of 50", 60)
    assert [line[0][0].strip() for line in dashboard.lines(79)] == ["recording episode 3 of 50", "keys"]
    guard({"a.pos": 50.0}, {"a.pos": 0.0})
    ticked(dashboard, action={"a.pos": 1.0}, late=3 * MS)
    lines = shown(dashboard)
    assert words(lines["rate"]) == "29.91 of 30 Hz, worst period error 3.00 ms"
    assert words(lines["robot"]) == "0 bus errors in 480 transactions"
    assert words(lines["camera top"]) == "90 pictures, 2 dropped, 1 failures"
    assert words(lines["ages"]) == "top 70 ms, side 20 ms, a.pos and 1 more 0 ms"
    assert alarming(lines["ages"]) == ["top 70 ms"], "one period of the camera is 40 ms"
    assert words(lines["guard"]) == "catches up slowly, 1 actions limited"
    assert not alarming(lines["rate"])
    assert "teleop" not in lines


def test_troubles_are_coloured_and_told_by_servo():
    robot = Robot()
    for _ in range(2):
        robot.health.count(3, "lost")
    robot.health.count(6, "corrupt")
    robot.health.servo(3).fault, robot.health.servo(3).temperature = "overload", 71.0
    dashboard = Dashboard(60, guard=Guard(60), robot=robot)
    ticked(dashboard)
    lines = shown(dashboard)
    assert alarming(lines["robot"]) == ["3 bus errors (2 lost, 1 corrupt) in 480 transactions"]
    assert words(lines[""]) == "servo 3: 2 lost, overload, 71 °C; servo 6: 1 corrupt"
    assert alarming(lines["rate"]) == ["30.00 of 60 Hz"]
    assert words(lines["guard"]) == "nothing is sent"


def test_a_pair_has_its_cameras_and_servos_by_side():
    pair = types.SimpleNamespace(left=Robot(), right=Robot(), cameras={"top": Seeing()})
    pair.health = BothHealth.of(pair.left, pair.right)
    pair.right.health.count(2, "lost")
    dashboard = Dashboard(30, guard=Guard(30), robot=pair)
    ticked(dashboard)
    lines = shown(dashboard)
    assert {"camera top", "camera left_top", "camera right_top"} < set(lines)
    assert words(lines["robot"]) == "left 0 bus errors in 480 transactions"
    assert words(lines[""]) == "right 1 bus errors (1 lost, 0 corrupt) in 480 transactions; servo 2: 1 lost"


def test_a_silent_loop_is_said():
    dashboard = Dashboard(30, guard=Guard(30), robot=Robot())
    ticked(dashboard, ago=2.0)
    (told,) = alarming(shown(dashboard)["rate"])
    assert told.startswith("nothing for 2.")


def test_what_is_stored_and_lost_is_counted():
    dashboard = Dashboard(30, guard=Guard(30), robot=Robot())
    dashboard.writer = types.SimpleNamespace(num_episodes=7, dropped={"top": 2, "side": 3})
    lines = shown(dashboard)
    assert words(lines["episodes"]) == "7 stored, 5 frames dropped"


@pytest.mark.parametrize("columns", [20, 45, 59, 120])
def test_the_clock_stays_in_view_on_a_narrow_terminal(columns):
    dashboard = Dashboard(30, guard=Guard(30))
    dashboard.begin("saving", 60)
    head = dashboard.lines(columns)[0]
    assert len(words(head)) <= columns
    assert words(head).endswith("0.0 of 60 s")
    dashboard.begin("teleoperating")
    assert words(dashboard.lines(columns)[0]).endswith("teleoperating  0.0 s")


def test_a_recording_in_a_narrow_terminal(tmp_path):
    terminal = Terminal(60, 24)
    child = subprocess.Popen(
        [
            sys.executable, "-c", "from lerobot_core.cli import main; main()", "record", "--plugin", str(TOYS),
            "--robot.type=toy_arm", "--teleop.type=toy_leader", "--dataset.type=toy_store", "--dataset.repo_id=me/set",
            "--dataset.root=set", "--dataset.single_task=wave", "--dataset.num_episodes=2", "--dataset.reset_time_s=60",
        ],
        stdin=terminal.theirs, stdout=terminal.theirs, stderr=terminal.theirs, cwd=tmp_path, start_new_session=True,
        env=os.environ | {"LR_BLOCK_PLUGINS": "datasets,policies,serve", "TERM": "xterm"},
    )  # fmt: skip
    terminal.close_theirs()
    try:
        text = terminal.until(lambda text: "recording episode 1 of 2" in text and " of 30 Hz" in text)
        wrapped = list(terminal.wrapped)
        assert [line.split()[0] for line in text.splitlines()[-6:]] == [
            "rate",
            "robot",
            "ages",
            "guard",
            "episodes",
            "keys",
        ]
        assert text.endswith("right ends, left again, esc stops, Ctrl-C discards")
        os.write(terminal.keys, b"\x1b[C")
        terminal.until(lambda text: "reset after episode 1 of 2" in text and " of 30 Hz" in text)
        os.write(terminal.keys, b"\x1b")
        text = terminal.until(lambda text: "dataset 'me/set'" in text)
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.wait()
        terminal.close()
    assert "episode 1/2: saved as 0" in text
    assert "1 episodes recorded" in text
    assert "Ctrl-C" not in text, "the panel is gone"
    assert not wrapped


# --- the voice --------------------------------------------------------------------------------------------------------


@pytest.fixture
def voice(tmp_path, monkeypatch):
    """A program that speaks into a file."""
    spoken, folder = tmp_path / "spoken", tmp_path / "bin"
    folder.mkdir()
    program = folder / "espeak-ng"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = "not this" ] && exit 3\nread key && echo "took $key" >> {spoken}\necho "$1" >> {spoken}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    ours, (read, write) = os.dup(0), os.pipe()
    os.write(write, b"a key\n")  # is not the voice's
    os.dup2(read, 0)
    yield spoken
    os.dup2(ours, 0)
    for descriptor in (ours, read, write):
        os.close(descriptor)


def said(spoken):
    """All that was said, when the voice has ended."""
    for thread in threading.enumerate():
        if thread.name == "speech":
            thread.join(20)
            assert not thread.is_alive()
    return spoken.read_text().splitlines()


def test_sentences_are_said_one_after_the_other(voice, caplog):
    with Speaker() as speaker:
        speaker.say("not this")
        speaker.say("recording episode 1")
    assert said(voice) == ["recording episode 1"]
    assert "'not this' was not said" in caplog.text


def test_old_news_is_not_said(voice):
    speaker = Speaker()
    for number in range(5):
        speaker.say(f"recording episode {number}")
    with speaker:
        pass
    assert said(voice) == ["recording episode 3", "recording episode 4"]


def test_a_recording_says_what_it_does(commands, voice):
    commands(
        "record", "--robot.type=toy_arm", "--teleop.type=toy_leader", "--dataset.type=toy_store", "--dataset.repo_id=me/set",
        "--dataset.root=set", "--dataset.single_task=wave", "--dataset.num_episodes=1", "--dataset.episode_time_s=0.1",
        "--play_sounds=true",
    )  # fmt: skip
    assert said(voice) == ["recording episode 1", "saving episode 1"]


def test_without_a_voice_it_is_said_what_to_install(commands, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LeRobotError, match="found none of spd-say, espeak-ng") as refused:
        commands("teleoperate", "--robot.type=toy_arm", "--teleop.type=toy_leader", "--play_sounds=true")
    assert "apt install" in refused.value.hint


# --- the viewer -------------------------------------------------------------------------------------------------------


class Rerun(types.ModuleType):
    """Takes what is logged, as rerun-sdk does; holds every picture until it may go on."""

    def __init__(self):
        super().__init__("rerun")
        self.calls, self.logged = [], []
        self.go, self.busy = threading.Event(), threading.Event()
        self.go.set()
        self.set_time = lambda name, duration: self.calls.append((name, duration))

    def init(self, name):
        self.calls.append(name)

    def connect_grpc(self, url):
        self.calls.append(url)

    def spawn(self, port):
        self.calls.append(port)

    def log(self, path, what, static=False):
        self.logged.append((path, *what, static))

    def SeriesLines(self, names):
        return "names", names

    def Scalars(self, values):
        return "values", list(values)

    def DepthImage(self, picture, meter):
        return "depth", picture.shape, meter

    def Image(self, picture):
        return types.SimpleNamespace(compress=lambda jpeg_quality: self._held(picture))

    def _held(self, picture):
        self.busy.set()
        assert self.go.wait(20)
        return "picture", int(picture[0, 0, 0])


@pytest.fixture
def rerun(monkeypatch):
    fake = Rerun()
    monkeypatch.setitem(sys.modules, "rerun", fake)
    monkeypatch.setenv("DISPLAY", ":0")
    return fake


def tick_of(index):
    observation = {
        "a.pos": 1.5, "b.pos": np.float32(2.5), "top": np.full((4, 6, 3), index, np.uint8), "top_depth": np.ones((4, 6, 1), np.uint16)
    }  # fmt: skip
    stamps = dict.fromkeys(observation, 5 * MS) | {"top": 2 * MS}
    return Tick(index=index, time=6 * MS, observation=observation, action={"a.pos": 1.0}, info={}, stamps=stamps)


def test_the_viewer_shows_what_is_observed_and_sent(rerun):
    with Viewer("teleoperate") as viewer:
        viewer.add(tick_of(0))
    assert rerun.calls == ["teleoperate", 9876, ("time", 0.006)]
    assert rerun.logged == [
        ("observation", "names", ["a.pos", "b.pos"], True),
        ("observation", "values", [1.5, 2.5], False),
        ("action", "names", ["a.pos"], True),
        ("action", "values", [1.0], False),
        ("age_ms", "names", ["a.pos", "b.pos", "top", "top_depth"], True),
        ("age_ms", "values", [1.0, 1.0, 4.0, 1.0], False),
        ("observation/top", "picture", 0, False),
        ("observation/top_depth", "depth", (4, 6), 1000.0, False),
    ]


def test_a_viewer_that_is_busy_shows_the_newest_and_the_loop_waits_for_nothing(rerun):
    rerun.go.clear()
    with Viewer("teleoperate") as viewer:
        viewer.add(tick_of(0))
        assert rerun.busy.wait(20)
        for index in range(1, 10):
            viewer.add(tick_of(index))
        rerun.go.set()
    pictures = [what[2] for what in rerun.logged if what[1] == "picture"]
    assert pictures == [0, 9]


def test_a_viewer_that_fails_ends_and_the_run_goes_on(rerun, caplog):
    rerun.log = lambda *_, **__: 1 / 0
    with Viewer("teleoperate") as viewer:
        viewer.add(tick_of(0))
        viewer.add(tick_of(1))
    assert "the viewer is off" in caplog.text


def test_a_run_is_shown_elsewhere(rerun, commands, unused_port):
    listener = unused_port
    commands(
        "teleoperate", "--robot.type=toy_arm", "--teleop.type=toy_leader", "--teleop_time_s=0.1", "--display_data=true",
        "--display_ip=127.0.0.1", f"--display_port={listener}",
    )  # fmt: skip
    assert f"rerun+http://127.0.0.1:{listener}/proxy" in rerun.calls
    assert any(path == "observation/top" for path, *_ in rerun.logged)


@pytest.fixture
def unused_port():
    """A port where somebody listens."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("rerun_here", "options", "message", "hint"),
    [
        (False, [], "needs rerun-sdk", 'pip install "lerobot-motors[rerun]"'),
        (True, [], "no display here", "--display_ip=ADDRESS"),
        (True, ["--display_ip=127.0.0.1", "--display_port=1"], r"no viewer at 127\.0\.0\.1:1 ", "rerun --port 1"),
    ],
)
def test_what_the_viewer_needs_is_said(commands, monkeypatch, rerun_here, options, message, hint):
    monkeypatch.setitem(sys.modules, "rerun", Rerun() if rerun_here else None)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(LeRobotError, match=message) as refused:
        commands("teleoperate", "--robot.type=toy_arm", "--teleop.type=toy_leader", "--display_data=true", *options)
    assert hint in refused.value.hint
