"""The scripted leader, the emulated camera and the judge, on a stage without servos."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from lerobot_core.errors import NotConnected
from lerobot_motors.cameras.configs import EmulatedConfig
from lerobot_motors.cameras.emulated import EmulatedCamera
from lerobot_motors.demo import judge as judging
from lerobot_motors.demo import leader as leading
from lerobot_motors.demo import scene
from lerobot_motors.demo.leader import Phase, ScriptedLeader, ScriptedLeaderConfig


class ToyStage:
    """An arm that is at once where it is sent."""

    def __init__(self) -> None:
        self.pose = scene.joints_at(np.array([0.2, 0.0, 0.05]))
        self.goal: np.ndarray | None = None
        self.tries = 0

    def joints(self) -> np.ndarray:
        return self.pose.copy()

    def begin_try(self) -> None:
        self.tries += 1

    def close(self) -> None:
        """Nothing is open."""


class ToyTime:
    """Monotonic time that a test moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> ToyStage:
    toy = ToyStage()
    monkeypatch.setattr(leading, "Stage", lambda name: toy)
    monkeypatch.setattr("lerobot_motors.cameras.emulated.Stage", lambda name: toy)
    return toy


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ToyTime:
    toy = ToyTime()
    monkeypatch.setattr(leading, "time", toy)
    return toy


def phase_length(leader: ScriptedLeader, stage: ToyStage, clock: ToyTime, *, follow: bool = True) -> tuple[int, dict]:
    """Ticks until the leader ends its phase, and the events it ends it with."""
    for tick in range(1, 400):
        action = leader.get_action()
        if follow:
            stage.pose = np.array(list(action.values()))
        clock.now += 1 / 30
        events = leader.get_events()
        if events["terminate_episode"]:
            return tick, events
    raise AssertionError("the phase does not end")


def test_leads_tries_and_resets_in_turn(stage: ToyStage, clock: ToyTime) -> None:
    leader = ScriptedLeader(ScriptedLeaderConfig(name="toy", seed=4))
    leader.connect()
    draws = scene.draws(4)
    draw = next(draws)
    for _ in range(3):
        assert leader.phase is Phase.TRY
        assert np.array_equal(stage.goal, draw.goal)
        ticks, events = phase_length(leader, stage, clock)
        assert events["success"]
        assert 12 < ticks < 90
        assert np.linalg.norm(scene.tip(stage.pose) - draw.goal) < 0.010
        draw = next(draws)
        assert leader.phase is Phase.RESET
        assert np.array_equal(stage.goal, draw.goal), "the next goal is there before its try begins"
        _, events = phase_length(leader, stage, clock)
        assert not events["success"]
        assert np.abs(stage.pose - draw.start).max() < 3
    assert stage.tries == 4


def test_a_try_needs_the_arm_itself_at_the_goal(stage: ToyStage, clock: ToyTime) -> None:
    leader = ScriptedLeader(ScriptedLeaderConfig(name="toy"))
    leader.connect()
    with pytest.raises(AssertionError, match="does not end"):
        phase_length(leader, stage, clock, follow=False)


def test_drives_only_resets_and_says_when_the_policy_succeeded(stage: ToyStage, clock: ToyTime) -> None:
    leader = ScriptedLeader(ScriptedLeaderConfig(name="toy", drives="resets", unseen=True))
    leader.connect()
    assert leader.phase is Phase.RESET
    phase_length(leader, stage, clock)
    assert leader.phase is Phase.TRY
    goal = stage.goal
    stage.pose = scene.joints_at(goal)
    assert not leader.get_events()["success"]
    clock.now += 0.6
    assert leader.get_events() == {"terminate_episode": True, "success": True}
    assert leader.phase is Phase.RESET
    assert not np.array_equal(stage.goal, goal)


def test_a_policy_that_ran_out_of_time_gives_the_arm_back(stage: ToyStage, clock: ToyTime) -> None:
    leader = ScriptedLeader(ScriptedLeaderConfig(name="toy", drives="resets", unseen=True))
    leader.connect()
    phase_length(leader, stage, clock)
    stage.pose = stage.pose + 20
    before = stage.joints()
    action = leader.get_action()
    assert leader.phase is Phase.RESET
    assert np.abs(np.array(list(action.values())) - before).max() < 3, "from where the policy left it"


def test_not_connected() -> None:
    with pytest.raises(NotConnected):
        ScriptedLeader(ScriptedLeaderConfig(name="toy")).get_action()
    with pytest.raises(NotConnected):
        EmulatedCamera(EmulatedConfig(name="toy")).async_read()


def test_the_camera_shows_the_arm_and_the_goal(stage: ToyStage) -> None:
    camera = EmulatedCamera(EmulatedConfig(name="toy", width=64, height=48))
    camera.connect()
    without = camera.async_read()
    stage.goal = np.array([0.2, 0.1, 0.02])
    assert not np.array_equal(camera.read_latest(), without)
    first = camera.stamp
    camera.read()
    assert camera.stamp - first >= 1e9 / 30 - 1e6
    camera.disconnect()
    assert not camera.is_connected


def test_the_judge_sees_each_try_and_its_outcome(stage: ToyStage) -> None:
    goals = [np.array([0.2, 0.05, scene.BOARD_Z]), np.array([0.25, -0.05, scene.BOARD_Z])]
    turn = threading.Semaphore(0)
    over = threading.Event()

    def actor() -> None:
        stage.goal, stage.pose = goals[0], scene.joints_at(goals[0])
        stage.begin_try()
        turn.acquire()
        stage.goal = goals[1]
        stage.begin_try()
        turn.acquire()
        over.set()

    thread = threading.Thread(target=actor)
    seen: list[judging.Run] = []

    def done(run: judging.Run) -> None:
        seen.append(run)
        turn.release()

    timer = threading.Timer(0.05, thread.start)  # tries from before it watches are not the judge's
    timer.start()
    runs = judging.judge_tries(stage, 2, running=lambda: not over.is_set(), done=done)  # type: ignore[arg-type]
    thread.join(5)
    assert not thread.is_alive()
    assert [run.success for run in runs] == [True, False]
    assert runs == seen
    assert 0.5 <= runs[0].seconds < 1.0
    assert 3.0 <= runs[1].seconds < 4.0
    assert runs[1].goal == pytest.approx(goals[1].tolist())
    assert judging.success_rate(runs) == 0.5
