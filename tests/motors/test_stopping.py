"""`lr teleoperate` on emulated arms, ended at random instants: the arm is left as it declares, whatever ends it."""

from __future__ import annotations

import io
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import numpy as np
import pytest

from lerobot_motors import catalogue, emulators
from lerobot_motors.emulators import EmulatorState

#: Arms that are stopped at the same time, each by a process and on emulators of its own.
ARMS = 4
#: Latest instant after the start of a process [s]: connecting, ramping and following all are before it.
LATEST = 1.0
#: Longest a run may take to end [s].
PATIENCE = 20.0
PARK = {"shoulder_pan": 12.0, "elbow_flex": -20.0}
#: Ways to end a run: the signals and the pauses before them [s].
ENDS = {
    "Ctrl-C": [(0.0, signal.SIGINT)],
    "a second Ctrl-C": [(0.0, signal.SIGINT), (0.05, signal.SIGINT)],
    "Ctrl-C without end": [(0.02, signal.SIGINT)] * 8,
    "the system": [(0.0, signal.SIGTERM)],
    "a closed terminal": [(0.0, signal.SIGHUP)],
    "kill -9": [(0.0, signal.SIGKILL)],
}


class Run:
    """A teleoperation in a process of its own, on emulators that outlive it."""

    def __init__(self, index: int, stack: ExitStack) -> None:
        self.index = index
        self.ports = [
            f"emulated://so101?name=follower{index}",
            f"emulated://so101-leader?motion=sine&seed=3&name=leader{index}",
        ]
        for port in self.ports:
            stack.callback(emulators.open_port(port).close)
        self.state: EmulatorState = emulators.state(f"follower{index}")
        stack.callback(self.state.close)
        self.pid = 0

    def start(self, commands: Callable[..., None], *options: str) -> None:
        Path(f"run{self.index}.txt").unlink(missing_ok=True)
        self.before, self.powered = self.state.goals, self.state.torque
        self.pid = os.fork()
        if self.pid:
            return
        status = 130  # also where a last signal comes after everything is over
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.unraisablehook = sys.__unraisablehook__
            sys.stdout = sys.stderr = io.StringIO()
            robot, leader = self.ports
            commands(
                "teleoperate", "--robot.type=so101_follower", f"--robot.port={robot}", "--teleop.type=so101_leader",
                f"--teleop.port={leader}", *options,
            )  # fmt: skip
            status = 0
        except BaseException as end:
            Path(f"run{self.index}.txt").write_text(traceback.format_exc())
            status = status if isinstance(end, (KeyboardInterrupt, click.Abort)) else 1
        finally:
            os._exit(status)

    def signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            os.kill(self.pid, number)

    def ended(self) -> int | None:
        """Exit status, or minus the signal; None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self.pid = 0
        time.sleep(0.05)  # an emulator shows its state every 4 ms
        return os.waitstatus_to_exitcode(status)

    def wait(self) -> int:
        """As `ended`, when it has."""
        deadline = time.monotonic() + PATIENCE
        while (status := self.ended()) is None:
            assert time.monotonic() < deadline, f"it did not end within {PATIENCE} s"
            time.sleep(0.005)
        return status

    def said(self) -> str:
        """What went wrong in it."""
        file = Path(f"run{self.index}.txt")
        return file.read_text() if file.exists() else "it says nothing"

    def close(self) -> None:
        """End it where it still runs, because the test has failed."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


