"""Toys that are real components: an arm and its leader, a camera, a bus and a policy, without hardware and without torch.

The plugin beside this file (`lerobot_core/testing/plugin.py`) offers them by name, e.g.
`lr teleoperate --plugin=…/plugin.py --robot.type=toy_arm --teleop.type=toy_leader`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import numpy as np

from lerobot_core.errors import DeviceError, DeviceTimeout, NotConnected, did_you_mean
from lerobot_core.features import PolicyFeature
from lerobot_core.roles import ActionChunk

JOINTS = ("shoulder", "elbow", "gripper")


def _require(is_connected: bool, name: str) -> None:
    if not is_connected:
        raise NotConnected(f"'{name}' is not connected", device=name, hint="call connect() first")


# --- camera -----------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class ToyCameraConfig:
    """Pictures of one grey that counts up.

    Attributes:
        fps: pictures per second [Hz].
        width: of a picture [pixels].
        height: of a picture [pixels].
    """

    fps: float = 60.0
    width: int = 64
    height: int = 48


class ToyCamera:
    """A camera whose picture n is grey n, due at n / fps after it was connected."""

    name = "toy_camera"

    def __init__(self, config: ToyCameraConfig) -> None:
        self.config = config
        self.fps, self.width, self.height = config.fps, config.width, config.height
        self.stamp = 0
        self._began = 0
        self._last = 0

    @property
    def is_connected(self) -> bool:
        return self._began > 0

    def connect(self) -> None:
        self._began, self._last = time.monotonic_ns(), 0

    def disconnect(self) -> None:
        self._began = 0

    def read(self) -> np.ndarray:
        return self._take(self._newest() + 1)

    def async_read(self, timeout_ms: float = 200) -> np.ndarray:
        number = max(self._newest(), self._last + 1)
        if self._due(number) - time.monotonic_ns() > timeout_ms * 1e6:
            raise DeviceTimeout(f"no new picture within {timeout_ms:g} ms", device=self.name)
        return self._take(number)

    def _take(self, number: int) -> np.ndarray:
        time.sleep(max(0, self._due(number) - time.monotonic_ns()) / 1e9)
        self._last, self.stamp = number, self._due(number)
        return np.full((self.height, self.width, 3), number % 256, np.uint8)

    def _newest(self) -> int:
        _require(self.is_connected, self.name)
        return int((time.monotonic_ns() - self._began) * self.fps / 1e9)

    def _due(self, number: int) -> int:
        return self._began + round(number * 1e9 / self.fps)


# --- bus --------------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class ToyBusConfig:
    """Servos that are a table of numbers.

    Attributes:
        motors: ids by name.
    """

    motors: dict[str, int] = attrs.field(factory=lambda: {name: index for index, name in enumerate(JOINTS, 1)})


class ToyBus:
    """A motor bus whose registers outlive a disconnection, as those of servos do. `unplugged` servos do not answer."""

    registers = ("Goal_Position", "Present_Position", "Homing_Offset", "Torque_Enable")
    name = "toy_bus"

    def __init__(self, config: ToyBusConfig) -> None:
        self.motors = dict(config.motors)
        self.unplugged: set[str] = set()
        self.memory = {name: dict.fromkeys(self.registers, 0) for name in self.motors}
        self._open = False

    @property
    def is_connected(self) -> bool:
        return self._open

    def connect(self, handshake: bool = True) -> None:
        self._open = True

    def disconnect(self, disable_torque: bool = True) -> None:
        if self._open and disable_torque:
            self.disable_torque()
        self._open = False

    def ping(self, motor: str | int) -> int | None:
        _require(self._open, self.name)
        ids = {number: name for name, number in self.motors.items()}
        name = ids.get(motor) if isinstance(motor, int) else motor
        return 777 if name in self.motors and name not in self.unplugged else None

    def read(self, register: str, motor: str, *, normalize: bool = True) -> float:
        return self._of(motor, register)[register]

    def write(self, register: str, motor: str, value: float, *, normalize: bool = True) -> None:
        self._of(motor, register)[register] = int(value)

    def sync_read(
        self, register: str, motors: Sequence[str] | None = None, *, normalize: bool = True
    ) -> dict[str, float]:
        return {name: self.read(register, name) for name in motors or self.motors}

    def sync_write(self, register: str, values: Mapping[str, float], *, normalize: bool = True) -> None:
        for name, value in values.items():
            self.write(register, name, value)

    def enable_torque(self, motors: Sequence[str] | None = None) -> None:
        self.sync_write("Torque_Enable", dict.fromkeys(motors or self.motors, 1))

    def disable_torque(self, motors: Sequence[str] | None = None) -> None:
        self.sync_write("Torque_Enable", dict.fromkeys(motors or self.motors, 0))

    def read_calibration(self) -> dict[str, Any]:
        return {name: {"homing_offset": self.read("Homing_Offset", name)} for name in self.motors}

    def write_calibration(self, calibration: Mapping[str, Any]) -> None:
        for name, values in calibration.items():
            self.write("Homing_Offset", name, values["homing_offset"])

    def _of(self, motor: str, register: str) -> dict[str, int]:
        _require(self._open, self.name)
        for what, asked, known in (("motor", motor, self.motors), ("register", register, self.registers)):
            if asked not in known:
                near = did_you_mean(asked, known)
                raise DeviceError(f"no {what} '{asked}'{near} (known: {', '.join(known)})", device=self.name)
        if motor in self.unplugged:
            raise DeviceTimeout(f"no answer from '{motor}'", device=self.name, hint="check its cable")
        return self.memory[motor]


# --- arm and leader ---------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class ToyArmConfig:
    """A toy arm of three joints with a camera.

    Attributes:
        camera: it has a camera, `front`.
        limit: joints go from -limit to limit [deg].
        lag: time constant of a joint [s].
        on_stop: what disconnecting leaves behind: motors released, or holding.
    """

    camera: bool = True
    limit: float = 90.0
    lag: float = 0.05
    on_stop: Literal["release", "hold"] = "release"


class ToyArm:
    """Each joint goes to its goal with a lag; goals are kept within the limit."""

    name = "toy_arm"

    def __init__(self, config: ToyArmConfig) -> None:
        self.config = config
        self.bus = ToyBus(ToyBusConfig())
        self.camera = ToyCamera(ToyCameraConfig()) if config.camera else None
        self._at = dict.fromkeys(self.action_features, 0.0)
        self._goal = dict(self._at)
        self._moved = 0

    @property
    def observation_features(self) -> dict[str, Any]:
        camera = ToyCameraConfig()
        return self.action_features | ({"front": (camera.height, camera.width, 3)} if self.config.camera else {})

    @property
    def action_features(self) -> dict[str, Any]:
        return {f"{joint}.pos": float for joint in JOINTS}

    @property
    def devices(self) -> list[Any]:
        return [self.bus, *([self.camera] if self.camera else [])]

    @property
    def is_connected(self) -> bool:
        return any(device.is_connected for device in self.devices)

    @property
    def is_calibrated(self) -> bool:
        return True

    def connect(self, calibrate: bool = True) -> None:
        if self.is_connected:
            return
        for device in self.devices:
            device.connect()
        self._goal, self._moved = dict(self._at), time.monotonic_ns()
        self.configure()

    def calibrate(self) -> None:
        """A toy comes calibrated."""

    def configure(self) -> None:
        self.bus.enable_torque()

    def get_observation(self) -> dict[str, Any]:
        _require(self.bus.is_connected, self.name)
        self._move()
        observation: dict[str, Any] = dict(self._at)
        stamps = dict.fromkeys(observation, self._moved)
        if self.camera is not None:
            observation["front"] = self.camera.async_read()
            stamps["front"] = self.camera.stamp
        return observation | {"stamps": stamps}

    def send_action(self, action: Mapping[str, float]) -> dict[str, float]:
        _require(self.bus.is_connected, self.name)
        for key, value in action.items():
            if key not in self._goal:
                raise DeviceError(f"no joint '{key}'{did_you_mean(key, self._goal)}", device=self.name)
            if not math.isfinite(value):
                raise DeviceError(f"action '{key}' is {value}", device=self.name)
        self._move()
        limit = self.config.limit
        sent = {key: min(max(float(value), -limit), limit) for key, value in action.items()}
        self._goal |= sent
        return sent

    def disconnect(self) -> None:
        first: Exception | None = None
        for device in self.devices:
            try:
                device.disconnect(self.config.on_stop == "release") if device is self.bus else device.disconnect()
            except (DeviceError, OSError) as error:
                first = first or error
        if first is not None:
            raise first

    def _move(self) -> None:
        now = time.monotonic_ns()
        share = 1 - math.exp(-(now - self._moved) / 1e9 / self.config.lag)
        self._at = {key: at + share * (self._goal[key] - at) for key, at in self._at.items()}
        self._moved = now


@attrs.frozen(kw_only=True)
class ToyLeaderConfig:
    """A leader that moves by itself.

    Attributes:
        amplitude: of its sine [deg].
        period: of its sine [s].
    """

    amplitude: float = 30.0
    period: float = 4.0


class ToyLeader:
    """Every joint follows a sine of the time since it was connected."""

    name = "toy_leader"

    def __init__(self, config: ToyLeaderConfig) -> None:
        self.config = config
        self._began: float | None = None

    @property
    def action_features(self) -> dict[str, Any]:
        return {f"{joint}.pos": float for joint in JOINTS}

    @property
    def is_connected(self) -> bool:
        return self._began is not None

    @property
    def is_calibrated(self) -> bool:
        return True

    def connect(self, calibrate: bool = True) -> None:
        self._began = time.monotonic()

    def calibrate(self) -> None:
        """A toy comes calibrated."""

    def configure(self) -> None:
        """Nothing to set."""

    def get_action(self) -> dict[str, float]:
        _require(self.is_connected, self.name)
        phase = (time.monotonic() - (self._began or 0.0)) / self.config.period
        angle = self.config.amplitude * math.sin(2 * math.pi * phase)
        return dict.fromkeys(self.action_features, angle)

    def get_events(self) -> dict[str, bool]:
        return {"is_intervention": False}

    def send_feedback(self, feedback: Mapping[str, Any]) -> None:
        """It feels nothing."""

    def disconnect(self) -> None:
        self._began = None


# --- policy -----------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class TinyConfig:
    """A linear policy in numpy.

    Attributes:
        state_size: elements of the state.
        action_size: elements of an action.
        chunk_size: actions per inference.
        noise: spread of what is added to each action.
    """

    state_size: int = 3
    action_size: int = 3
    chunk_size: int = 8
    noise: float = 0.01


class TinySession:
    """Generator, task and last state of one client."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)
        self.task = ""
        self.last: np.ndarray | None = None

    def reset(self) -> None:
        self.last = None


