"""A toy arm with a camera, and the leader that teaches it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, Literal

import attrs

from lerobot_core.errors import DeviceError, did_you_mean
from lerobot_core.testing.fakes.devices import JOINTS, ToyBus, ToyBusConfig, ToyCamera, ToyCameraConfig, require

#: of a servo in a degree
TICKS = 100


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
        self._at = dict.fromkeys(JOINTS, 0.0)
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
        try:
            for device in self.devices:
                device.connect()
            self._moved = time.monotonic_ns()
            self.configure()
        except (DeviceError, OSError):
            self.disconnect()
            raise

    def calibrate(self) -> None:
        """A toy comes calibrated."""

    def configure(self) -> None:
        self._move()
        self.bus.sync_write("Goal_Position", self.bus.sync_read("Present_Position"))
        self.bus.enable_torque()

    def get_observation(self) -> dict[str, Any]:
        require(self.bus.is_connected, self.name)
        self._move()
        places = self.bus.sync_read("Present_Position")
        observation: dict[str, Any] = {f"{joint}.pos": ticks / TICKS for joint, ticks in places.items()}
        stamps = dict.fromkeys(observation, self._moved)
        if self.camera is not None:
            observation["front"] = self.camera.async_read()
            stamps["front"] = self.camera.stamp
        return observation | {"stamps": stamps}

    def send_action(self, action: Mapping[str, float]) -> dict[str, float]:
        require(self.bus.is_connected, self.name)
        for key, value in action.items():
            if key not in self.action_features:
                raise DeviceError(f"no joint '{key}'{did_you_mean(key, self.action_features)}", device=self.name)
            if not math.isfinite(value):
                raise DeviceError(f"action '{key}' is {value}", device=self.name)
        self._move()
        limit = self.config.limit
        sent = {key: min(max(float(value), -limit), limit) for key, value in action.items()}
        self.bus.sync_write("Goal_Position", {key.removesuffix(".pos"): at * TICKS for key, at in sent.items()})
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
        """What the motors do meanwhile: those with torque go a share of the way to their goal."""
        now = time.monotonic_ns()
        share = 1 - math.exp(-(now - self._moved) / 1e9 / self.config.lag)
        for joint, memory in self.bus.memory.items():
            if memory["Torque_Enable"]:
                self._at[joint] += share * (memory["Goal_Position"] / TICKS - self._at[joint])
            memory["Present_Position"] = round(self._at[joint] * TICKS)
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
        require(self.is_connected, self.name)
        phase = (time.monotonic() - (self._began or 0.0)) / self.config.period
        angle = self.config.amplitude * math.sin(2 * math.pi * phase)
        return dict.fromkeys(self.action_features, angle)

    def get_events(self) -> dict[str, bool]:
        return {"is_intervention": False}

    def send_feedback(self, feedback: Mapping[str, Any]) -> None:
        """It feels nothing."""

    def disconnect(self) -> None:
        self._began = None
