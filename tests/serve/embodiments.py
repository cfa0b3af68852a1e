"""A toy robot and teleoperator in memory, as a single-file plugin: `--robot.type=toy --teleop.type=toy_leader`."""

from __future__ import annotations

import attrs
import numpy as np

from lerobot_core.components import Component, hookimpl
from lerobot_core.errors import DeviceError


@attrs.frozen(kw_only=True)
class ToyConfig:
    """A robot that is at once where it is sent.

    Attributes:
        joints: number of joints.
        cameras: camera name to [height, width].
        log: file that gets one line per event of its life.
    """

    joints: int = 6
    cameras: dict[str, tuple[int, int]] = attrs.field(factory=dict)
    log: str = ""


class Toy:
    name = "toy"

    def __init__(self, config: ToyConfig) -> None:
        self.config = config
        self.position = {f"joint_{i}.pos": float(i) for i in range(config.joints)}
        self.sent: list[dict[str, float]] = []
        self.is_connected = False
        self.is_calibrated = True
        self._rng = np.random.default_rng(0)

    @property
    def observation_features(self):
        return dict.fromkeys(self.position, float) | {name: (*size, 3) for name, size in self.config.cameras.items()}

    @property
    def action_features(self):
        return dict.fromkeys(self.position, float)

    def connect(self, calibrate=True):
        self.is_connected = True

    def calibrate(self):
        self.is_calibrated = True

    def configure(self):
        self.is_connected = True

    def get_observation(self):
        pictures = {
            name: self._rng.integers(0, 255, (*size, 3), dtype=np.uint8) for name, size in self.config.cameras.items()
        }
        return self.position | pictures

    def send_action(self, action):
        if not np.isfinite(list(action.values())).all():
            raise DeviceError("not finite")
        self.position |= action
        self.sent.append(dict(action))
        return action

    def disconnect(self):
        if self.is_connected and self.config.log:
            with open(self.config.log, "a") as file:
                file.write("disconnected\n")
        self.is_connected = False


@attrs.frozen(kw_only=True)
class ToyLeaderConfig:
    """Holds all joints at a value, and ends each phase after some reads.

    Attributes:
        joints: number of joints.
        value: of every joint.
        reset_reads: reads in a reset phase until it says terminate_episode.
        success_reads: reads in an episode until it says success.
    """

    joints: int = 6
    value: float = 0.0
    reset_reads: int = 3
    success_reads: int = 12


class ToyLeader:
    name = "toy_leader"
    is_calibrated = True

    def __init__(self, config: ToyLeaderConfig) -> None:
        self.config = config
        self.is_connected = False
        self._actions = self._reads = 0

    @property
    def action_features(self):
        return {f"joint_{i}.pos": float for i in range(self.config.joints)}

    def connect(self, calibrate=True):
        self.is_connected = True

    def calibrate(self):
        self._reads = 0

    def configure(self):
        self._reads = 0

    def get_action(self):
        self._actions += 1
        self._reads = 0
        return dict.fromkeys(self.action_features, self.config.value)

    def get_events(self):
        if self._actions >= self.config.reset_reads:
            self._actions = 0
            return {"terminate_episode": True}
        if self._actions:
            return {}
        self._reads += 1
        return {"success": self._reads > self.config.success_reads}

    def send_feedback(self, feedback):
        self._reads = 0

    def disconnect(self):
        self.is_connected = False


@hookimpl
def lr_robots():
    return [Component("toy", f"{__name__}:ToyConfig", f"{__name__}:Toy", "Moves at once")]


@hookimpl
def lr_teleoperators():
    return [Component("toy_leader", f"{__name__}:ToyLeaderConfig", f"{__name__}:ToyLeader", "Holds a value")]