class TinyPolicy:
    """actions = state and its change times a matrix, plus noise from the session's generator."""

    FILE = "tiny.json"

    def __init__(self, config: TinyConfig) -> None:
        self.config = config
        self.input_features = {"observation.state": PolicyFeature(type="STATE", shape=(config.state_size,))}
        self.output_features = {"action": PolicyFeature(type="ACTION", shape=(config.action_size,))}
        self.action_names: Sequence[str] | None = None
        shape = (2 * config.state_size, config.chunk_size * config.action_size)
        self.weight = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    def session(self, seed: int = 0) -> TinySession:
        return TinySession(seed)

    def infer(
        self, sessions: Sequence[TinySession], observations: Sequence[Mapping[str, Any]], executed_steps: Sequence[int]
    ) -> list[ActionChunk]:
        chunks = []
        for session, observation, step in zip(sessions, observations, executed_steps, strict=True):
            state = np.array(observation["observation.state"], np.float32)
            change = np.zeros_like(state) if session.last is None else state - session.last
            session.last = state
            actions = np.concatenate([state, change]) @ self.weight  # (T A)
            actions = actions + self.config.noise * session.generator.normal(size=actions.shape)
            actions = actions.reshape(self.config.chunk_size, self.config.action_size).astype(np.float32)  # (T, A)
            chunks.append(ActionChunk(actions=actions, step=step, observed=step))
        return chunks

    def forward(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, float]]:
        """Squared error of the chunk; without a gradient, as numpy has none."""
        state = np.asarray(batch["observation.state"], np.float32)  # (B, S)
        seen = np.concatenate([state, np.zeros_like(state)], axis=1)  # (B, 2 S)
        error = (seen @ self.weight).reshape(np.shape(batch["action"])) - np.asarray(batch["action"])  # (B, T, A)
        loss = float(np.mean(error**2))
        return loss, {"mse": loss}

    def save_pretrained(self, directory: str | Path) -> None:
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        data = {"type": "tiny", **attrs.asdict(self.config)}
        (folder / "config.json").write_text(json.dumps(data))
        (folder / self.FILE).write_text(json.dumps(self.weight.tolist()))

    @classmethod
    def from_pretrained(cls, path: str | Path, config: TinyConfig | None = None) -> TinyPolicy:
        if config is None:
            data = json.loads(Path(path, "config.json").read_text())
            config = TinyConfig(**{key: value for key, value in data.items() if key != "type"})
        policy = cls(config)
        policy.weight = np.array(json.loads(Path(path, cls.FILE).read_text()), np.float32)
        return policy
