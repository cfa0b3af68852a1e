from dataclasses import dataclass, field
from enum import Enum

from lerobot.cameras import CameraConfig
from lerobot.robots import RobotConfig


class Friction(Enum):
    NONE = "none"
    SOME = "some"


@dataclass
class Rod:
    length_m: float = 0.5
    friction: Friction = Friction.SOME


@CameraConfig.register_subclass("drawn")
@dataclass
class DrawnCameraConfig(CameraConfig):
    brightness: int = 255


@RobotConfig.register_subclass("pendulum")
@dataclass
class PendulumConfig(RobotConfig):
    port: str
    max_angle: float = 60.0
    silent: bool = False
    rod: Rod = field(default_factory=Rod)
    cameras: dict[str, CameraConfig] = field(default_factory=dict)

    def __post_init__(self):
        if self.max_angle <= 0:
            raise ValueError(f"max_angle must be positive, got {self.max_angle}")
