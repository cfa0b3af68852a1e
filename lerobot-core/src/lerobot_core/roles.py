"""The roles a plugin can fill, as Protocols. Nothing here is inherited from: whatever has the methods has the role.

Arrays are numpy everywhere but in `Policy.forward` and what `DatasetReader.torch` returns. Units are in brackets; axis
letters: B batch, T steps in a chunk, A action size, C H W.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import attrs
import numpy as np

from lerobot_core.features import Feature, PolicyFeature

#: A flat dict of scalars and pictures, in robot names and units.
Observation = Mapping[str, Any]
Action = Mapping[str, float]


@runtime_checkable
class Robot(Protocol):
    """A body: observations out, actions in. Features are known before `connect`."""

    name: str

    @property
    def observation_features(self) -> Mapping[str, Any]:
        """Robot name → `float`, (H, W, 3), (H, W, 1) or a Feature."""
        ...

    @property
    def action_features(self) -> Mapping[str, Any]:
        """Robot name → `float`."""
        ...

    @property
    def is_connected(self) -> bool: ...

    def connect(self, calibrate: bool = True) -> None:
        """Open every device and write the settings it needs; one that is `Calibrated` is calibrated when it is not yet
        and `calibrate` is set."""
        ...

    def get_observation(self) -> Observation:
        """One value per feature; may carry `stamps`: key → when measured, monotonic [ns], also for one kept from a lost read."""
        ...

    def send_action(self, action: Action) -> Action:
        """Move towards the action; returns what was sent after limits. NaN and infinity are refused."""
        ...

    def disconnect(self) -> None:
        """Idempotent; tries every device; leaves the robot in its declared `on_stop`. `park` (optional) is an action it is
        sent to before, whatever ended the run."""
        ...


@runtime_checkable
class Teleoperator(Protocol):
    """What a person holds. `get_events` (optional) gives success, failure, rerecord_episode, is_intervention, terminate_episode;
    `stamp` (optional) is when the last action was made, monotonic [ns], so that an old one is not gone by."""

    name: str

    @property
    def action_features(self) -> Mapping[str, Any]: ...

    @property
    def is_connected(self) -> bool: ...

    def connect(self, calibrate: bool = True) -> None: ...

    def get_action(self) -> Action: ...

    def send_feedback(self, feedback: Mapping[str, Any]) -> None: ...

    def disconnect(self) -> None: ...


@runtime_checkable
class Calibrated(Protocol):
    """What a robot or teleoperator has on top when its zero and ranges must be found once, with a person's help."""

    @property
    def is_calibrated(self) -> bool: ...

    def calibrate(self) -> None: ...


@runtime_checkable
class MotorBus(Protocol):
    """Servos on one wire, addressed by name and register name. Values are ticks unless normalised by the calibration."""

    motors: Mapping[str, Any]

    @property
    def is_connected(self) -> bool: ...

    def connect(self, handshake: bool = True) -> None: ...

    def disconnect(self, disable_torque: bool = True) -> None: ...

    def ping(self, motor: str | int) -> int | None:
        """Model number of the servo, or None if it does not answer."""
        ...

    def read(self, register: str, motor: str, *, normalize: bool = True) -> float: ...

    def write(self, register: str, motor: str, value: float, *, normalize: bool = True) -> None: ...

    def sync_read(
        self, register: str, motors: Sequence[str] | None = None, *, normalize: bool = True
    ) -> dict[str, float]: ...

    def sync_write(self, register: str, values: Mapping[str, float], *, normalize: bool = True) -> None: ...

    def enable_torque(self, motors: Sequence[str] | None = None) -> None: ...

    def disable_torque(self, motors: Sequence[str] | None = None) -> None: ...

    def read_calibration(self) -> dict[str, Any]: ...

    def write_calibration(self, calibration: Mapping[str, Any]) -> None: ...


@runtime_checkable
class Camera(Protocol):
    """Pictures (H, W, C) uint8. `stamp` is when the last picture returned was taken, monotonic [ns]."""

    fps: float
    width: int
    height: int
    stamp: int

    @property
    def is_connected(self) -> bool: ...

    def connect(self) -> None: ...

    def read(self) -> np.ndarray:
        """The next picture; waits for it."""
        ...

    def async_read(self, timeout_ms: float = 200) -> np.ndarray:
        """The newest picture not returned before; waits at most `timeout_ms`.

        Raises:
            DeviceTimeout: none came.
        """
        ...

    def disconnect(self) -> None: ...


@attrs.frozen(kw_only=True)
class ActionChunk:
    """Actions for consecutive control steps, made from the observation of one control step.

    Attributes:
        actions: (T, A) float32, robot units, in the order of the policy's action names.
        step: control step of the first action.
        observed: control step of the observation it was made from.
    """

    actions: np.ndarray
    step: int
    observed: int


