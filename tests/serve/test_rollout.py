"""Phases, events and what is recorded, without a network."""

from __future__ import annotations

import pytest
from embodiments import Toy, ToyConfig, ToyLeader, ToyLeaderConfig

from lerobot_core.features import action_features, observation_features
from lerobot_serve.rollout import Phases, Rollout


class Script:
    """An EpisodeSource that is idle for two ticks of each episode."""

    def __init__(self, idle=2):
        self.idle = idle
        self.resets = self.ticks = 0

    def act(self, observation):
        self.ticks += 1
        return (None if self.ticks <= self.idle else dict.fromkeys(observation, 7.0)), {}

    def reset(self):
        self.resets += 1
        self.ticks = 0

    def health(self):
        return {"chunks": 1}


class Notebook:
    """A DatasetWriter in memory."""

    def __init__(self, robot):
        self.features = observation_features(robot.observation_features) | action_features(robot.action_features)
        self.running, self.saved, self.discarded = [], [], 0

    @property
    def num_episodes(self):
        return len(self.saved)

    def add(self, frame, *, task, stamps=None):
        self.running.append((frame, task))

    def save_episode(self):
        self.saved.append(self.running)
        self.running = []
        return len(self.saved) - 1

    def discard(self):
        self.running = []
        self.discarded += 1

    def finalize(self):
        self.running = []


class Judge(ToyLeader):
    """Says a given word in the third tick of an episode, and holds the button."""

    def __init__(self, word):
        super().__init__(ToyLeaderConfig())
        self.word, self.reads = word, 0

    def get_events(self):
        self.reads += 1
        return {self.word: self.reads >= 3}


PHASES = Phases(fps=200, episode_time_s=0.05, reset_time_s=0.0, task="fold")


def test_an_episode_is_recorded_from_its_first_action():
    robot = Toy(ToyConfig())
    writer = Notebook(robot)
    result = Rollout(robot, Script(), PHASES, writer=writer).episode()
    assert (result["ticks"], result["idle"], result["success"], result["recorded"]) == (10, 2, None, 0)
    assert result["chunks"] == 1
    assert len(writer.saved[0]) == 8
    frame, task = writer.saved[0][0]
    assert task == "fold"
    assert (frame["action"] == 7).all()


@pytest.mark.parametrize(
    ("word", "success", "kept"),
    [("success", True, 1), ("failure", False, 1), ("terminate_episode", None, 1), ("rerecord_episode", None, 0)],
)
def test_an_event_ends_the_episode_and_tells_how_it_went(word, success, kept):
    robot = Toy(ToyConfig())
    writer = Notebook(robot)
    rollout = Rollout(robot, Script(idle=0), PHASES, teleop=Judge(word), writer=writer)
    result = rollout.episode()
    assert result["ticks"] == 2
    assert result["success"] is success
    assert len(writer.saved) == kept
    assert rollout.episode()["ticks"] == 10  # the button still held says nothing about the next one


def test_an_episode_without_an_action_is_not_recorded():
    robot = Toy(ToyConfig())
    writer = Notebook(robot)
    assert Rollout(robot, Script(idle=99), PHASES, writer=writer).episode()["recorded"] is None
    assert writer.discarded == 1


def test_the_teleoperator_drives_the_reset_and_the_source_forgets_between_episodes():
    robot = Toy(ToyConfig())
    source = Script(idle=0)
    phases = Phases(fps=200, episode_time_s=0.05, reset_time_s=5.0, task="")
    rollout = Rollout(robot, source, phases, teleop=ToyLeader(ToyLeaderConfig(value=1.0, success_reads=4)))
    for _ in range(2):
        rollout.reset_phase()
        assert set(robot.position.values()) == {1.0}
        assert rollout.episode()["success"] is True
    assert source.resets == 2
    assert len(robot.sent) == 2 * (3 + 4)


def test_without_a_teleoperator_the_robot_waits_between_episodes():
    robot = Toy(ToyConfig())
    rollout = Rollout(robot, Script(idle=0), Phases(fps=200, episode_time_s=0.02, reset_time_s=0.02, task=""))
    rollout.reset_phase()
    rollout.episode()
    sent = len(robot.sent)
    rollout.reset_phase()
    assert len(robot.sent) == sent
