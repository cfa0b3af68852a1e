"""A toy arm, a toy leader and a dataset format of plain files, as a single-file plugin: what `lr record` needs of others."""

from __future__ import annotations

import json
import time
from pathlib import Path

import attrs
import numpy as np

from lerobot_core import features
from lerobot_core.components import Component, hookimpl
from lerobot_core.errors import DataError, DeviceError

JOINTS = ("base.pos", "grip.pos")


@attrs.frozen(kw_only=True)
class ArmConfig:
    """A toy arm.

    Attributes:
        limit: largest position it goes to.
        fail_at: number of the observation that fails; 0 never does.
    """

    limit: float = 50.0
    fail_at: int = 0


class Arm:
    name = "toy_arm"

    def __init__(self, config):
        self.config = config
        self.observation_features = {**dict.fromkeys(JOINTS, float), "top": (16, 64, 3)}
        self.action_features = dict.fromkeys(JOINTS, float)
        self.is_connected, self.is_calibrated = False, True
        self.health = {"reads": 0, "errors": 0}
        self.sent: list[dict] = []
        self._at = dict.fromkeys(JOINTS, 0.0)

    def connect(self, calibrate=True):
        self.is_connected = True

    def calibrate(self):
        self.is_calibrated = True

    def configure(self):
        """Nothing to set."""

    def get_observation(self):
        self.health["reads"] += 1
        if self.health["reads"] == self.config.fail_at:
            raise DeviceError("toy arm: a servo is missing", device=self.name)
        return {**self._at, "top": np.full((16, 64, 3), len(self.sent) % 256, np.uint8)}

    def send_action(self, action):
        self._at = {name: min(float(value), self.config.limit) for name, value in action.items()}
        self.sent.append(self._at)
        return self._at

    def disconnect(self):
        self.is_connected = False


@attrs.frozen(kw_only=True)
class LeaderConfig:
    """A toy leader that climbs one unit per tick.

    Attributes:
        events: tick (of the whole run) → event that begins there and lasts 3 ticks.
        jump_at: tick from which on it is 30 units higher; 0 never is.
    """

    events: dict[str, str] = attrs.field(factory=dict)
    jump_at: int = 0


class Leader:
    name = "toy_leader"
    is_connected = is_calibrated = True

    def __init__(self, config):
        self.config = config
        self.action_features = dict.fromkeys(JOINTS, float)
        self.ticks = 0

    def connect(self, calibrate=True):
        """Nothing to open."""

    calibrate = configure = disconnect = connect

    def get_action(self):
        self.ticks += 1
        jump = 30.0 if self.config.jump_at and self.ticks >= self.config.jump_at else 0.0
        return dict.fromkeys(JOINTS, self.ticks + jump)

    def get_events(self):
        recent = [self.config.events.get(str(self.ticks - ago)) for ago in range(3)]
        return {event: True for event in recent if event}

    def send_feedback(self, feedback):
        """It feels nothing."""


@attrs.frozen(kw_only=True)
class TravelConfig:
    """Without options."""


class Travel:
    """The step that tells how far each position has come since the first one."""

    def __init__(self, config):
        self.reset()

    def reset(self):
        self._first = None

    def features(self, features):
        return {**features, **{f"{key}.travel": float for key, value in features.items() if value is float}}

    def __call__(self, values):
        scalars = {key: value for key, value in values.items() if np.ndim(value) == 0}
        self._first = self._first or scalars
        return {**values, **{f"{key}.travel": value - self._first[key] for key, value in scalars.items()}}


@attrs.frozen(kw_only=True)
class WiringConfig:
    """Who drives whom.

    Attributes:
        names: joint of the leader → joint of the robot; all to their own when empty.
        shift: added to every value.
    """

    names: dict[str, str] = attrs.field(factory=dict)
    shift: float = 0.0


class Wiring:
    """The step that gives the value of one joint to another."""

    def __init__(self, config):
        self.config = config

    def reset(self):
        """It remembers nothing."""

    def features(self, features):
        return {new: features[old] for old, new in self._names(features)}

    def __call__(self, values):
        return {new: values[old] + self.config.shift for old, new in self._names(values)}

    def _names(self, given):
        return (self.config.names or {name: name for name in given}).items()


@attrs.frozen(kw_only=True)
class StoreConfig:
    """Plain files.

    Attributes:
        repo_id: name of the dataset.
        root: its folder.
        undoes: whether what was committed can be taken back.
    """

    repo_id: str
    root: Path | None = None
    undoes: bool = False


class Store:
    def __init__(self, config):
        self.writer = UndoingWriter if config.undoes else Writer
        self.root = config.root or Path.cwd() / config.repo_id

    def create(self, features, fps, *, robot_type=None, resume=False):
        if self.root.exists() and not resume:
            raise DataError(f"'{self.root}' exists", path=self.root, hint="use --resume")
        return self.writer(self.root, features, fps, robot_type)

    def open(self, episodes=None):
        return Reader(self.root)


class Writer:
    """It claims to have dropped n pictures of the n-th episode."""

    def __init__(self, root, wanted, fps, robot_type):
        root.mkdir(parents=True, exist_ok=True)
        self.root, self.features = root, wanted
        self.num_episodes = len(list(root.glob("*.npz")))
        self.dropped = {"top": 0}
        self.frames: list[dict] = []
        info = {key: features.to_info(feature) for key, feature in wanted.items()}
        (root / "info.json").write_text(json.dumps({"fps": fps, "robot_type": robot_type, "features": info}))

    def add(self, frame, *, task, stamps=None):
        self.frames.append({**frame, "task": np.array(task)})
        (self.root / "running").write_text(str(len(self.frames)))

    def save_episode(self):
        columns = {key: np.stack([frame[key] for frame in self.frames]) for key in self.frames[0]}
        np.savez(self.root / f"{self.num_episodes}.npz", **columns)
        self.discard()
        self.num_episodes += 1
        self.dropped["top"] += self.num_episodes
        return self.num_episodes - 1

    def discard(self):
        self.frames = []
        (self.root / "running").unlink(missing_ok=True)

    def finalize(self):
        self.discard()
        (self.root / "final").write_text(str(time.time()))


class UndoingWriter(Writer):
    def undo(self):
        self.dropped["top"] -= self.num_episodes
        self.num_episodes -= 1
        (self.root / f"{self.num_episodes}.npz").unlink()
        return self.num_episodes


class Reader:
    stats = None

    def __init__(self, root):
        info = json.loads((root / "info.json").read_text())
        self.features = {key: features.from_info(value) for key, value in info["features"].items()}
        self.fps, self.robot_type = info["fps"], info["robot_type"]
        self.episodes = sorted(root.glob("*.npz"))
        self.num_episodes = len(self.episodes)

    def columns(self, episode):
        with np.load(self.episodes[episode]) as stored:
            return dict(stored)


@hookimpl
def lr_robots():
    return [Component("toy_arm", "toys:ArmConfig", "toys:Arm", "A toy arm")]


@hookimpl
def lr_teleoperators():
    return [Component("toy_leader", "toys:LeaderConfig", "toys:Leader", "A toy leader")]


@hookimpl
def lr_processor_steps():
    return [
        Component("toy_travel", "toys:TravelConfig", "toys:Travel", "How far it has come"),
        Component("toy_wiring", "toys:WiringConfig", "toys:Wiring", "Who drives whom"),
    ]


@hookimpl
def lr_dataset_backends():
    return [Component("toy_store", "toys:StoreConfig", "toys:Store", "Plain files")]
