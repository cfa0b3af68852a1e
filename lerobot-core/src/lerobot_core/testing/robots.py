"""What a robot or teleoperator must do, whatever it is made of."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core import features
from lerobot_core.errors import LeRobotError, NotConnected
from lerobot_core.roles import Robot, Teleoperator
from lerobot_core.testing.suite import Suite, copied, needs, new_threads, until

STAMPS = "stamps"
_EVENTS = {"success", "failure", "rerecord_episode", "is_intervention", "terminate_episode"}


def check_values(values: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Values have exactly the features' keys, shapes and dtypes, and scalars are finite numbers."""
    assert set(values) - {STAMPS} == set(wanted), "keys differ from the features"
    for key, shorthand in wanted.items():
        feature, value = features.of(shorthand), values[key]
        if feature.shape == ():
            assert np.ndim(value) == 0, f"'{key}' is no scalar"
            assert math.isfinite(value), f"'{key}' is {value}"
        else:
            assert isinstance(value, np.ndarray), f"'{key}' is {type(value).__name__}, not an array"
            assert (value.shape, str(value.dtype)) == (feature.shape, feature.dtype), f"'{key}' differs from {feature}"


def check_stamps(values: Mapping[str, Any], earlier: Mapping[str, Any], before: int, after: int) -> None:
    """Stamps name values that are there, were taken on the monotonic clock, not in the future, and do not go back."""
    stamps = values.get(STAMPS, {})
    assert set(stamps) <= set(values), "a stamp without a value"
    for key, stamp in stamps.items():
        assert before - 2_000_000_000 <= stamp <= after, f"stamp of '{key}' is not a recent time of time.monotonic_ns()"
        assert stamp >= earlier.get(STAMPS, {}).get(key, 0), f"stamp of '{key}' went back"


class _Device(Suite):
    """Checks that robots and teleoperators share; `device` is whichever the suite tests."""

    def read(self, device: Any) -> Mapping[str, Any]:
        """What the device gives when asked."""
        raise TypeError("a suite says how its device is read")

    @pytest.fixture
    def connected(self, device: Any) -> Any:
        """The device, connected; disconnected after the check."""
        device.connect(calibrate=False)
        yield device
        device.disconnect()

    def test_its_name_can_name_a_folder(self, device: Any) -> None:
        """Calibration folders and datasets carry `name`. Fix: a word without spaces and slashes."""
        assert isinstance(device.name, str)
        assert device.name
        assert not set(device.name) & set(" /\\:")

    def test_the_first_read_needs_a_connection(self, device: Any) -> None:
        """Reading before `connect` must say so instead of giving old or made-up values. Fix: raise NotConnected."""
        assert not device.is_connected
        with pytest.raises(NotConnected):
            self.read(device)

    def test_it_connects_and_reads_again_after_a_break(self, device: Any) -> None:
        """Sessions end and begin again in one process. Fix: make everything that `connect` opens anew each time."""
        for _ in range(2):
            device.connect(calibrate=False)
            assert device.is_connected
            assert not hasattr(device, "calibrate") or isinstance(device.is_calibrated, bool)
            self.read(device)
            device.disconnect()
            assert not device.is_connected
            with pytest.raises(NotConnected):
                self.read(device)

    def test_disconnect_can_be_called_at_any_time(self, device: Any) -> None:
        """Clean-up runs after failures too, also before anything was opened. Fix: return when nothing is open."""
        device.disconnect()
        device.connect(calibrate=False)
        device.disconnect()
        device.disconnect()
        assert not device.is_connected

    def test_a_second_connect_leaves_it_usable(self, connected: Any) -> None:
        """Two callers may both connect; opening a port twice would break the first. Fix: refuse, or do nothing."""
        try:
            connected.connect(calibrate=False)
        except LeRobotError:
            assert connected.is_connected
        self.read(connected)

    def test_no_thread_outlives_disconnect(self, device: Any) -> None:
        """A thread left behind goes on talking to the hardware. Fix: stop and join it in `disconnect`."""
        before = set(threading.enumerate())
        device.connect(calibrate=False)
        self.read(device)
        device.disconnect()
        assert not new_threads(before)


