"""Every arm and leader against every kind of fault of its servos: a table and a line of JSON.

`python tests/motors/survival.py [PART_OF_A_TYPE] [--seconds 10]`

A type is teleoperated for some seconds on its emulator. Then each fault strikes a run of its own and is over after a while. It is
survived where the loop goes on with fresh values, or ends with an error that names a device; after that the same emulator, or
one with new power where a servo has forgotten what it was, connects again. Whatever else escapes is not survived.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lerobot_core import roles
from lerobot_core.config import choose
from lerobot_core.errors import LeRobotError
from lerobot_core.guard import Guard, GuardConfig
from lerobot_core.loop import LoopHealth, Tick, connected, run_loop
from lerobot_motors import emulators, plugin
from lerobot_motors.emulators.faults import KINDS

FPS = 50.0
#: When a fault begins, how long it lasts, and how long the loop goes on [s].
BEGIN, LASTS, RUN = 0.2, 0.3, 1.2
#: A joint swings by this much around where it stands [user units], once in this time [s].
SWING, PERIOD = 3.0, 2.0


class Swing:
    """A source that lets every position swing a little around where the robot stood."""

    def __init__(self) -> None:
        self._middle: dict[str, float] | None = None
        self._ticks = 0

    def act(self, observation: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, Any]]:
        if self._middle is None:
            self._middle = {key: float(value) for key, value in observation.items() if key.endswith(".pos")}
        self._ticks += 1
        away = SWING * math.sin(2 * math.pi * self._ticks / FPS / PERIOD)
        return {key: value + away for key, value in self._middle.items()}, {}


class Held:
    """A leader as a robot that cannot be moved: what it gives is observed, and what it is sent is nothing."""

    def __init__(self, leader: Any) -> None:
        self._leader, self.name, self.on_stop = leader, leader.name, "hold"
        self.action_features: dict[str, Any] = {}
        self.observation_features = leader.action_features
        self.connect, self.disconnect = leader.connect, leader.disconnect

    @property
    def is_connected(self) -> bool:
        return bool(self._leader.is_connected)

    def get_observation(self) -> dict[str, Any]:
        action, stamp = self._leader.get_action(), getattr(self._leader, "stamp", None)
        return {**action, "stamps": dict.fromkeys(action, stamp if stamp is not None else time.monotonic_ns())}

    def send_action(self, action: Mapping[str, float]) -> dict[str, float]:
        return dict(action)


class Strike:
    """A sink that lets a fault begin, and sees how old the values are at the end."""

    def __init__(self, state: emulators.EmulatorState | None, fault: str) -> None:
        self._state, self._fault = state, fault
        self.oldest_ms = 0.0

    def add(self, tick: Tick) -> None:
        if self._state is not None and tick.index >= BEGIN * FPS:
            self._state.inject(self._fault)
            self._state = None
        stamps = [tick.time - stamp for key, stamp in tick.stamps.items() if key.endswith(".pos")]
        self.oldest_ms = max(stamps, default=0) / 1e6

    def add_sample(self, key: str, value: Any, stamp: int) -> None:
        """There are none."""


class Outcome(NamedTuple):
    """What became of one type under one fault."""

    kind: str
    survived: bool
    said: str


def build(role: type, component: Any) -> Any:
    device = choose(role, component.name, **component.example).build()
    return device if role is roles.Robot else Held(device)


def name_of(example: Mapping[str, Any]) -> str:
    """The emulator that faults are given to: the only one, or the left one."""
    for value in example.values():
        if isinstance(value, str) and emulators.is_emulated(value):
            return emulators.parse(value).name
        if isinstance(value, Mapping) and (found := name_of(value)):
            return found
    return ""


def teleoperated(role: type, component: Any, seconds: float) -> LoopHealth:
    robot = build(role, component)
    with connected(robot):
        return run_loop(robot, Swing(), fps=FPS, guard=Guard(FPS, GuardConfig()), duration=seconds)


def struck(role: type, component: Any, kind: str) -> Outcome:
    """A run with one fault, and the first look after it."""
    target = "" if KINDS[kind].hits == "line" else ":id=1" if kind not in ("drop", "corrupt") else ":rate=0.3"
    if component.name.startswith("omx") and target == ":id=1":
        target = ":id=11" if component.name == "omx_follower" else target
    fault = f"{kind}{target}" + ("" if KINDS[kind].once else f":for={LASTS}")
    said = "went on"
    try:
        robot = build(role, component)
        with connected(robot):
            strike = Strike(emulators.state(name_of(component.example)), fault)
            run_loop(robot, Swing(), fps=FPS, guard=Guard(FPS), duration=RUN, sinks=[strike])
        if strike.oldest_ms > 1e3 / FPS:
            return Outcome(kind, False, f"values are {strike.oldest_ms:.0f} ms old at the end")
    except LeRobotError as error:
        said = f"ended: {error}"
        if not any(word in said for word in ("'", "emulated://")):
            return Outcome(kind, False, f"names nothing: {said}")
    except Exception as error:  # what a loop must never let out
        return Outcome(kind, False, f"escaped: {error!r}")
    try:  # the emulator has ended with its device: this one has new power
        robot = build(role, component)
        with connected(robot):
            robot.get_observation()
    except Exception as error:
        return Outcome(kind, False, f"{said}; does not connect again: {error!r}")
    return Outcome(kind, True, said)


def types() -> Iterator[tuple[type, Any]]:
    for role, components in ((roles.Robot, plugin.lr_robots()), (roles.Teleoperator, plugin.lr_teleoperators())):
        for component in components:
            if name_of(component.example):
                yield role, component


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="", help="part of a type's name")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each is teleoperated")
    options = parser.parse_args()
    report: dict[str, Any] = {}
    print(f"{'type':20} {'ticks':>6} {'late p99 ms':>12} {'held':>5}  faults survived")
    for role, component in types():
        if options.part not in component.name:
            continue
        health = teleoperated(role, component, options.seconds)
        outcomes = [struck(role, component, kind) for kind in KINDS]
        lost = [outcome for outcome in outcomes if not outcome.survived]
        figures = f"{health.ticks:6} {health.period_error_p99_ms:12.2f} {health.held:5}"
        print(f"{component.name:20} {figures}  {len(outcomes) - len(lost)} of {len(outcomes)}", flush=True)
        for outcome in lost:
            print(f"    {outcome.kind}: {outcome.said}", flush=True)
        report[component.name] = {
            "loop": health.to_data(),
            "faults": {outcome.kind: [outcome.survived, outcome.said] for outcome in outcomes},
        }
    print(json.dumps(report))
    sys.exit(any(not kept for found in report.values() for kept, _ in found["faults"].values()))


if __name__ == "__main__":
    main()
