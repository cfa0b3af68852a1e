"""The cameras on a robot: what they add to its features and observations, and how all its parts are closed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from lerobot_core.errors import ConfigError
from lerobot_core.registry import Choice
from lerobot_core.roles import Camera
from lerobot_motors.cameras.stream import newest


def build(choices: Mapping[str, Choice[Camera]]) -> dict[str, Camera]:
    """The cameras by name.

    Raises:
        ConfigError: one does not say how large its pictures are.
    """
    cameras = {name: choice.build() for name, choice in choices.items()}
    for name, camera in cameras.items():
        if not (camera.width and camera.height and camera.fps):
            raise ConfigError(f"camera '{name}' of a robot needs width, height and fps", hint="give all three")
    return cameras


def features(cameras: Mapping[str, Camera]) -> dict[str, tuple[int, int, int]]:
    """Name of the picture → (H, W, 3)."""
    return {name: (camera.height, camera.width, 3) for name, camera in cameras.items()}


def look(cameras: Mapping[str, Camera]) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """The newest pictures (H, W, 3) uint8, and when each was taken, monotonic [ns].

    Raises:
        NotConnected, DeviceTimeout: a camera gave none in time; it is named.
    """
    pictures, stamps = {}, {}
    for name, camera in cameras.items():
        pictures[name] = newest(camera)
        stamps[name] = camera.stamp
    return pictures, stamps


def close(closers: Iterable[Callable[[], Any]]) -> None:
    """Call every one, whatever happens; the first error is raised with the others as notes."""
    errors: list[Exception] = []
    for closer in closers:
        try:
            closer()
        except Exception as error:
            errors.append(error)
    if errors:
        for other in errors[1:]:
            errors[0].add_note(str(other))
        raise errors[0]
