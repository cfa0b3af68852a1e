"""The control loop with fakes, and the clean-up of devices."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import time
from typing import Any

import numpy as np
import pytest

from lerobot_core import features, loop
from lerobot_core.errors import DeviceTimeout
from lerobot_core.guard import Guard, GuardConfig
from lerobot_core.loop import NEVER, DatasetSink, TeleoperatorSource, Tick, connected, run_loop
from lerobot_core.testing.clocks import FakeClock


class Arm:
    """Goes at once where it is sent, but never above 50."""

    name = "arm"

    def __init__(self, clock: FakeClock, cost: float = 0.0, stamped: bool = False) -> None:
        self.clock, self.cost, self.stamped = clock, cost, stamped
        self.at, self.action_features = 0.0, {"a.pos": float}

    def get_observation(self) -> dict[str, Any]:
        self.clock.pass_seconds(self.cost)
        return {"a.pos": self.at} | ({"stamps": {"a.pos": 7}} if self.stamped else {})

    def send_action(self, action: dict[str, float]) -> dict[str, float]:
        self.at = min(action["a.pos"], 50.0)
        return {"a.pos": self.at}


class Script:
    """A source that plays a list; None is nothing to send."""

    def __init__(self, goals: list[float | None]) -> None:
        self.goals, self.seen = list(goals), []

    def act(self, observation: dict[str, float]) -> tuple[dict[str, float] | None, dict[str, Any]]:
        self.seen.append(dict(observation))
        goal = self.goals.pop(0) if self.goals else None
        return (None if goal is None else {"a.pos": goal}), {"left": len(self.goals)}


class Log:
    def __init__(self) -> None:
        self.ticks: list[Tick] = []

    def add(self, tick: Tick) -> None:
        self.ticks.append(tick)

    def add_sample(self, key: str, value: Any, stamp: int) -> None:
        """The loop has no faster sensor here."""


class Add:
    """A step that adds to the joint."""

    def __init__(self, amount: float) -> None:
        self.amount, self.resets = amount, 0

    def reset(self) -> None:
        self.resets += 1

    def __call__(self, values: dict[str, Any]) -> dict[str, Any]:
        return {key: value + self.amount for key, value in values.items()}


def test_what_is_recorded_is_the_action_as_sent(clock: FakeClock) -> None:
    log = Log()
    run_loop(Arm(clock), Script([10, 70]), fps=10, duration=0.2, sinks=[log], clock=clock)
    assert [tick.action for tick in log.ticks] == [{"a.pos": 10.0}, {"a.pos": 50.0}]
    assert [tick.observation for tick in log.ticks] == [{"a.pos": 0.0}, {"a.pos": 10.0}]
    assert [(tick.index, tick.info) for tick in log.ticks] == [(0, {"left": 1}), (1, {"left": 0})]


def test_the_loop_keeps_absolute_deadlines(clock: FakeClock) -> None:
    start = clock.time
    health = run_loop(Arm(clock, cost=0.03), Script([1, 2, 3]), fps=10, duration=0.3, clock=clock)
    assert [deadline - start for deadline in clock.deadlines] == [100_000_000, 200_000_000, 300_000_000]
    assert (health.ticks, health.late, health.skipped, health.rate_hz) == (3, 0, 0, 10.0)
    assert health.period_error_max_ms == 0


def test_a_slow_turn_is_counted(clock: FakeClock) -> None:
    health = run_loop(Arm(clock, cost=0.25), Script([1, 2]), fps=10, duration=0.2, clock=clock)
    assert (health.ticks, health.late) == (2, 2)
    assert health.skipped > 0
    assert health.period_error_max_ms > 100
    assert "2 late" in health.line()
    assert health.to_data()["late"] == 2


def test_idle_turns_send_nothing_and_are_counted(clock: FakeClock) -> None:
    arm, log = Arm(clock), Log()
    health = run_loop(arm, Script([None, 10, None]), fps=10, duration=0.3, sinks=[log], clock=clock)
    assert health.idle == 2
    assert [tick.action for tick in log.ticks] == [None, {"a.pos": 10.0}, None]
    assert arm.at == 10.0


def test_steps_and_guard_in_order(clock: FakeClock) -> None:
    arm, script, add = Arm(clock), Script([10.0]), Add(5)
    run_loop(
        arm,
        script,
        fps=10,
        duration=0.1,
        observation_steps=[Add(1), Add(1)],
        action_steps=[add],
        guard=Guard(10, GuardConfig(ramp_speed=100)),
        clock=clock,
    )
    assert script.seen == [{"a.pos": 2.0}]
    assert arm.at == 10.0, "15 is asked, 10 per tick allowed from 0, where it is whatever a step makes of that"
    assert add.resets == 1


def test_stamps_of_the_robot_are_kept_and_not_observed(clock: FakeClock) -> None:
    log = Log()
    run_loop(Arm(clock, stamped=True), Script([1]), fps=10, duration=0.1, sinks=[log], clock=clock)
    assert (log.ticks[0].stamps, log.ticks[0].observation) == ({"a.pos": 7}, {"a.pos": 0.0})
    plain = Log()
    run_loop(Arm(clock), Script([1]), fps=10, duration=0.1, sinks=[plain], clock=clock)
    assert plain.ticks[0].stamps == {"a.pos": plain.ticks[0].time}


def test_stop_is_asked_before_each_turn(clock: FakeClock) -> None:
    answers = iter([False, False, True])
    health = run_loop(Arm(clock), Script([1, 2, 3]), fps=10, stop=lambda: next(answers), clock=clock)
    assert health.ticks == 2
    assert run_loop(Arm(clock), Script([]), fps=10, stop=lambda: True, clock=clock).ticks == 0


def test_old_objects_are_not_collected_in_a_loop(clock: FakeClock) -> None:
    seen, usual = [], gc.get_threshold()

    def stop() -> bool:
        seen.append(gc.get_threshold())
        return len(seen) == 2

    run_loop(Arm(clock), Script([1, 2]), fps=10, stop=stop, clock=clock)
    assert {found[2] for found in seen} == {NEVER}
    assert gc.get_threshold() == usual


def test_an_error_in_a_turn_gives_the_collector_back(clock: FakeClock) -> None:
    usual = gc.get_threshold()

    def fails_after_another_loop() -> bool:
        run_loop(Arm(clock), Script([1]), fps=10, duration=0.1, clock=clock)
        assert gc.get_threshold()[2] == NEVER, "that is for the outer loop to end"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_loop(Arm(clock), Script([1]), fps=10, stop=fails_after_another_loop, clock=clock)
    assert gc.get_threshold() == usual


def test_a_teleoperator_gives_its_events() -> None:
    class Leader:
        def get_action(self) -> dict[str, float]:
            return {"a.pos": 1.0}

    class Pad(Leader):
        def get_events(self) -> dict[str, bool]:
            return {"success": True}

    assert TeleoperatorSource(Leader()).act({}) == ({"a.pos": 1.0}, {})
    assert TeleoperatorSource(Pad()).act({}) == ({"a.pos": 1.0}, {"success": True})


# --- recording --------------------------------------------------------------------------------------------------------


class Writer:
    def __init__(self) -> None:
        self.frames: list[tuple[dict[str, np.ndarray], str, dict[str, int]]] = []

    def add(self, frame: dict[str, np.ndarray], *, task: str, stamps: dict[str, int]) -> None:
        self.frames.append((frame, task, stamps))


def tick(index: int, at: float, goal: float | None) -> Tick:
    action = None if goal is None else {"a.pos": goal}
    return Tick(index=index, time=index, observation={"a.pos": at}, action=action, info={}, stamps={"a.pos": index})


def test_frames_have_what_was_seen_and_what_was_sent() -> None:
    dataset = features.observation_features({"a.pos": float}) | features.action_features({"a.pos": float})
    writer = Writer()
    sink = DatasetSink(writer, dataset, "pick")
    for at in (tick(0, 1.0, None), tick(1, 2.0, 5.0), tick(2, 3.0, None)):
        sink.add(at)
    found = [(frame["observation.state"].item(), frame["action"].item()) for frame, _, _ in writer.frames]
    assert found == [(2.0, 5.0), (3.0, 5.0)], "nothing before the first action; idle repeats the last"
    assert writer.frames[0][1:] == ("pick", {"timestamp": 1, "a.pos": 1})


def test_an_idle_turn_stops_what_would_keep_moving(clock: FakeClock) -> None:
    sent: list[dict[str, float]] = []

    class Rover(Arm):
        def send_action(self, action: dict[str, float]) -> dict[str, float]:
            sent.append(dict(action))
            return action

    class Once:
        def __init__(self) -> None:
            self.left = [{"a.pos": 3.0, "wheel.vel": 2.0}]

        def act(self, observation: dict[str, float]) -> tuple[dict[str, float] | None, dict[str, Any]]:
            return (self.left.pop() if self.left else None), {}

    rover = Rover(clock)
    rover.action_features = {"a.pos": float, "wheel.vel": float}
    run_loop(rover, Once(), fps=10, duration=0.2, clock=clock)
    assert sent == [{"a.pos": 3.0, "wheel.vel": 2.0}, {"a.pos": 3.0, "wheel.vel": 0.0}]


# --- what it bears with -----------------------------------------------------------------------------------------------


class Flaky(Arm):
    """An arm whose servo does not answer in some observations, counted from 1; its stamps are as old as told [s]."""

    def __init__(self, clock: FakeClock, silent: range = range(0), age: dict[int, float] | None = None) -> None:
        super().__init__(clock)
        self.silent, self.age, self.count, self.sent = silent, age or {}, 0, []

    def get_observation(self) -> dict[str, Any]:
        self.count += 1
        if self.count in self.silent:
            raise DeviceTimeout("no reply from 'elbow' (id 3)", hint="check its cable")
        return {"a.pos": self.at, "stamps": {"a.pos": self.clock.time - round(self.age.get(self.count, 0.0) * 1e9)}}

    def send_action(self, action: dict[str, float]) -> dict[str, float]:
        self.sent.append(action["a.pos"])
        return super().send_action(action)


def bold(**options: Any) -> Guard:
    return Guard(10, GuardConfig(ramp_speed=100, patience_s=0.5, stale_ms=300, **options))


def test_a_servo_that_does_not_answer_for_a_while_is_borne_with(clock: FakeClock, caplog: Any) -> None:
    arm, log = Flaky(clock, silent=range(3, 6)), Log()
    goals = [0, 5, 40, 40, 40, 40, 40]
    health = run_loop(arm, Script(goals), fps=10, duration=1.0, sinks=[log], guard=bold(), clock=clock)
    assert (health.ticks, health.held) == (10, 3)
    assert [tick.index for tick in log.ticks] == [0, 1, 5, 6, 7, 8, 9], "nothing was observed in between"
    assert arm.sent[:6] == [0, 5, 15, 25, 35, 40], "ramped again afterwards"
    assert [record.message for record in caplog.records] == [
        "the robot holds: no reply from 'elbow' (id 3) (check its cable)"
    ]
    assert "3 held, 3 limited" in health.line()


def test_patience_ends(clock: FakeClock) -> None:
    arm = Flaky(clock, silent=range(3, 99))
    with pytest.raises(DeviceTimeout, match="'elbow'"):
        run_loop(arm, Script([0] * 99), fps=10, duration=5.0, guard=bold(), clock=clock)
    assert 3 + 5 <= arm.count <= 3 + 7, "half a second"
    with pytest.raises(DeviceTimeout):
        run_loop(Flaky(clock, silent=range(2, 3)), Script([0] * 9), fps=10, duration=1.0, clock=clock)


def test_patience_begins_anew_after_every_answer(clock: FakeClock) -> None:
    class EveryOther(Flaky):
        def get_observation(self) -> dict[str, Any]:
            self.silent = range(self.count + 1, self.count + 2) if self.count % 2 else range(0)
            return super().get_observation()

    health = run_loop(EveryOther(clock), Script([None] * 99), fps=10, duration=4.0, guard=bold(), clock=clock)
    assert health.held == 20


def test_a_leader_that_is_gone_stops_a_base_and_then_ends_the_run(clock: FakeClock) -> None:
    class Gone(Script):
        def act(self, observation: dict[str, float]) -> Any:
            if not self.goals:
                raise DeviceTimeout("no reply from the leader")
            return {**super().act(observation)[0], "wheel.vel": 2.0}, {}

    class Rover(Flaky):
        def send_action(self, action: dict[str, float]) -> dict[str, float]:
            self.wheels.append(action["wheel.vel"])
            return action

    rover, log = Rover(clock), Log()
    rover.action_features, rover.wheels = {"a.pos": float, "wheel.vel": float}, []
    with pytest.raises(DeviceTimeout, match="leader"):
        run_loop(rover, Gone([0, 0]), fps=10, duration=5.0, sinks=[log], guard=bold(), clock=clock)
    assert rover.wheels[:2] == [2.0, 2.0]
    assert set(rover.wheels[2:]) == {0.0}
    assert len(log.ticks) > 5, "what is seen goes on being recorded"


def test_old_positions_and_old_actions_are_not_gone_by(clock: FakeClock, caplog: Any) -> None:
    arm = Flaky(clock, age={3: 0.2, 4: 0.4, 5: 0.4})
    health = run_loop(arm, Script([0, 5, 6, 7, 8, 9]), fps=10, duration=0.6, guard=bold(), clock=clock)
    assert (arm.sent, health.held, health.idle) == ([0, 5, 6, 9], 2, 2)
    assert "a.pos: nothing new for 300 ms" in caplog.text

    class Old(Script):
        def act(self, observation: dict[str, float]) -> Any:
            action, info = super().act(observation)
            return action, {**info, "stamp": clock.time - (400_000_000 if len(self.goals) == 1 else 0)}

    arm = Flaky(clock)
    health = run_loop(arm, Old([1, 2, 3]), fps=10, duration=0.3, guard=bold(), clock=clock)
    assert (arm.sent, health.held) == ([1, 3], 1)


def test_a_turn_without_an_action_is_a_stand(clock: FakeClock) -> None:
    arm = Flaky(clock)
    run_loop(arm, Script([50, 50, None, 50]), fps=10, duration=0.4, guard=bold(max_acceleration=100.0), clock=clock)
    assert arm.sent == [1, 3, 4]


def test_after_a_long_pause_the_robot_is_ramped_again(clock: FakeClock) -> None:
    arm = Flaky(clock)
    goals = [0, None, None, 30, None, None, None, None, 50, 50, 50]
    run_loop(arm, Script(goals), fps=10, duration=1.1, guard=bold(), clock=clock)
    assert arm.sent == [0, 30, 40, 50, 50]


# --- devices ----------------------------------------------------------------------------------------------------------


class Device:
    """Notes what is done to it; fails where it is told to."""

    def __init__(self, name: str, log: list[str], connect: Any = None, disconnect: Any = None) -> None:
        self.name, self.log = name, log
        self.failures = {"connect": connect, "disconnect": disconnect}

    def connect(self) -> None:
        self._do("connect")

    def disconnect(self) -> None:
        self._do("disconnect")

    def _do(self, what: str) -> None:
        self.log.append(f"{what} {self.name}")
        if self.failures[what] is not None:
            raise self.failures[what]


def test_devices_are_disconnected_in_reverse() -> None:
    log: list[str] = []
    with connected(Device("a", log), Device("b", log)):
        log.append("work")
    assert log == ["connect a", "connect b", "work", "disconnect b", "disconnect a"]


def test_every_device_is_tried_and_the_first_error_comes_out_with_notes() -> None:
    log: list[str] = []
    a = Device("a", log, disconnect=OSError("a is gone"))
    b = Device("b", log, disconnect=KeyboardInterrupt())
    c = Device("c", log, disconnect=SystemExit(1))
    with pytest.raises(ValueError, match="work failed") as info, connected(a, b, c, Device("d", log)):
        raise ValueError("work failed")
    assert log[-4:] == ["disconnect d", "disconnect c", "disconnect b", "disconnect a"]
    assert [note.split(":")[0] for note in info.value.__notes__] == [f"while stopping {name}" for name in "cba"]


def test_an_error_only_at_the_end_comes_out() -> None:
    log: list[str] = []
    with (
        pytest.raises(OSError, match="b is gone") as info,
        connected(Device("a", log, disconnect=ValueError("x")), Device("b", log, disconnect=OSError("b is gone"))),
    ):
        log.append("work")
    assert "while stopping a: x" in info.value.__notes__[0]


def test_a_device_that_does_not_connect_is_disconnected_too() -> None:
    log: list[str] = []
    with (
        pytest.raises(OSError, match="no port"),
        connected(Device("a", log), Device("b", log, connect=OSError("no port")), Device("c", log)),
    ):
        log.append("work")
    assert log == ["connect a", "connect b", "disconnect b", "disconnect a"]


def test_calibration_is_passed_to_what_has_one() -> None:
    class Arm:
        def connect(self, calibrate: bool = True) -> None:
            self.asked = calibrate

        def calibrate(self) -> None:
            """Nothing to do."""

        def disconnect(self) -> None:
            """Nothing to do."""

    arm = Arm()
    with connected(arm, calibrate=False):
        assert arm.asked is False


def test_sigterm_ends_the_block_like_ctrl_c_and_is_put_back() -> None:
    log: list[str] = []
    former = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), connected(Device("a", log)):
        os.kill(os.getpid(), signal.SIGTERM)
    assert log == ["connect a", "disconnect a"]
    assert signal.getsignal(signal.SIGTERM) is former


def test_a_second_signal_does_not_keep_devices_from_being_released() -> None:
    log: list[str] = []

    class Slow(Device):
        def disconnect(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            super().disconnect()

    with pytest.raises(KeyboardInterrupt), connected(Device("a", log), Slow("b", log)):
        os.kill(os.getpid(), signal.SIGTERM)
    assert log[-2:] == ["disconnect b", "disconnect a"]


def test_a_signal_while_devices_are_released_comes_out_when_they_are() -> None:
    log: list[str] = []

    class Slow(Device):
        def disconnect(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            super().disconnect()

    with pytest.raises(KeyboardInterrupt), connected(Device("a", log), Slow("b", log)):
        log.append("work")
    assert log[-3:] == ["work", "disconnect b", "disconnect a"]


def test_a_signal_that_is_lost_while_connecting_ends_the_block_all_the_same() -> None:
    log: list[str] = []

    class Deaf(Device):
        def connect(self) -> None:
            with contextlib.suppress(KeyboardInterrupt):  # as an exception in a finaliser is
                os.kill(os.getpid(), signal.SIGTERM)
            super().connect()

    with pytest.raises(KeyboardInterrupt), connected(Deaf("a", log), Device("b", log)):
        log.append("work")
    assert log == ["connect a", "disconnect a"]


def test_the_hangup_of_a_terminal_ends_the_block_too() -> None:
    log: list[str] = []
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever runs the tests may have it ignored
    try:
        with pytest.raises(KeyboardInterrupt), connected(Device("a", log)):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, former)
    assert log == ["connect a", "disconnect a"]


def test_signals_that_were_to_be_ignored_stay_so() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with connected():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, former)


def test_a_stuck_device_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "STUCK", 0.0)
    log: list[str] = []

    class Stuck(Device):
        def disconnect(self) -> None:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)
            super().disconnect()

    with pytest.raises(KeyboardInterrupt), connected(Device("a", log), Stuck("b", log)):
        log.append("work")
    assert log == ["connect a", "connect b", "work", "disconnect a"]


class Mover(Device):
    """A robot with a base, which parks its arm; signals itself after as many actions as told."""

    is_connected = True
    action_features = {"a.pos": float, "wheel.vel": float}  # noqa: RUF012

    def __init__(self, log: list[str], park: dict[str, float], signal_after: int = 0, blind: bool = False) -> None:
        super().__init__("mover", log)
        self.at, self.sent, self.park = 0.0, [], park
        self.signal_after, self.blind = signal_after, blind

    def get_observation(self) -> dict[str, float]:
        if self.blind:
            raise DeviceTimeout("no reply from 'a'")
        return {"a.pos": self.at, "wheel.vel": 3.0}

    def send_action(self, action: dict[str, float]) -> dict[str, float]:
        self.sent.append(action)
        self.at = action.get("a.pos", self.at)
        if len(self.sent) == self.signal_after:
            os.kill(os.getpid(), signal.SIGINT)
        return action


def test_a_robot_comes_to_rest_before_anything_is_disconnected() -> None:
    log: list[str] = []
    robot = Mover(log, {"a.pos": 6.0})
    with pytest.raises(ZeroDivisionError), connected(robot, Device("leader", log)):
        raise ZeroDivisionError
    assert robot.sent[0] == {"a.pos": 0.0, "wheel.vel": 0.0}, "the base stands first"
    assert {action["wheel.vel"] for action in robot.sent} == {0.0}
    assert [action["a.pos"] for action in robot.sent[1:]] == [2.0, 4.0, 6.0], "60 units/s at 30 Hz"
    assert log[-2:] == ["disconnect leader", "disconnect mover"]


def test_a_second_signal_shortens_the_parking_and_nothing_else() -> None:
    log: list[str] = []
    robot = Mover(log, {"a.pos": 60.0}, signal_after=3)
    with pytest.raises(KeyboardInterrupt), connected(robot):
        os.kill(os.getpid(), signal.SIGINT)
    assert robot.at == 4.0
    assert log[-1] == "disconnect mover"


def test_a_base_is_stopped_though_its_arm_does_not_answer() -> None:
    log: list[str] = []
    robot = Mover(log, {"a.pos": 60.0}, blind=True)
    with pytest.raises(DeviceTimeout, match="'a'"), connected(robot):
        log.append("work")
    assert robot.sent == [{"wheel.vel": 0.0}]
    assert log[-1] == "disconnect mover"
