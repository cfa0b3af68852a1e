"""The cameras of one robot: their names in messages, their features, and one look through all of them.

A camera that also sees depth gives a second feature, NAME_depth (H, W, 1) uint16 [mm].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lerobot_core.errors import ConfigError
from lerobot_core.registry import Choice
from lerobot_core.roles import Camera
from lerobot_motors.cameras.stream import newest
from lerobot_motors.sides import joined

DEPTH = "_depth"


def build(choices: Mapping[str, Choice[Camera]]) -> dict[str, Camera]:
    """The cameras by name; messages of those that have a `name` begin with the robot's.

    Raises:
        ConfigError: one does not say its size and rate, which the robot's features are made of.
    """
    cameras = {name: choice.build() for name, choice in choices.items()}
    for name, camera in cameras.items():
        if not (camera.width and camera.height and camera.fps):
            raise ConfigError(f"camera '{name}' of a robot needs width, height and fps", hint="give all three")
        if (own := getattr(camera, "name", None)) is not None:
            camera.name = f"{name} ({own})"  # type: ignore[attr-defined]
    return cameras


def features(cameras: Mapping[str, Camera]) -> dict[str, tuple[int, int, int]]:
    """Observation features of what the cameras see."""
    out = {}
    for name, camera in cameras.items():
        if getattr(camera, "use_rgb", True):
            out[name] = (camera.height, camera.width, 3)
        if getattr(camera, "use_depth", False):
            out[name + DEPTH] = (camera.height, camera.width, 1)
    return out


def look(cameras: Mapping[str, Camera]) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """The newest picture of each camera, and when it was taken, monotonic [ns]; waits for none of them.

    Raises:
        DeviceError: the newest picture of a camera is too old, or the camera is gone or frozen; it is named.
    """
    pictures, stamps = {}, {}
    for name, camera in cameras.items():
        depth: Any = None
        if getattr(camera, "use_depth", False):
            picture, depth = camera.read_both()  # type: ignore[attr-defined]  # of one moment
        else:
            picture = newest(camera)
        for key, given in ((name, picture), (name + DEPTH, depth)):
            if given is not None:
                pictures[key], stamps[key] = given, camera.stamp
    return pictures, stamps


def cameras_of(robot: Any) -> dict[str, Camera]:
    """The cameras of a robot by the names of its features, those of its two sides with it; empty where they are elsewhere."""
    cameras = getattr(robot, "cameras", None)
    found: dict[str, Camera] = dict(cameras) if isinstance(cameras, Mapping) else {}
    if hasattr(robot, "left") and hasattr(robot, "right"):
        found |= joined(cameras_of(robot.left), cameras_of(robot.right))
    return found