class Stop:
    """One run, from its start until it has ended because of signals at random instants."""

    def __init__(self, run: Run, chance: random.Random, commands: Callable[..., None]) -> None:
        self.run = run
        self.holds, self.parks = chance.random() < 0.3, chance.random() < 0.5
        self.end, self.instant = chance.choice(list(ENDS)), chance.uniform(0, LATEST)
        park = "{" + ", ".join(f"{joint}: {place}" for joint, place in PARK.items()) + "}"
        run.start(commands, f"--robot.disable_torque_on_disconnect={str(not self.holds).lower()}",
            *([f"--robot.park={park}"] if self.parks else []))  # fmt: skip
        self.used = False  # whether the arm is being driven when the first signal comes
        at = time.monotonic() + self.instant
        self._due = []
        for pause, number in ENDS[self.end]:
            at += pause
            self._due.append((at, number))
        self._signals, self._again, self._latest = 0, at + 5, at + PATIENCE

    def over(self) -> int | None:
        """Send what is due; its exit status when it has ended. Where the arm is not yet used a signal may be lost in a
        finaliser of what is imported and built before: then it is sent again, as a person would."""
        now = time.monotonic()
        if self._due and now >= self._due[0][0]:
            if not self._signals:
                state, before = self.run.state, self.run.before
                self.used = bool(state.torque.all()) and abs(state.goals - before).max() > 4
            self._signals += 1
            self.run.signal(self._due.pop(0)[1])
        if not self.used and now > self._again:
            self._again = self._latest
            self.run.signal(signal.SIGINT)
        assert now < self._latest, f"{self}: it did not end within {PATIENCE} s"
        return self.run.ended() if not self._due else None

    def __str__(self) -> str:
        return f"{self.end} after {self.instant:.3f} s (used={self.used}, holds={self.holds}, parks={self.parks})"

    def judge(self, status: int) -> Iterator[str]:
        """What is not as declared."""
        run, used = self.run, self.used
        torque, positions = run.state.torque, run.state.positions
        if self.end == "kill -9":
            if used and not torque.all():
                yield "the torque of an arm nobody let go of is off"
            return
        if status not in (0, 130) and (used or status >= 0):  # before it opens anything a signal just ends it
            yield "it did not end by itself"
        untouched = not used and (torque == run.powered).all()  # it ended before it came to the arm
        if not self.holds and torque.any() and not untouched:
            yield f"released arm has torque {torque}"
        if self.holds and used and not torque.all():
            yield f"held arm has torque {torque}"
        if used and self.parks and len(ENDS[self.end]) == 1:
            for joint, place in PARK.items():
                at = degrees(positions, joint)
                if abs(at - place) > 2.5:
                    yield f"'{joint}' is at {at:.1f}, its park pose is {place}"


@pytest.fixture
def runs(emulator_folder: Path) -> Iterator[list[Run]]:
    with ExitStack() as stack:
        runs = [Run(index, stack) for index in range(ARMS)]
        for run in runs:
            stack.callback(run.close)
        yield runs


def stop_at_random(runs: list[Run], commands: Callable[..., None], times: int, seed: int) -> list[str]:
    """End teleoperations at `times` random instants; returns what was not as declared."""
    chance, wrong, going = random.Random(seed), [], {}
    free, left = list(runs), times
    while free or going:
        while free and left:
            run, left = free.pop(), left - 1
            going[run.index] = Stop(run, chance, commands)
        for index, stop in list(going.items()):
            if (status := stop.over()) is not None:
                wrong += [
                    f"{stop}, exit status {status}: {problem}; {stop.run.said()}" for problem in stop.judge(status)
                ]
                del going[index]
                free.append(stop.run)
        if not left and not going:
            break
        time.sleep(0.002)
    return wrong


def degrees(positions: np.ndarray, joint: str) -> float:
    index = catalogue.SIX.index(joint)
    home = emulators.profiles.SO101[index]
    return float((positions[index] - (home.range_min + home.range_max) / 2) * 360 / 4095)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_an_arm_is_left_as_it_declares_whatever_ends_the_run(runs: list[Run], commands: Callable[..., None]) -> None:
    wrong = stop_at_random(runs, commands, 52, seed=11)
    assert not wrong, "\n".join(wrong)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_an_arm_is_left_as_it_declares_five_hundred_times(runs: list[Run], commands: Callable[..., None]) -> None:
    wrong = stop_at_random(runs, commands, 500, seed=12)
    assert not wrong, "\n".join(wrong)


def test_an_unplugged_leader_lets_the_arm_park_and_let_go(runs: list[Run], commands: Callable[..., None]) -> None:
    run = runs[0]
    run.start(commands, "--robot.park={shoulder_pan: 12.0, elbow_flex: -20.0}")
    deadline = time.monotonic() + 10
    while abs(run.state.goals - run.before).max() < 4 and time.monotonic() < deadline:
        time.sleep(0.005)  # until it follows: a leader that is not yet attached to would be started anew
    emulators.address._children._children["leader0"].process.kill()
    assert run.wait() == 1
    assert not run.state.torque.any()
    assert degrees(run.state.positions, "shoulder_pan") == pytest.approx(12.0, abs=2.5)
