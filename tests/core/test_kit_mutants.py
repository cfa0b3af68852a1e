"""The kit proves itself: toys broken on purpose must fail, each in the check that is there for that fault.

Each mutant runs its suite's checks in this process, through pytest itself, as a third party would.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from core import toys
from lerobot_core.roles import ActionChunk
from lerobot_core.testing import (
    AggregatorSuite,
    CameraSuite,
    DatasetBackendSuite,
    PolicySuite,
    ProcessorStepSuite,
    TeleoperatorSuite,
)
from lerobot_core.testing.fakes import (
    TinyConfig,
    TinyPolicy,
    ToyArm,
    ToyArmConfig,
    ToyBus,
    ToyBusConfig,
    ToyCamera,
    ToyCameraConfig,
    ToyLeader,
    ToyLeaderConfig,
)
from lerobot_core.testing.memory import MemoryBackend, MemoryConfig, MemoryDataset, MemoryReader, MemoryWriter


class Mutant(NamedTuple):
    """A fault: the suite and fixture, what makes the faulty part, and words of the check that must notice."""

    suite: type
    fixture: str
    make: Callable[[], Any]
    noticed: str


# --- robots -----------------------------------------------------------------------------------------------------------


class SendsNan(ToyArm):
    def send_action(self, action):
        try:
            return super().send_action(action)
        except Exception:
            return dict(action)


class SendsHalf(ToyArm):
    """Moves the joints in front of the bad one before it refuses."""

    def send_action(self, action):
        sent = {}
        for key, value in action.items():
            sent |= super().send_action({key: value})
        return sent


class NoLimits(ToyArm):
    def send_action(self, action):
        return {**super().send_action(action), **{key: float(value) for key, value in action.items()}}


class WrongSign(ToyArm):
    def send_action(self, action):
        super().send_action({key: -value for key, value in action.items()})
        return dict(action)


class StaysPowered(ToyArm):
    def disconnect(self):
        for device in self.devices:
            device.disconnect(False) if device is self.bus else device.disconnect()


class StopsAtFirst(ToyArm):
    def disconnect(self):
        for device in self.devices:
            device.disconnect()


class OldFeatures(ToyArm):
    @property
    def observation_features(self):
        return super().observation_features if self.is_connected else {"shoulder.pos": float}


class SmallPicture(ToyArm):
    def get_observation(self):
        seen = super().get_observation()
        return {**seen, "front": seen["front"][::2]}


class WallClock(ToyArm):
    def get_observation(self):
        import time

        return {**super().get_observation(), "stamps": {"front": time.time_ns()}}


class SharedPicture(ToyArm):
    def get_observation(self):
        seen = super().get_observation()
        self.buffer = getattr(self, "buffer", np.zeros_like(seen["front"]))
        self.buffer[...] = seen["front"]
        return {**seen, "front": self.buffer}


class ReadsWithout(ToyLeader):
    def get_action(self):
        return super().get_action() if self.is_connected else dict.fromkeys(self.action_features, 0.0)


class KeepsThread(ToyLeader):
    def connect(self, calibrate=True):
        import threading

        super().connect(calibrate)
        threading.Timer(2.3, int).start()


# --- cameras, buses ---------------------------------------------------------------------------------------------------


class SameAgain(ToyCamera):
    """Gives the newest picture, whether it gave it before or not."""

    def async_read(self, timeout_ms=200):
        return self._take(max(self._newest(), 1))


class NeverLate(ToyCamera):
    def async_read(self, timeout_ms=200):
        return super().async_read(1e9)


class HalfSpeed(ToyCamera):
    def read(self):
        for _ in range(3):
            picture = super().read()
        return picture


class Unsigned(ToyBus):
    def write(self, register, motor, value, *, normalize=True):
        super().write(register, motor, int(value) & 0xFFFF)


class WrongOrder(ToyBus):
    def sync_read(self, register, motors=None, *, normalize=True):
        found = super().sync_read(register, motors)
        return dict(zip(found, reversed(list(found.values())), strict=True))


class AllOff(ToyBus):
    def disable_torque(self, motors=None):
        super().disable_torque()


class BlamesFirst(ToyBus):
    def read(self, register, motor, *, normalize=True):
        return super().read(register, next(iter(self.motors)) if motor in self.unplugged else motor)


# --- datasets ---------------------------------------------------------------------------------------------------------


class Backend(MemoryBackend):
    """A memory backend whose writer or reader is faulty."""

    def __init__(self, writer: type = MemoryWriter, reader: type = MemoryReader) -> None:
        super().__init__(MemoryConfig(repo_id=f"mutant/{writer.__name__}{reader.__name__}"))
        self.forget()
        self._writer, self._reader = writer, reader

    def create(self, features, fps, **options):
        made = super().create(features, fps, **options)
        made.__class__ = self._writer
        return made

    def open(self, episodes=None):
        made = super().open(episodes)
        made.__class__ = self._reader
        return made


class KeepsReferences(MemoryWriter):
    def add(self, frame, *, task, stamps=None):
        super().add(frame, task=task)
        self._frames[-1] = dict(frame)


class KeepsDiscarded(MemoryWriter):
    def discard(self):
        """Forgets to forget."""

    def save_episode(self):
        saved = super().save_episode()
        self._frames, self._tasks = [], []
        return saved


class SavesOnFinalize(MemoryWriter):
    def finalize(self):
        if self._frames:
            self.save_episode()


class RoundsToHalf(MemoryReader):
    def columns(self, episode):
        found = super().columns(episode)
        return {**found, "action": found["action"].astype(np.float16).astype(np.float32)}


class OneOff(MemoryReader):
    def frames(self, episode, camera):
        pictures = list(super().frames(episode, camera))
        return [pictures[0], *pictures[:-1]]


class AveragesDeviations(MemoryReader):
    @property
    def stats(self):
        found = super().stats
        for key, stats in found.items():
            spread = [self.columns(episode)[key].std(0) for episode in self.episodes]
            found[key] = {**stats, "std": np.mean(spread, axis=0)}
        return found


class CrossesEpisodes(MemoryReader):
    def torch(self, delta_timestamps=None, transforms=None):
        rows = [self.columns(episode) for episode in self.episodes]
        whole = {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}
        tasks = [task for _, tasks in self._stored.episodes for task in tasks]
        return MemoryDataset([whole], [tasks], self.fps, delta_timestamps or {})


class MemorySuite(DatasetBackendSuite):
    lossy = False


# --- policies, aggregators, steps -------------------------------------------------------------------------------------


class OneGenerator(TinyPolicy):
    """Every client draws from the same numbers."""

    def session(self, seed=0):
        made = super().session(seed)
        self.generator = made.generator = getattr(self, "generator", made.generator)
        return made


class OneWindow(TinyPolicy):
    """What was seen last is kept in the policy."""

    def infer(self, sessions, observations, executed_steps):
        for session in sessions:
            session.last = getattr(self, "last", None)
        chunks = super().infer(sessions, observations, executed_steps)
        self.last = sessions[-1].last
        return chunks


class LooksAround(TinyPolicy):
    """Scales by the batch."""

    def infer(self, sessions, observations, executed_steps):
        chunks = super().infer(sessions, observations, executed_steps)
        spread = np.float32(len(chunks))
        return [ActionChunk(actions=one.actions / spread, step=one.step, observed=one.observed) for one in chunks]


class Blind(TinyPolicy):
    def infer(self, sessions, observations, executed_steps):
        nothing = [{"observation.state": np.zeros(3, np.float32)} for _ in observations]
        return super().infer(sessions, nothing, executed_steps)


class DoublePrecision(TinyPolicy):
    def infer(self, sessions, observations, executed_steps):
        chunks = super().infer(sessions, observations, executed_steps)
        return [
            ActionChunk(actions=one.actions.astype(np.float64), step=one.step, observed=one.observed) for one in chunks
        ]


class SavesNoWeights(TinyPolicy):
    @classmethod
    def from_pretrained(cls, path, config=None):
        made = cls(TinyConfig())
        made.weight = made.weight * np.float32(0.5)
        return made


class Remembers(TinyPolicy):
    def session(self, seed=0):
        made = super().session(seed)
        made.reset = lambda: None
        return made


class TinySuite(PolicySuite):
    trains = False
    kind: type = TinyPolicy

    def load(self, path: Path) -> Any:
        return SavesNoWeights.from_pretrained(path)


def padding_counts(self, error, pad):
    return error.square().mean()


def forward_writes(self, batch):
    batch["action"].sub_(1.0)
    error = self.chunk(batch["observation.state"]) - batch["action"]
    loss = error.square().mean()
    return loss, {"mse": loss.item()}


def unused_part(self, state):
    return (self.norm(state).sum(1, keepdim=True) * 0 + self.net.bias).reshape(-1, 5, 2)


def stays_in_training(self, mode=True):
    for module in self.children():
        module.training = True
    return self


class DriftsAway:
    def __call__(self, old, new):
        return np.float32(0.7) * old + np.float32(0.4) * new


class InPlace:
    def __call__(self, old, new):
        old += np.float32(0.5) * (new - old)
        return old


class Widens:
    def __call__(self, old, new):
        return old + 0.5 * (new.astype(np.float64) - old)


class StepSuite(ProcessorStepSuite):
    @pytest.fixture
    def given(self) -> dict[str, Any]:
        return {"a.pos": float, "front": (8, 8, 3)}


class ForgetsNothing(toys.Delta):
    def reset(self):
        """Keeps the last values."""


class SaysNothing(toys.Delta):
    def features(self, given):
        return given


class WritesInto(toys.Delta):
    def __call__(self, values):
        values["front"][...] = 0
        return super().__call__(values)


def arm(kind: type, noticed: str) -> Mutant:
    return Mutant(toys.ToyArmSuite, "robot", lambda: kind(ToyArmConfig()), noticed)


def leader(kind: type, noticed: str) -> Mutant:
    return Mutant(TeleoperatorSuite, "teleoperator", lambda: kind(ToyLeaderConfig()), noticed)


def camera(kind: type, noticed: str) -> Mutant:
    return Mutant(CameraSuite, "camera", lambda: kind(ToyCameraConfig()), noticed)


def bus(kind: type, noticed: str) -> Mutant:
    return Mutant(toys.ToyBusSuite, "bus", lambda: kind(ToyBusConfig()), noticed)


def tiny(kind: type, noticed: str) -> Mutant:
    return Mutant(TinySuite, "policy", lambda: kind(TinyConfig()), noticed)


def learner(noticed: str, **changes: Any) -> Mutant:
    return Mutant(toys.TorchPolicySuite, "policy", lambda: toys.torch_policy(**changes), noticed)


MUTANTS = {
    "sends NaN": arm(SendsNan, "no_number_is_refused"),
    "sends half of a bad action": arm(SendsHalf, "no_number_is_refused"),
    "says other than it sent": arm(NoLimits, "limits_are_kept"),
    "wrong sign": arm(WrongSign, "an_action_moves_the_robot"),
    "stays powered": arm(StaysPowered, "it_stops_as_declared"),
    "stops at the first broken device": arm(StopsAtFirst, "disconnect_tries_every_device"),
    "features change": arm(OldFeatures, "features_are_known_before"),
    "picture of another size": arm(SmallPicture, "an_observation_matches"),
    "wall-clock stamps": arm(WallClock, "an_observation_matches"),
    "one buffer for all pictures": arm(SharedPicture, "observations_share_no_memory"),
    "action without a connection": leader(ReadsWithout, "the_first_read_needs"),
    "thread left behind": leader(KeepsThread, "no_thread_outlives"),
    "the same picture twice": camera(SameAgain, "no_picture_is_given_twice"),
    "waits for ever": camera(NeverLate, "async_read_waits_no_longer"),
    "another rate": camera(HalfSpeed, "pictures_come_at_the_rate"),
    "signs lost": bus(Unsigned, "values_come_back_as_they_went"),
    "values of the neighbour": bus(WrongOrder, "values_of_all_servos"),
    "all servos released": bus(AllOff, "torque_goes_on_and_off"),
    "neighbour answers for a missing servo": bus(BlamesFirst, "a_missing_servo"),
    "frames by reference": Mutant(MemorySuite, "backend", lambda: Backend(KeepsReferences), "frames_are_the_writers"),
    "discard forgets nothing": Mutant(MemorySuite, "backend", lambda: Backend(KeepsDiscarded), "a_discarded_episode"),
    "half an episode saved": Mutant(MemorySuite, "backend", lambda: Backend(SavesOnFinalize), "a_running_episode"),
    "half precision": Mutant(MemorySuite, "backend", lambda: Backend(reader=RoundsToHalf), "what_is_read"),
    "pictures one late": Mutant(MemorySuite, "backend", lambda: Backend(reader=OneOff), "pictures_come_back"),
    "deviations averaged": Mutant(MemorySuite, "backend", lambda: Backend(reader=AveragesDeviations), "statistics_are"),
    "windows cross": Mutant(MemorySuite, "backend", lambda: Backend(reader=CrossesEpisodes), "windows_stay_in"),
    "one generator": tiny(OneGenerator, "interleaved_clients"),
    "one window": tiny(OneWindow, "interleaved_clients"),
    "rows depend on each other": tiny(LooksAround, "rows_do_not_depend"),
    "blind": tiny(Blind, "the_answer_depends"),
    "float64 chunks": tiny(DoublePrecision, "a_chunk_is_what"),
    "weights not saved": tiny(TinyPolicy, "what_is_saved"),
    "reset forgets nothing": tiny(Remembers, "a_reset_session"),
    "padding counts": learner("padded_steps", loss=padding_counts),
    "batch written into": learner("the_batch_is_not_changed", forward=forward_writes),
    "a part without a gradient": learner("gradients_reach", chunk=unused_part),
    "learns while it runs": learner("inference_changes_no_weights", eval=stays_in_training),
    "weights above one": Mutant(AggregatorSuite, "aggregator", DriftsAway, "what_both_say"),
    "merges in place": Mutant(AggregatorSuite, "aggregator", InPlace, "inputs_stay_untouched"),
    "float64 merge": Mutant(AggregatorSuite, "aggregator", Widens, "shape_and_dtype"),
    "state kept over reset": Mutant(StepSuite, "step", ForgetsNothing, "reset_forgets"),
    "features do not tell": Mutant(StepSuite, "step", SaysNothing, "its_features_tell"),
    "values written into": Mutant(StepSuite, "step", WritesInto, "the_values_given"),
}


class Outcome:
    """pytest plugin that notes what failed."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.when == "call":
            self.failed.append(report.nodeid)


@pytest.mark.parametrize("name", MUTANTS)
def test_the_mutant_is_noticed(name: str, tmp_path: Path) -> None:
    mutant = MUTANTS[name]
    file = tmp_path / f"test_mutant_{list(MUTANTS).index(name)}.py"
    file.write_text(
        "import pytest\n"
        "from core.test_kit_mutants import MUTANTS\n"
        f"mutant = MUTANTS[{name!r}]\n"
        "class TestMutant(mutant.suite):\n"
        "    @pytest.fixture\n"
        f"    def {mutant.fixture}(self):\n"
        "        return mutant.make()\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    outcome = Outcome()
    quiet = ["-p", "no:cacheprovider", "-p", "no:terminal", "-W", "ignore"]
    pytest.main([str(file), *quiet, "-c", str(tmp_path / "pytest.ini"), "-k", mutant.noticed], plugins=[outcome])
    assert outcome.failed
