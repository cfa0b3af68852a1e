"""What a robot must do, whatever it is made of."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core import features
from lerobot_core.errors import LeRobotError, NotConnected
from lerobot_core.roles import Robot
from lerobot_core.testing.devices import STAMPS, DeviceSuite, break_reads, check_stamps, check_values, fail, moved_on
from lerobot_core.testing.suite import copied, median_seconds, needs, until

_STOPS = {"release", "hold", "damp"}


class RobotSuite(DeviceSuite):
    """Subclass it and give the fixture `robot`: a new one for each check, not connected.

    Attributes:
        moves: an action shows in the observations of the same key.
        step: distance the check moves a joint [user units].
        settle_seconds: time a joint may take for that [s].
        limits: action key → (low, high) that must not be passed [user units].
        patience_seconds: longest a robot may give the last value of a device that fails [s].
    """

    role: ClassVar[type] = Robot
    moves: ClassVar[bool] = True
    step: ClassVar[float] = 5.0
    settle_seconds: ClassVar[float] = 2.0
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {}
    patience_seconds: ClassVar[float] = 1.0

    @pytest.fixture
    def robot(self) -> Any:
        return self.part()

    @pytest.fixture
    def device(self, robot: Any) -> Any:
        return robot

    def torque(self, robot: Any) -> bool | None:
        """Whether any motor is powered, asked of the hardware or its emulator; None: nobody can tell."""
        return None

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

    def on_stop(self, robot: Any) -> Any:
        """What its motors are left in."""
        return getattr(robot, "on_stop", getattr(getattr(robot, "config", None), "on_stop", "release"))

    def watched(self, robot: Any) -> list[str]:
        """Positions that are sent and observed."""
        needs(self.moves, "moves")
        observed = robot.observation_features
        watched = [key for key in robot.action_features if key.endswith(".pos") and key in observed]
        needs(watched, "an action key that is also observed")
        return watched

    def arrives(self, robot: Any, start: Mapping[str, Any], goal: Mapping[str, float], keys: list[str]) -> bool:
        """Whether these joints come most of the way to their goal in time."""

        def arrived() -> bool:
            robot.send_action(goal)
            now = robot.get_observation()
            return all(abs(now[key] - goal[key]) < 0.5 * abs(start[key] - goal[key]) for key in keys)

        return until(arrived, self.settle_seconds)

    def check_inside(self, observation: Mapping[str, Any], keys: list[str]) -> None:
        """Positions lie within the limits, give or take a step."""
        for key in keys:
            low, high = self.limits[key]
            at = observation[key]
            assert low - self.step <= at <= high + self.step, f"'{key}' is at {at}, its limits are {low} to {high}"

    def test_it_has_the_role(self, robot: Any) -> None:
        """The loop uses every method of the role. Fix: add the one that isinstance(robot, Robot) misses."""
        assert isinstance(robot, Robot)

    def test_features_are_known_before_connecting_and_stay(self, robot: Any) -> None:
        """Datasets and policies are checked before anything moves. Fix: derive features from the config alone."""
        before = dict(robot.observation_features), dict(robot.action_features)
        assert all(before)
        for value in before[0].values():
            features.of(value)
        assert all(features.of(value).shape == () for value in before[1].values()), "actions are scalars"
        robot.connect(calibrate=False)
        after = dict(robot.observation_features), dict(robot.action_features)
        assert [list(one.items()) for one in after] == [list(one.items()) for one in before], "features or their order"
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

    def test_observations_are_the_callers_own(self, connected: Any) -> None:
        """Steps change observations in place. Fix: return a new dict and new arrays each time."""
        first = connected.get_observation()
        for value in first.values():
            if isinstance(value, np.ndarray):
                value[...] = 0
        first.clear()
        check_values(connected.get_observation(), connected.observation_features)

    def test_stamps_go_on(self, connected: Any) -> None:
        """A stamp that stands still is a camera that hangs or a value that is old. Fix: stamp each value when it is read."""
        needs(connected.get_observation().get(STAMPS), "stamps in its observations")
        late = moved_on(connected.get_observation)
        assert not late, f"the stamp stands still: {', '.join(late)}"

    def test_an_observation_makes_a_frame(self, connected: Any) -> None:
        """A recording begins with these very calls. Fix: names that stay apart in a dataset, values that fit them."""
        wanted = features.observation_features(connected.observation_features)
        frame = features.frame(connected.get_observation(), wanted)
        assert set(frame) == set(wanted)
        for key, feature in wanted.items():
            assert frame[key].shape == feature.shape, f"'{key}' is {frame[key].shape} in a frame, not {feature}"

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

    def test_what_is_allowed_is_sent_unchanged(self, connected: Any) -> None:
        """A scale applied twice teaches the policy other numbers. Fix: return user units, as they came in."""
        action = self.goal(connected)
        sent = connected.send_action(action)
        for key, value in action.items():
            assert abs(sent[key] - value) <= 0.1 * self.step, f"'{key}' was asked to go to {value}, sent to {sent[key]}"

    def test_numbers_of_numpy_are_sent(self, connected: Any) -> None:
        """Policies and files give float32. Fix: convert with `float` before any arithmetic or formatting."""
        action = {key: np.float32(value) for key, value in self.goal(connected).items()}
        sent = connected.send_action(action)
        assert all(math.isfinite(value) for value in sent.values())

    def test_an_action_moves_the_robot(self, connected: Any) -> None:
        """Actions and observations use one unit and one sign. Fix: the same conversion in both directions."""
        start, goal = copied(connected.get_observation()), self.goal(connected)
        watched = self.watched(connected)
        assert self.arrives(connected, start, goal, watched), "positions do not follow the action"

    @pytest.mark.parametrize("which", [0, -1])
    def test_one_joint_moves_alone(self, connected: Any, which: int) -> None:
        """Two joints swapped is an elbow through the table. Fix: pair names and motors by name, never by order."""
        key, *others = np.roll(self.watched(connected), -which).tolist()
        start = copied(connected.get_observation())
        goal = dict.fromkeys(connected.action_features, 0.0) | {name: start[name] for name in [key, *others]}
        goal[key] = self.goal(connected)[key]
        assert self.arrives(connected, start, goal, [key]), f"'{key}' does not follow the action"
        now = connected.get_observation()
        strayed = [name for name in others if abs(now[name] - start[name]) > 0.5 * self.step]
        assert not strayed, f"{', '.join(strayed)} moved with '{key}'"

    def test_some_joints_can_be_sent(self, connected: Any) -> None:
        """A gripper is opened on its own. Fix: move what is named and leave the rest, or refuse; never fill up with zeros."""
        self.watched(connected)
        assert self.arrives(
            connected, copied(connected.get_observation()), self.goal(connected), self.watched(connected)
        )
        start, goal = copied(connected.get_observation()), self.goal(connected)
        key, *others = goal
        try:
            sent = connected.send_action({key: goal[key]})
        except LeRobotError:
            return
        assert set(sent) == {key}, "other than the action's keys were sent"
        time.sleep(min(0.1, self.settle_seconds))
        now = connected.get_observation()
        for name in set(others) & set(self.watched(connected)):
            assert abs(now[name] - start[name]) < 0.5 * self.step, f"'{name}' moved although it was not sent"

    def test_the_caller_may_use_its_action_again(self, connected: Any) -> None:
        """Sources fill one dict tick by tick. Fix: copy the values out before `send_action` returns."""
        start, goal, watched = copied(connected.get_observation()), self.goal(connected), self.watched(connected)
        action = dict(goal)
        connected.send_action(action)
        action.update(dict.fromkeys(action, 1e6))

        def arrived() -> bool:
            now = connected.get_observation()
            return all(abs(now[key] - goal[key]) < 0.5 * abs(start[key] - goal[key]) for key in watched)

        assert until(arrived, self.settle_seconds), "the robot follows a dict that was changed after it was sent"

    def test_connecting_moves_nothing(self, robot: Any) -> None:
        """An arm that jumps to its old goal or to zero strips a gear. Fix: read the pose and make it the goal, then power on."""
        robot.connect(calibrate=False)
        watched = self.watched(robot)
        for _ in range(2):
            assert self.arrives(robot, copied(robot.get_observation()), self.goal(robot), watched)
        if self.on_stop(robot) == "release":
            robot.send_action(self.goal(robot))  # a goal it does not come to: it is released at once
        robot.disconnect()
        robot.connect(calibrate=False)
        start = copied(robot.get_observation())
        if hasattr(robot, "configure"):
            robot.configure()
        time.sleep(min(0.1, self.settle_seconds))
        now = robot.get_observation()
        robot.disconnect()
        jumped = [key for key in watched if abs(now[key] - start[key]) > 0.5 * self.step]
        assert not jumped, f"{', '.join(jumped)} moved without an action"

    def test_what_is_sent_is_observed(self, robot: Any) -> None:
        """The guard compares the first action with the pose. Fix: observe every position under the action's key."""
        needs(self.moves, "moves")
        unseen = [
            key for key in robot.action_features if key.endswith(".pos") and key not in robot.observation_features
        ]
        assert not unseen, f"not observed: {', '.join(unseen)}"

    def test_sending_keeps_up_with_the_loop(self, connected: Any) -> None:
        """An action that waits until the arm is there stops the cameras too. Fix: write the goal and return."""
        goal = self.goal(connected)
        seconds = median_seconds(lambda: connected.send_action(goal))
        assert seconds < 0.5 / self.fps, f"an action takes {seconds * 1e3:.0f} ms, the loop has {1e3 / self.fps:.0f} ms"

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_no_number_is_refused_and_nothing_moves(self, connected: Any, value: float) -> None:
        """A broken policy sends NaN; as a register value that is a full swing. Fix: check every value before writing any."""
        start, goal = connected.get_observation(), self.goal(connected)
        for key in reversed(list(goal)):
            with pytest.raises(LeRobotError) as refused:
                connected.send_action({**goal, key: value})
            assert key.rpartition(".")[0] in str(refused.value), f"the error does not name '{key}'"
        time.sleep(0.05)
        now = connected.get_observation()
        for key in goal:
            if self.moves and key.endswith(".pos") and key in start:
                assert abs(now[key] - start[key]) < 0.5 * self.step, f"'{key}' moved although the action was refused"

    def test_an_unknown_key_is_refused(self, connected: Any) -> None:
        """A misspelt joint would silently stay where it is. Fix: refuse keys that are not in action_features, by name."""
        with pytest.raises(LeRobotError, match="no such joint"):
            connected.send_action({**self.goal(connected), "no such joint.pos": 0.0})

    @pytest.mark.parametrize("sign", [-1, 1])
    def test_limits_are_kept(self, connected: Any, sign: int) -> None:
        """Limits protect the gears, whoever sends. Fix: clip in `send_action` and return what was sent."""
        needs(self.limits, "limits")
        sent = connected.send_action(dict.fromkeys(connected.action_features, sign * 10000.0))
        for key, (low, high) in self.limits.items():
            assert low <= sent[key] <= high, f"'{key}' was sent to {sent[key]}, allowed is {low} to {high}"

    def test_limits_are_kept_by_the_joints(self, connected: Any) -> None:
        """A limit that is only in the answer protects nothing. Fix: clip first, then write what was clipped."""
        needs(self.limits, "limits")
        watched = [key for key in self.watched(connected) if key in self.limits]
        deadline = time.monotonic() + min(0.25, self.settle_seconds)
        while time.monotonic() < deadline:
            connected.send_action(dict.fromkeys(connected.action_features, 10000.0))
            self.check_inside(connected.get_observation(), watched)

    def test_positions_lie_within_the_limits(self, connected: Any) -> None:
        """Ticks or radians in place of degrees go unnoticed until something moves. Fix: convert when reading too."""
        needs(self.limits, "limits")
        self.check_inside(connected.get_observation(), [key for key in self.watched(connected) if key in self.limits])

    def test_it_says_how_it_stops(self, robot: Any) -> None:
        """A person decides by it whether to hold the arm. Fix: `on_stop` is release, hold or damp."""
        assert self.on_stop(robot) in _STOPS

    def test_it_stops_as_declared(self, robot: Any) -> None:
        """An arm left powered heats its motors; one released too early falls. Fix: end in the declared `on_stop`."""
        robot.connect(calibrate=False)
        try:
            robot.send_action(self.goal(robot))
            powered = self.torque(robot)
            needs(powered is not None, "torque()")
            assert powered, "no motor is powered while it moves"
        finally:
            robot.disconnect()  # a port left open is refused to the next check
        assert self.torque(robot) is (self.on_stop(robot) != "release")

    def test_it_stops_as_declared_after_a_failure(self, robot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Most sessions end with an error. Fix: `disconnect` needs no working camera and no working read."""
        robot.connect(calibrate=False)
        parts, powered, earlier = self.devices(robot), self.torque(robot), robot.get_observation()
        with monkeypatch.context() as patch:
            for part in parts:
                break_reads(part, patch)
            if parts:
                self.check_failure_shows(robot, earlier)
            with contextlib.suppress(LeRobotError, OSError):
                robot.disconnect()
        assert not robot.is_connected
        needs(parts and powered is not None, "devices() and torque()")
        assert self.torque(robot) is (self.on_stop(robot) != "release")

    def test_a_failing_device_is_not_covered_up(self, connected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """An old value taken for a new one is learned as truth. Fix: let the error out, or keep the value's old stamp and
        let the error out when it goes on failing; read anew at the next call."""
        needs(self.devices(connected), "devices()")
        for broken in self.devices(connected):
            earlier = dict(connected.get_observation())
            with monkeypatch.context() as patch:
                break_reads(broken, patch)
                self.check_failure_shows(connected, earlier)
            check_values(connected.get_observation(), connected.observation_features)

    def check_failure_shows(self, robot: Any, earlier: Mapping[str, Any]) -> None:
        """While a device fails, an observation is an error, or has stamps as old as before; in the end it is an error."""
        deadline = time.monotonic() + self.patience_seconds
        while True:
            try:
                stamps = robot.get_observation().get(STAMPS, {})
            except (LeRobotError, OSError):
                return
            old = [key for key, stamp in earlier.get(STAMPS, {}).items() if stamps.get(key) == stamp]
            assert old, "a read failed, and neither an error nor the age of a value tells"
            assert time.monotonic() < deadline, f"still no error after {self.patience_seconds} s of failing reads"
            time.sleep(0.01)

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
                patch.setattr(broken, "disconnect", fail)
                with pytest.raises((LeRobotError, OSError)):
                    robot.disconnect()
            left = [device for device in devices if device is not broken and device.is_connected]
            really()
            assert not left, f"still connected: {left}"
