from typing import Any

import numpy as np
from lerobot.robots import Robot
from lerobot.utils.errors import DeviceAlreadyConnectedError, DeviceNotConnectedError

from .config_pendulum import PendulumConfig


class Pendulum(Robot):
    config_class = PendulumConfig
    name = "pendulum"

    def __init__(self, config: PendulumConfig):
        super().__init__(config)
        self.config = config
        self._connected = False
        self._angle = 0.0

    @property
    def _cameras_ft(self) -> dict[str, tuple]:
        return {name: (camera.height, camera.width, 3) for name, camera in self.config.cameras.items()}

    @property
    def observation_features(self) -> dict[str, type | tuple]:
        return {"pivot.pos": float, **self._cameras_ft}

    @property
    def action_features(self) -> dict[str, type]:
        return {"pivot.pos": float}

    @property
    def is_connected(self) -> bool:
        return self._connected

    def connect(self, calibrate: bool = True) -> None:
        if self._connected:
            raise DeviceAlreadyConnectedError(f"{self} already connected")
        if not self.config.port.startswith("/dev/"):
            raise FileNotFoundError(f"no port {self.config.port}")
        self._connected = True

    @property
    def is_calibrated(self) -> bool:
        return True

    def calibrate(self) -> None:
        pass

    def configure(self) -> None:
        pass

    def get_observation(self) -> dict[str, Any]:
        if not self._connected:
            raise DeviceNotConnectedError(f"{self} is not connected.")
        if self.config.silent:
            raise TimeoutError("no answer from the encoder")
        pictures = {
            name: np.full(self._cameras_ft[name], camera.brightness, np.uint8)
            for name, camera in self.config.cameras.items()
        }
        return {"pivot.pos": self._angle, **pictures}

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        if not self._connected:
            raise DeviceNotConnectedError(f"{self} is not connected.")
        self._angle = float(np.clip(action["pivot.pos"], -self.config.max_angle, self.config.max_angle))
        return {"pivot.pos": self._angle}

    def disconnect(self) -> None:
        if not self._connected:
            raise DeviceNotConnectedError(f"{self} is not connected.")
        self._connected = False