class RobotSuite(_Device):
    """Subclass it and give the fixture `robot`: a new one for each check, not connected.

    Attributes:
        moves: an action shows in the observations of the same key.
        step: distance the check moves a joint [user units].
        settle_seconds: time a joint may take for that [s].
        limits: action key → (low, high) that must not be passed [user units].
    """

    role: ClassVar[type] = Robot
    moves: ClassVar[bool] = True
    step: ClassVar[float] = 5.0
    settle_seconds: ClassVar[float] = 2.0
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {}

    @pytest.fixture
    def robot(self) -> Any:
        return self.part()

    @pytest.fixture
    def device(self, robot: Any) -> Any:
        return robot

    def torque(self, robot: Any) -> bool | None:
        """Whether any motor is powered, asked of the hardware or its emulator; None: nobody can tell."""
        return None

    def devices(self, robot: Any) -> Sequence[Any]:
        """The buses and cameras inside, each with `disconnect` and `is_connected`; empty: there is only one."""
        return ()

    def read(self, device: Any) -> Mapping[str, Any]:
        observation: Mapping[str, Any] = device.get_observation()
        return observation

    def goal(self, robot: Any) -> dict[str, float]:
        """An action close to where the robot is: every position a step away, everything else zero."""
        observation = robot.get_observation()
        goal = {}
        for key in robot.action_features:
            low, high = self.limits.get(key, (-math.inf, math.inf))
            at = float(observation.get(key, 0.0))
            away = at + self.step if at + self.step <= high else at - self.step
            goal[key] = max(away, low) if key.endswith(".pos") else 0.0
        return goal

    def test_it_has_the_role(self, robot: Any) -> None:
        """The loop uses every method of the role. Fix: add the one that isinstance(robot, Robot) misses."""
        assert isinstance(robot, Robot)

    def test_features_are_known_before_connecting_and_stay(self, robot: Any) -> None:
        """Datasets and policies are checked before anything moves. Fix: derive features from the config alone."""
        before = dict(robot.observation_features), dict(robot.action_features)
        assert all(before)
        for value in before[0].values():
            features.of(value)
        assert all(value is float for value in before[1].values()), "actions are scalars"
        robot.connect(calibrate=False)
        assert (dict(robot.observation_features), dict(robot.action_features)) == before
        robot.disconnect()

    def test_an_observation_matches_its_features(self, connected: Any) -> None:
        """A frame that differs from the features ends a recording half way. Fix: same keys, shapes and dtypes."""
        before, earlier = time.monotonic_ns(), {}
        for _ in range(3):
            observation = connected.get_observation()
            check_values(observation, connected.observation_features)
            check_stamps(observation, earlier, before, time.monotonic_ns())
            earlier = observation

    def test_observations_share_no_memory(self, connected: Any) -> None:
        """Frames wait in queues for their encoder; a reused buffer would change them there. Fix: hand out a new array."""
        first, second = connected.get_observation(), connected.get_observation()
        assert first is not second
        for key, value in first.items():
            if isinstance(value, np.ndarray):
                assert not np.shares_memory(value, second[key]), f"'{key}' is the same memory in two observations"

    def test_sending_needs_a_connection(self, robot: Any) -> None:
        """An action must not vanish. Fix: raise NotConnected from `send_action`."""
        with pytest.raises(NotConnected):
            robot.send_action(dict.fromkeys(robot.action_features, 0.0))

    def test_the_action_sent_is_returned(self, connected: Any) -> None:
        """What is recorded is what was sent. Fix: return the values after limits, under the action's keys."""
        action = self.goal(connected)
        given = dict(action)
        sent = connected.send_action(action)
        assert action == given, "the caller's action was changed"
        assert set(sent) == set(connected.action_features)
        assert all(math.isfinite(value) for value in sent.values())

    def test_an_action_moves_the_robot(self, connected: Any) -> None:
        """Actions and observations use one unit and one sign. Fix: the same conversion in both directions."""
        needs(self.moves, "moves")
        start, goal = copied(connected.get_observation()), self.goal(connected)
        watched = [key for key in goal if key.endswith(".pos") and key in start]
        needs(watched, "an action key that is also observed")

        def arrived() -> bool:
            connected.send_action(goal)
            now = connected.get_observation()
            return all(abs(now[key] - goal[key]) < 0.5 * abs(start[key] - goal[key]) for key in watched)

        assert until(arrived, self.settle_seconds), "positions do not follow the action"

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_no_number_is_refused_and_nothing_moves(self, connected: Any, value: float) -> None:
        """A broken policy sends NaN; as a register value that is a full swing. Fix: check every value before writing any."""
        start, goal = connected.get_observation(), self.goal(connected)
        for key in reversed(list(goal)):
            with pytest.raises(LeRobotError):
                connected.send_action({**goal, key: value})
        time.sleep(0.05)
        now = connected.get_observation()
        for key in goal:
            if self.moves and key.endswith(".pos") and key in start:
                assert abs(now[key] - start[key]) < 0.5 * self.step, f"'{key}' moved although the action was refused"

    def test_an_unknown_key_is_refused(self, connected: Any) -> None:
        """A misspelt joint would silently stay where it is. Fix: refuse keys that are not in action_features."""
        with pytest.raises(LeRobotError):
            connected.send_action({**self.goal(connected), "no such joint.pos": 0.0})

    @pytest.mark.parametrize("sign", [-1, 1])
    def test_limits_are_kept(self, connected: Any, sign: int) -> None:
        """Limits protect the gears, whoever sends. Fix: clip in `send_action` and return what was sent."""
        needs(self.limits, "limits")
        sent = connected.send_action(dict.fromkeys(connected.action_features, sign * 10000.0))
        for key, (low, high) in self.limits.items():
            assert low <= sent[key] <= high, f"'{key}' was sent to {sent[key]}, allowed is {low} to {high}"

    def test_it_stops_as_declared(self, robot: Any) -> None:
        """An arm left powered heats its motors; one released too early falls. Fix: end in the declared `on_stop`."""
        robot.connect(calibrate=False)
        robot.send_action(self.goal(robot))
        powered = self.torque(robot)
        needs(powered is not None, "torque()")
        assert powered, "no motor is powered while it moves"
        robot.disconnect()
        on_stop = getattr(robot, "on_stop", getattr(getattr(robot, "config", None), "on_stop", "release"))
        assert self.torque(robot) is (on_stop != "release")

    def test_disconnect_tries_every_device(self, robot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """One unplugged camera must not leave the arm powered. Fix: try each device, then raise the first error."""
        robot.connect(calibrate=False)
        devices = list(self.devices(robot))
        if len(devices) < 2:
            robot.disconnect()
            pytest.skip("not declared: two or more devices()")
        for broken in (devices[0], devices[-1]):
            if not robot.is_connected:
                robot.connect(calibrate=False)
                devices = list(self.devices(robot))
                broken = devices[-1]
            with monkeypatch.context() as patch:
                really = broken.disconnect
                patch.setattr(broken, "disconnect", _unplugged)
                with pytest.raises((LeRobotError, OSError)):
                    robot.disconnect()
            left = [device for device in devices if device is not broken and device.is_connected]
            really()
            assert not left, f"still connected: {left}"


def _unplugged(*args: Any, **kwargs: Any) -> None:
    raise OSError("unplugged")


class TeleoperatorSuite(_Device):
    """Subclass it and give the fixture `teleoperator`: a new one for each check, not connected."""

    role: ClassVar[type] = Teleoperator

    @pytest.fixture
    def teleoperator(self) -> Any:
        return self.part()

    @pytest.fixture
    def device(self, teleoperator: Any) -> Any:
        return teleoperator

    def read(self, device: Any) -> Mapping[str, Any]:
        action: Mapping[str, Any] = device.get_action()
        return action

    def test_it_has_the_role(self, teleoperator: Any) -> None:
        """The loop uses every method of the role. Fix: add the one that isinstance(x, Teleoperator) misses."""
        assert isinstance(teleoperator, Teleoperator)

    def test_features_are_known_before_connecting_and_stay(self, teleoperator: Any) -> None:
        """Leader and follower are matched before anything moves. Fix: derive features from the config alone."""
        before = dict(teleoperator.action_features)
        assert before
        assert all(value is float for value in before.values()), "actions are scalars"
        teleoperator.connect(calibrate=False)
        assert dict(teleoperator.action_features) == before
        teleoperator.disconnect()

    def test_an_action_matches_its_features(self, connected: Any) -> None:
        """The follower sends what it is given. Fix: one finite number for each key of action_features."""
        for _ in range(3):
            check_values(connected.get_action(), connected.action_features)

    def test_actions_are_the_callers_own(self, connected: Any) -> None:
        """Steps change actions in place. Fix: return a new dict each time."""
        first = connected.get_action()
        given = dict(first)
        first.clear()
        assert set(connected.get_action()) == set(given)

    def test_events_are_known_ones(self, connected: Any) -> None:
        """The recording loop acts on these names. Fix: use the names listed in the role, with booleans."""
        needs(hasattr(connected, "get_events"), "get_events()")
        events = connected.get_events()
        assert set(events) <= _EVENTS
        assert all(isinstance(value, bool) for value in events.values())
