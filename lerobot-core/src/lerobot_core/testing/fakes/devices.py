"""A toy camera and a toy bus: what toy arms are made of."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from lerobot_core.errors import DeviceError, DeviceTimeout, NotConnected, did_you_mean

JOINTS = ("shoulder", "elbow", "gripper")


def require(is_connected: bool, name: str) -> None:
    """Refuse to use a device that is not connected."""
    if not is_connected:
        raise NotConnected(f"'{name}' is not connected", device=name, hint="call connect() first")


@attrs.frozen(kw_only=True)
class ToyCameraConfig:
    """Pictures that count up.

    Attributes:
        fps: pictures per second [Hz].
        width: of a picture [pixels].
        height: of a picture [pixels].
    """

    fps: float = 60.0
    width: int = 64
    height: int = 48


class ToyCamera:
    """Picture n is due at n / fps after connecting: red is n, green grows down the rows and blue along the columns."""

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
        if self.is_connected:
            return
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
        picture = np.empty((self.height, self.width, 3), np.uint8)  # (H, W, 3)
        picture[..., 0] = number % 256
        picture[..., 1] = np.linspace(0, 255, self.height, dtype=np.uint8)[:, None]
        picture[..., 2] = np.linspace(0, 255, self.width, dtype=np.uint8)
        return picture

    def _newest(self) -> int:
        require(self.is_connected, self.name)
        return int((time.monotonic_ns() - self._began) * self.fps / 1e9)

    def _due(self, number: int) -> int:
        return self._began + round(number * 1e9 / self.fps)


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
        missing = [name for name in self.motors if name in self.unplugged]
        if handshake and missing:
            raise DeviceTimeout(f"no answer from '{', '.join(missing)}'", device=self.name, hint="check the cables")
        self._open = True

    def disconnect(self, disable_torque: bool = True) -> None:
        try:
            if self._open and disable_torque:
                self.disable_torque()
        finally:
            self._open = False

    def ping(self, motor: str | int) -> int | None:
        require(self._open, self.name)
        ids = {number: name for name, number in self.motors.items()}
        name = ids.get(motor) if isinstance(motor, int) else motor
        return 777 if name in self.motors and name not in self.unplugged else None

    def read(self, register: str, motor: str, *, normalize: bool = True) -> float:
        return self._of(motor, register)[register]

    def write(self, register: str, motor: str, value: float, *, normalize: bool = True) -> None:
        self._put(register, {motor: value})

    def sync_read(
        self, register: str, motors: Sequence[str] | None = None, *, normalize: bool = True
    ) -> dict[str, float]:
        return {name: self.read(register, name) for name in motors or self.motors}

    def sync_write(self, register: str, values: Mapping[str, float], *, normalize: bool = True) -> None:
        self._put(register, values)

    def enable_torque(self, motors: Sequence[str] | None = None) -> None:
        self.sync_write("Torque_Enable", dict.fromkeys(motors or self.motors, 1))

    def disable_torque(self, motors: Sequence[str] | None = None) -> None:
        asked = list(motors or self.motors)
        self.sync_write("Torque_Enable", dict.fromkeys([name for name in asked if name not in self.unplugged], 0))
        if lost := [name for name in asked if name in self.unplugged]:
            raise DeviceTimeout(f"no answer from '{', '.join(lost)}'", device=self.name, hint="it may be powered")

    def read_calibration(self) -> dict[str, Any]:
        return {name: {"homing_offset": self.read("Homing_Offset", name)} for name in self.motors}

    def write_calibration(self, calibration: Mapping[str, Any]) -> None:
        for name, values in calibration.items():
            self.write("Homing_Offset", name, values["homing_offset"])

    def _put(self, register: str, values: Mapping[str, float]) -> None:
        """Write after every name and value was looked at."""
        memories = {name: self._of(name, register) for name in values}
        for name, value in values.items():
            if not (math.isfinite(value) and abs(value) < 1 << 15):
                raise DeviceError(f"'{register}' of '{name}' cannot be {value}: it has 16 bits", device=self.name)
        for name, value in values.items():
            memories[name][register] = int(value)

    def _of(self, motor: str, register: str) -> dict[str, int]:
        require(self._open, self.name)
        for what, asked, known in (("motor", motor, self.motors), ("register", register, self.registers)):
            if asked not in known:
                near = did_you_mean(asked, known)
                raise DeviceError(f"no {what} '{asked}'{near} (known: {', '.join(known)})", device=self.name)
        if motor in self.unplugged:
            raise DeviceTimeout(f"no answer from '{motor}'", device=self.name, hint="check its cable")
        return self.memory[motor]