@runtime_checkable
class Policy(Protocol):
    """A model with its pre- and post-processor. The module holds no state of a run: that lives in sessions."""

    config: Any
    input_features: Mapping[str, PolicyFeature]
    output_features: Mapping[str, PolicyFeature]
    #: names of the action's elements, or None when the checkpoint does not say
    action_names: Sequence[str] | None

    def session(self, seed: int = 0) -> Any:
        """State of one client: observation window, queue, caches, generator. Has `reset()` and `task`."""
        ...

    def infer(
        self, sessions: Sequence[Any], observations: Sequence[Observation], executed_steps: Sequence[int]
    ) -> list[ActionChunk]:
        """One chunk per session. Observations are in dataset names, numpy: vectors float32, pictures uint8 (H, W, C)."""
        ...

    def forward(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, float]]:
        """Loss and its parts for a training batch of torch tensors that went through the pre-processor."""
        ...

    def save_pretrained(self, directory: str | Path) -> None: ...


@runtime_checkable
class ProcessorStep(Protocol):
    """One step on a numpy dict in the control loop: kinematics, deltas, gripper mapping, bounds."""

    def features(self, features: Mapping[str, Any]) -> Mapping[str, Any]:
        """Features after the step, from those before it; a KeyError says that one it needs is missing."""
        ...

    def __call__(self, values: Mapping[str, Any]) -> Mapping[str, Any]: ...

    def reset(self) -> None: ...


@runtime_checkable
class ObservingStep(ProcessorStep, Protocol):
    """A step on actions that must also know where the robot is, as kinematics and deltas."""

    def observe(self, observation: Observation) -> None:
        """What the robot itself observed in this turn; comes before the step is called."""
        ...


@runtime_checkable
class DatasetWriter(Protocol):
    """Adds frames to the running episode of one dataset."""

    features: Mapping[str, Feature]
    num_episodes: int

    def add(self, frame: Mapping[str, Any], *, task: str, stamps: Mapping[str, int] | None = None) -> None:
        """One frame in dataset names. Never blocks on encoding; frames dropped by a full queue are counted."""
        ...

    def save_episode(self) -> int:
        """Commit the running episode; returns its index."""
        ...

    def discard(self) -> None:
        """Forget the running episode."""
        ...

    def finalize(self) -> None:
        """Close the dataset; idempotent. The running episode is discarded."""
        ...


@runtime_checkable
class UndoingWriter(DatasetWriter, Protocol):
    """A writer that can also take back what it committed last, so that an episode may be committed before it is judged."""

    def undo(self) -> int:
        """Take back the episode this writer committed last, once and without a trace; returns the index it had."""
        ...


@runtime_checkable
class DatasetReader(Protocol):
    """A dataset opened for reading."""

    features: Mapping[str, Feature]
    stats: Mapping[str, Mapping[str, np.ndarray]] | None
    fps: int
    episodes: Sequence[Any]
    num_frames: int
    num_episodes: int

    def columns(self, episode: int) -> dict[str, np.ndarray]:
        """Every stored column of one episode but the videos, each (length, …)."""
        ...

    def frames(self, episode: int, camera: str) -> Iterable[np.ndarray]:
        """The pictures (H, W, C) uint8 of one camera in one episode, in order."""
        ...

    def torch(self, delta_timestamps: Mapping[str, Sequence[float]] | None = None, transforms: Any = None) -> Any:
        """A torch dataset with `collate` and the order: `sampler(seed, shuffle, drop_first, drop_last, rank, world)`."""
        ...


@runtime_checkable
class DatasetBackend(Protocol):
    """A storage format: makes writers and readers."""

    def create(
        self, features: Mapping[str, Feature], fps: int, *, robot_type: str | None = None, resume: bool = False
    ) -> DatasetWriter: ...

    def open(self, episodes: Sequence[int] | None = None) -> DatasetReader: ...


@runtime_checkable
class Aggregator(Protocol):
    """Merges what two chunks say about the same steps. Takes and returns (T, A) float32; inputs stay untouched."""

    def __call__(self, old: np.ndarray, new: np.ndarray) -> np.ndarray: ...


@runtime_checkable
class Env(Protocol):
    """A simulated task with the gymnasium signatures; observations and actions are flat dicts in robot names."""

    fps: float

    @property
    def observation_features(self) -> Mapping[str, Any]: ...

    @property
    def action_features(self) -> Mapping[str, Any]: ...

    def reset(self, *, seed: int | None = None) -> tuple[Observation, dict[str, Any]]: ...

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]: ...

    def close(self) -> None: ...


@runtime_checkable
class Tracker(Protocol):
    """Where the numbers of a run go over time."""

    def log(self, values: Mapping[str, float], *, step: int) -> None: ...

    def close(self) -> None: ...


@runtime_checkable
class Source(Protocol):
    """What gives the loop its actions: a teleoperator, a policy client, a recorded episode."""

    def act(self, observation: Observation) -> tuple[Action | None, Mapping[str, Any]]:
        """(action, info) for an observation; None when there is nothing to send in this tick."""
        ...


@runtime_checkable
class Sink(Protocol):
    """What takes the loop's ticks: a dataset writer, a viewer."""

    def add(self, tick: Any) -> None: ...

    def add_sample(self, key: str, value: Any, stamp: int) -> None:
        """A sample of a sensor faster than the loop; `stamp` is monotonic [ns]."""
        ...
