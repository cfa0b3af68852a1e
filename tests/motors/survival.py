"""Every robot, teleoperator, bus and camera type: its conformance suite, a teleoperation, and every kind of fault that what
stands in for its hardware can bring about. A table, and JSON.

`python tests/motors/survival.py [PART_OF_A_ROW] [--seconds 10] [--json FILE]`

A type is teleoperated for some seconds. Then each fault strikes a run of its own. It is survived where the loop goes on with
fresh values, or ends with an error that names a device, and always ends where what is seen cannot be right any more; after that
the same type connects again, to the same emulator or to one with new power. Whatever else escapes is not survived.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
from lerobot_core import roles
from lerobot_core.components import Component
from lerobot_core.errors import LeRobotError
from lerobot_core.guard import Guard, GuardConfig
from lerobot_core.loop import LoopHealth, Tick, connected, run_loop
from lerobot_core.registry import ROLES
from lerobot_motors import plugin
from motors import survival_cameras as cameras
from motors.survival_benches import FPS, Bench, BesideArm, Desk, InWorld, Pad, Serial, emulator_of

#: When a fault begins, how long the loop goes on, and how long where it must end by itself [s].
BEGIN, RUN, NOTICED = 0.2, 1.2, 5.0
#: A joint swings by this much around where it stands [user units], once in this time [s].
SWING, PERIOD = 3.0, 2.0
#: How many rows are measured at a time: most of a run is waiting.
ROWS = 3
#: Longest that a row may take [s], beyond its teleoperation.
PATIENCE = 300.0

#: Types that have no wire to servos.
BENCHES: dict[tuple[type, str], type[Bench]] = {
    (roles.Robot, "lekiwi_client"): cameras.Remote,
    (roles.Teleoperator, "scripted_leader"): BesideArm,
    (roles.Teleoperator, "scripted_picker"): InWorld,
    (roles.Teleoperator, "keyboard"): Desk,
    (roles.Teleoperator, "keyboard_ee"): Desk,
    (roles.Teleoperator, "keyboard_rover"): Desk,
    (roles.Teleoperator, "gamepad"): Pad,
    (roles.Camera, "opencv"): cameras.Usb,
    (roles.Camera, "pattern"): cameras.Pattern,
    (roles.Camera, "emulated"): BesideArm,
    (roles.Camera, "simulated"): InWorld,
    (roles.Camera, "intelrealsense"): cameras.Depth,
    (roles.Camera, "zmq"): cameras.Published,
}

#: Runs the suites; that of RealSense cameras brings what stands in for the library of their maker.
CHECKS = """
from lerobot_core.testing import offered
really = offered.missing
offered.missing = lambda item: None if item.name == "intelrealsense" else really(item)
offered.main()
"""


def bench(role: type, component: Component) -> Bench | None:
    """Where a type is tried; None: nobody has made one."""
    kind = BENCHES.get((role, component.name), Serial if emulator_of(component.example) else None)
    return None if kind is None else kind(role, component)


class Swing:
    """A source that lets every position swing a little around where the robot stood."""

    def __init__(self, robot: Any) -> None:
        self._keys = [key for key in robot.action_features if key.endswith(".pos")]
        self._middle: dict[str, float] = {}
        self._ticks = 0

    def act(self, observation: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, Any]]:
        self._middle = self._middle or {key: float(observation[key]) for key in self._keys}
        self._ticks += 1
        away = SWING * math.sin(2 * math.pi * self._ticks / FPS / PERIOD)
        return {key: value + away for key, value in self._middle.items()}, {}


class Strike:
    """A sink that lets a fault begin, and sees how old the values are at the end."""

    def __init__(self, bench: Bench, fault: str) -> None:
        self._bench, self._fault = bench, fault
        self.oldest_ms = 0.0

    def add(self, tick: Tick) -> None:
        if self._fault and tick.index >= BEGIN * FPS:
            self._bench.strike(self._fault)
            self._fault = ""
        self.oldest_ms = max((tick.time - stamp for stamp in tick.stamps.values()), default=0) / 1e6

    def add_sample(self, key: str, value: Any, stamp: int) -> None:
        """There are none."""


class Outcome(NamedTuple):
    """What became of one type under one fault."""

    kind: str
    survived: bool
    said: str


def teleoperated(role: type, component: Component, seconds: float) -> LoopHealth:
    tried = bench(role, component)
    assert tried is not None
    with tried.open():
        robot = tried.build()
        with connected(robot):
            return run_loop(robot, Swing(robot), fps=FPS, guard=Guard(FPS, GuardConfig()), duration=seconds)


def struck(role: type, component: Component, kind: str) -> Outcome:
    """A run with one fault, and the first look after it."""
    tried, said = bench(role, component), "went on"
    assert tried is not None
    try:
        with tried.open():
            robot = tried.build(kind)
            with connected(robot):
                strike, duration = Strike(tried, kind), NOTICED if kind in tried.ends else RUN
                run_loop(robot, Swing(robot), fps=FPS, guard=Guard(FPS), duration=duration, sinks=[strike])
        if kind in tried.ends:
            return Outcome(kind, False, f"was not noticed within {NOTICED:g} s")
        if strike.oldest_ms > tried.age_ms:
            return Outcome(kind, False, f"values are {strike.oldest_ms:.0f} ms old at the end")
    except LeRobotError as error:
        said = f"ended: {error}"
        if not any(word in said for word in ("'", "emulated://")):
            return Outcome(kind, False, f"names nothing: {said}")
    except Exception as error:  # what a loop must never let out
        return Outcome(kind, False, f"escaped: {error!r}")
    try:  # an emulator has ended with its device: this one has new power
        with tried.open():
            robot = tried.build()
            with connected(robot):
                robot.get_observation()
    except Exception as error:
        return Outcome(kind, False, f"{said}; does not connect again: {error!r}")
    return Outcome(kind, True, said)


def types() -> Iterator[tuple[str, type, Component]]:
    """(row, role, component) of everything there is to try."""
    for role in (roles.Robot, roles.Teleoperator, roles.MotorBus, roles.Camera):
        hook, noun = ROLES[role]
        for component in getattr(plugin, hook)():
            yield f"{noun} {component.name}", role, component


def conformance(row: str, name: str) -> dict[str, Any]:
    """What became of the checks of a row's suite: how many passed, which did not, why some were not made."""
    done = subprocess.run([sys.executable, "-c", CHECKS, name], capture_output=True, text=True, check=False)
    ends = [found for line in done.stdout.splitlines() if (found := json.loads(line)).get("part") in (row, "")]
    ends = [end for end in ends if end["outcome"] != "started"]
    of = {end["check"]: end for end in ends}
    return {
        "passed": sum(end["outcome"] == "passed" for end in of.values()),
        "excused": sum(end["outcome"] == "excused" for end in of.values()),
        "failed": [f"{end['check']}: {end['message']}" for end in ends if end["outcome"] == "failed"],
        "not_made": sorted({end["message"] for end in of.values() if end["outcome"] == "skipped"}),
    }


