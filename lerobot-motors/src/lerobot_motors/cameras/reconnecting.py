"""Cameras that were lost while a robot ran: which they are, and how they are opened again. Knows no loop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from lerobot_core.errors import DeviceError
from lerobot_core.roles import Camera
from lerobot_motors.cameras.rig import cameras_of
from lerobot_motors.cameras.stream import newest

#: Between two attempts, and between two looks at whether to give up [s].
_PAUSE, _LOOK = 0.5, 0.05

logger = logging.getLogger(__name__)


def lost(robot: Any, error: DeviceError) -> dict[str, Camera]:
    """The cameras of a robot, by name, that an error is of or that give no picture now; empty when it was something else."""
    return {
        name: camera
        for name, camera in cameras_of(robot).items()
        if (error.device and error.device == getattr(camera, "name", None)) or _refuses(camera)
    }


def reconnect(cameras: Mapping[str, Camera], seconds: float, stop: Callable[[], bool]) -> bool:
    """Open cameras again, each as often as it takes, for at most `seconds` or until `stop()`; whether all are back."""
    deadline = time.monotonic() + seconds
    for name, camera in cameras.items():
        while not stop():
            try:
                camera.disconnect()
                camera.connect()
                break
            except DeviceError as problem:
                logger.info("'%s' is not back: %s", name, problem)
            again = time.monotonic() + _PAUSE
            if again > deadline:
                return False
            while time.monotonic() < again and not stop():
                time.sleep(_LOOK)
        else:
            return False
    return True


def _refuses(camera: Camera) -> bool:
    try:
        newest(camera)
    except DeviceError:
        return True
    return False
