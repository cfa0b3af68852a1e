from .config_pendulum import DrawnCameraConfig, PendulumConfig
from .pendulum import Pendulum

__all__ = ["DrawnCameraConfig", "Pendulum", "PendulumConfig"]