def measure(row: str, role: type, component: Component, seconds: float) -> dict[str, Any]:
    """Everything of one row."""
    tried = bench(role, component)
    checks = conformance(row, component.name)
    if tried is None:
        return {"conformance": checks, "loop": None, "faults": {}}
    loop = teleoperated(role, component, seconds).to_data()
    outcomes = [struck(role, component, kind) for kind in tried.faults]
    return {
        "conformance": checks,
        "loop": loop,
        "faults": {outcome.kind: [outcome.survived, outcome.said] for outcome in outcomes},
    }


def apart(row: str, seconds: float) -> dict[str, Any]:
    """`measure` in a process, a home and a folder of emulators of its own."""
    with tempfile.TemporaryDirectory(prefix="survival-") as folder:
        done = subprocess.run(
            [sys.executable, __file__, row, f"--seconds={seconds}", "--here"],
            env={**os.environ, "TMPDIR": folder, "HOME": folder, "HF_LEROBOT_HOME": f"{folder}/lerobot"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE + seconds,
            check=False,
        )
    if done.returncode:
        return {"conformance": None, "loop": None, "faults": {}, "crashed": done.stderr[-2000:]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def is_green(found: Mapping[str, Any]) -> bool:
    checks, loop, faults = found["conformance"], found["loop"], found["faults"]
    return bool(checks and checks["passed"] and not checks["failed"] and loop and faults) and all(
        survived for survived, _ in faults.values()
    )


def line(row: str, found: Mapping[str, Any]) -> str:
    """The row of the table."""
    checks, loop, faults = found["conformance"], found["loop"], found["faults"]
    passed = f"{checks['passed']} of {checks['passed'] + len(checks['failed'])}" if checks else "-"
    run = (f"{loop['ticks']:6}{loop['skipped']:8}{loop['held']:5}" if loop else "-").rjust(19)
    kept = sum(survived for survived, _ in faults.values())
    return f"{row:31}{passed:>10}{run}  {kept:3} of {len(faults):2}  {'' if is_green(found) else 'NOT GREEN'}".rstrip()


HEADER = f"{'':31}{'checks':>10}{'ticks skipped held':>19}  faults survived"


def problems(found: Mapping[str, Any]) -> Iterator[str]:
    if "crashed" in found:
        yield found["crashed"]
    yield from (found["conformance"] or {}).get("failed", ())
    yield from (f"{kind}: {said}" for kind, (survived, said) in found["faults"].items() if not survived)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="", help="pattern that rows match, as in 'camera' or 'robot koch'")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each is teleoperated")
    parser.add_argument("--json", type=Path, help="file that the rows are put into, beside those that are in it")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(next(measure(*one, options.seconds) for one in types() if one[0] == options.part)))
        return
    report: dict[str, Any] = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    rows = [row for row, _, _ in types() if re.search(options.part, row)]
    print(HEADER)
    started = time.monotonic()
    with ThreadPoolExecutor(ROWS) as pool:
        runs = {pool.submit(apart, row, options.seconds): row for row in rows}
        for number, run in enumerate(as_completed(runs), 1):
            row = runs[run]
            report[row] = run.result()
            print(line(row, report[row]), flush=True)
            for problem in problems(report[row]):
                print(f"    {problem}", flush=True)
            print(f"{number} of {len(rows)}, {time.monotonic() - started:.0f} s", end="\r", file=sys.stderr, flush=True)
            if options.json:
                options.json.write_text(json.dumps(report, indent=1) + "\n")
    sys.exit(not all(is_green(report[row]) for row in rows))


if __name__ == "__main__":
    main()
