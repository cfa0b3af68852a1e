"""Options of the cameras. Plain data: naming a camera opens nothing."""

from __future__ import annotations

from typing import Literal

import attrs


@attrs.frozen(kw_only=True)
class OpencvConfig:
    """A camera, video file or stream that OpenCV can open.

    Attributes:
        index_or_path: index (0), device path, video file or URL; /dev/v4l/by-id/… keeps its meaning when cables are moved.
        fps: rate [Hz] asked of the device, refused if it gives another; empty takes what it gives.
        width: width of the picture after rotation [px]; empty takes what the device gives.
        height: height of the picture after rotation [px]; empty takes what the device gives.
        color_mode: order of the channels.
        rotation: clockwise turn of the picture [deg].
        warmup_s: time the device gets to settle after opening; its pictures are thrown away [s].
        fourcc: pixel format asked of the device, as MJPG; a refusal is only logged.
        backend: number of OpenCV's capture backend; 0 lets it choose, 200 is V4L2.
        freeze_s: time after which a live source that repeats one picture bit by bit is an error [s]; 0 never asks.
    """

    index_or_path: int | str
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    color_mode: Literal["rgb", "bgr"] = "rgb"
    rotation: Literal[0, 90, 180, -90] = 0
    warmup_s: float = 1.0
    fourcc: str | None = None
    backend: int = 0
    freeze_s: float = 5.0

    def __attrs_post_init__(self) -> None:
        if (self.width is None) != (self.height is None):
            raise ValueError("width and height are given together or not at all")
        if self.fourcc is not None and len(self.fourcc) != 4:
            raise ValueError(f"fourcc has 4 characters, as MJPG, got '{self.fourcc}'")
        if self.fps is not None and self.fps <= 0:
            raise ValueError(f"fps is above 0, got {self.fps}")


@attrs.frozen(kw_only=True)
class PatternConfig:
    """A camera without hardware: every picture shows its own number.

    Attributes:
        fps: pictures per second [Hz].
        width: width of the picture [px]; at least 64.
        height: height of the picture [px]; at least 16.
        start: number of the first picture.
    """

    fps: float = 30.0
    width: int = 640
    height: int = 480
    start: int = 0

    def __attrs_post_init__(self) -> None:
        if self.fps <= 0:
            raise ValueError(f"fps is above 0, got {self.fps}")
        if self.width < 64 or self.height < 16:
            raise ValueError(f"the number needs 64 x 16 pixels or more, got {self.width} x {self.height}")


@attrs.frozen(kw_only=True)
class EmulatedConfig:
    """A camera without hardware that looks at an emulated arm and the demo's goal.

    Attributes:
        name: of the emulated arm, as in the port emulated://so101?name=NAME.
        view: where the camera stands: before the board, or to the side with the whole arm in the picture.
        width: width of the picture [px].
        height: height of the picture [px].
        fps: pictures per second [Hz].
        seed: of the grain of the table.
    """

    name: str
    view: Literal["front", "side"] = "front"
    width: int = 640
    height: int = 480
    fps: float = 30.0
    seed: int = 0

    def __attrs_post_init__(self) -> None:
        if self.fps <= 0 or self.width < 1 or self.height < 1:
            raise ValueError(f"fps, width and height are above 0, got {self.fps}, {self.width}, {self.height}")
