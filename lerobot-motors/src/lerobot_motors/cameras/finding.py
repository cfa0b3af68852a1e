"""The cameras this machine has, and the options that choose each of them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from lerobot_motors.cameras import identity, realsense_sdk, v4l
from lerobot_motors.cameras.v4l import Mode

DEVICES = Path("/dev")
#: Indices that are tried where the system does not list its cameras.
INDICES = range(10)
#: What people record with: of the modes, the one nearest to it is proposed.
USUAL = (640, 480, 30.0)


@attrs.frozen(kw_only=True)
class Found:
    """A camera that is plugged in.

    Attributes:
        type: of the component that reads it.
        place: its device node, index or serial number.
        name: as its maker calls it.
        identities: its names that keep their meaning, best first.
        modes: what it gives; empty where that is not known.
        trouble: why it cannot be asked; empty where it can.
    """

    type: str
    place: str
    name: str = ""
    identities: list[str] = attrs.field(factory=list)
    modes: list[Mode] = attrs.field(factory=list)
    trouble: str = ""

    @property
    def options(self) -> dict[str, Any]:
        """What to give as a robot's camera; the size and rate are those usual for recording, where it has them."""
        if self.type == "intelrealsense":
            return {"type": self.type, "serial_number_or_name": self.place, "width": 640, "height": 480, "fps": 30}
        stable = next((name for name in self.identities if name.startswith("/")), None)
        place = stable or (int(self.place) if self.place.isdecimal() else self.place)
        options: dict[str, Any] = {"type": self.type, "index_or_path": place}
        if self.modes:
            best = min(self.modes, key=_from_usual)
            options |= {"width": best.width, "height": best.height, "fps": best.fps, "fourcc": best.fourcc}
        return options


def found() -> list[Found]:
    """Every camera, whether or not it can be read."""
    cameras = list(_nodes(DEVICES) if sys.platform == "linux" else _tried())
    if importlib.util.find_spec("pyrealsense2"):
        cameras += [
            Found(type="intelrealsense", place=device["serial"], name=device["name"])
            for device in realsense_sdk.listed()
        ]
    return cameras


def spelled(options: Mapping[str, Any]) -> str:
    """Options as they are typed: {type: opencv, index_or_path: 0}."""
    return (
        "{"
        + ", ".join(f"{key}: {f'{value:g}' if isinstance(value, float) else value}" for key, value in options.items())
        + "}"
    )


def _nodes(folder: Path) -> Iterator[Found]:
    """Cameras by the nodes of Linux; a node that gives no pictures, as that for metadata, is left out."""
    for node in sorted(folder.glob("video*"), key=lambda path: (len(path.name), path.name)):
        names = identity.names_of(node)
        try:
            name, modes = v4l.describe(node)
        except OSError as error:
            yield Found(type="opencv", place=str(node), identities=names, trouble=str(error))
            continue
        if modes:
            yield Found(type="opencv", place=str(node), name=name, identities=names, modes=modes)


def _tried() -> Iterator[Found]:
    """Cameras by trying to open them, where the system lists none."""
    if importlib.util.find_spec("cv2") is None:
        return
    import cv2  # optional

    for index in INDICES:
        capture = cv2.VideoCapture(index)
        if capture.isOpened():
            yield Found(type="opencv", place=str(index))
        capture.release()


def _from_usual(mode: Mode) -> tuple[float, ...]:
    """How far a mode is from what people record with; compressed ones spare the cable of a second camera."""
    width, height, fps = USUAL
    return (abs(mode.width - width) + abs(mode.height - height), abs(mode.fps - fps), mode.fourcc != "MJPG")
