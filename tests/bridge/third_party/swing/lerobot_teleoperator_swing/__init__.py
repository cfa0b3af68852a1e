from dataclasses import dataclass

from lerobot.teleoperators import Teleoperator, TeleoperatorConfig
from lerobot.utils.errors import DeviceNotConnectedError


@TeleoperatorConfig.register_subclass("swing")
@dataclass
class SwingConfig(TeleoperatorConfig):
    step: float = 1.0


class Swing(Teleoperator):
    config_class = SwingConfig
    name = "swing"

    def __init__(self, config: SwingConfig):
        super().__init__(config)
        self.config = config
        self._connected = False
        self._angle = 0.0

    @property
    def action_features(self) -> dict[str, type]:
        return {"pivot.pos": float}

    @property
    def feedback_features(self) -> dict[str, type]:
        return {}

    @property
    def is_connected(self) -> bool:
        return self._connected

    def connect(self, calibrate: bool = True) -> None:
        self._connected = True

    @property
    def is_calibrated(self) -> bool:
        return True

    def calibrate(self) -> None:
        pass

    def configure(self) -> None:
        pass

    def get_action(self) -> dict[str, float]:
        if not self._connected:
            raise DeviceNotConnectedError(f"{self} is not connected.")
        self._angle += self.config.step
        return {"pivot.pos": self._angle}

    def send_feedback(self, feedback: dict[str, float]) -> None:
        pass

    def disconnect(self) -> None:
        self._connected = False
