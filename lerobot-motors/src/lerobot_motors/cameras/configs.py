"""Options of the cameras. Plain data: naming a camera opens nothing."""

from __future__ import annotations

from typing import Literal, Protocol

import attrs


class _Live(Protocol):
    fps: float | None
    width: int | None
    height: int | None
    max_age_s: float | None
    freeze_frames: int


def _check(config: _Live) -> None:
    """What the options of every camera with a reading thread must keep."""
    if (config.width is None) != (config.height is None):
        raise ValueError("width and height are given together or not at all")
    for name in ("fps", "width", "height", "max_age_s"):
        value = getattr(config, name)
        if value is not None and value <= 0:
            raise ValueError(f"{name} is above 0, got {value}")
    if config.freeze_frames < 0:
        raise ValueError(f"freeze_frames is 0 or more, got {config.freeze_frames}")


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
        exposure: time of exposure by hand, in the driver's unit (V4L2: 100 µs); empty leaves it to the camera.
        focus: focus by hand, in the driver's unit; empty leaves it to the camera.
        identity: name of the camera that must be there, by serial number or socket, as `lr find-cameras` shows it; another
            one is refused. With an index, which changes with the order of plugging in, this is what keeps wrist and front apart.
        max_age_s: age from which on the newest picture is refused [s]; empty is two periods.
        freeze_frames: a live source that repeats one picture bit by bit so many times is an error; 0 never asks, for a
            still source without noise, as a screen.
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
    exposure: float | None = None
    focus: float | None = None
    identity: str | None = None
    max_age_s: float | None = None
    freeze_frames: int = 2

    def __attrs_post_init__(self) -> None:
        _check(self)
        if self.fourcc is not None and len(self.fourcc) != 4:
            raise ValueError(f"fourcc has 4 characters, as MJPG, got '{self.fourcc}'")


@attrs.frozen(kw_only=True)
class PatternConfig:
    """A camera without hardware: every picture shows its own number.

    Attributes:
        fps: pictures per second [Hz].
        width: width of the picture [px]; at least 64.
        height: height of the picture [px]; at least 16.
        start: number of the first picture.
        freeze: after so many pictures the same one comes for ever; 0 never.
        drop: one picture in so many does not come; 0 loses none.
        unplug: after so many pictures the camera is gone, until it is connected again; 0 never.
        slow_s: every picture comes so much later than the one before, beyond its period [s].
        warmup_s: as of a real camera; only with a fault [s].
        max_age_s: age from which on the newest picture is refused [s]; empty is two periods.
        freeze_frames: a picture repeated bit by bit so many times is an error; 0 never asks.
    """

    fps: float = 30.0
    width: int = 640
    height: int = 480
    start: int = 0
    freeze: int = 0
    drop: int = 0
    unplug: int = 0
    slow_s: float = 0.0
    warmup_s: float = 0.0
    max_age_s: float | None = None
    freeze_frames: int = 2

    @property
    def faulty(self) -> bool:
        return bool(self.freeze or self.drop or self.unplug or self.slow_s)

    def __attrs_post_init__(self) -> None:
        _check(self)
        if min(self.freeze, self.drop, self.unplug, self.slow_s) < 0 or self.drop == 1:
            raise ValueError("freeze, unplug and slow_s are 0 or more, drop is 0 or 2 and more")
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


@attrs.frozen(kw_only=True)
class ZmqConfig:
    """A camera of another machine, whose pictures come over the network as `lr camera-server` sends them.

    Attributes:
        server_address: host name or address of the server.
        port: its port.
        camera_name: name of the camera there.
        fps: rate of the server [Hz].
        width: width of the picture [px]; empty takes what comes.
        height: height of the picture [px]; empty takes what comes.
        color_mode: order of the channels; `bgr` also mends a server that sends them exchanged.
        timeout_ms: time without a picture after which the server counts as gone [ms].
        warmup_s: time after connecting whose pictures are thrown away [s].
        max_age_s: age from which on the newest picture is refused [s]; empty is two periods.
        freeze_frames: a picture repeated bit by bit so many times is an error; 0 never asks.
    """

    server_address: str
    port: int = 5555
    camera_name: str = "zmq_camera"
    fps: float = 30.0
    width: int | None = None
    height: int | None = None
    color_mode: Literal["rgb", "bgr"] = "rgb"
    timeout_ms: int = 5000
    warmup_s: float = 1.0
    max_age_s: float | None = None
    freeze_frames: int = 2

    def __attrs_post_init__(self) -> None:
        _check(self)
        if not 0 < self.port < 65536 or self.timeout_ms <= 0:
            raise ValueError(f"port is 1 to 65535 and timeout_ms above 0, got {self.port} and {self.timeout_ms}")


@attrs.frozen(kw_only=True)
class RealsenseConfig:
    """An Intel RealSense: colour, depth, or both from one moment.

    Attributes:
        serial_number_or_name: which one, as `lr find-cameras` shows it.
        use_rgb: read colour.
        use_depth: read depth (H, W, 1) uint16 [mm], which a robot gives as NAME_depth.
        fps: rate [Hz].
        width: width of the picture after rotation [px].
        height: height of the picture after rotation [px].
        color_mode: order of the channels.
        rotation: clockwise turn of the picture [deg].
        exposure: time of exposure by hand [µs]; empty leaves it to the camera.
        gain: gain by hand, in the camera's unit; empty leaves it to the camera.
        white_balance: white balance by hand [K]; empty leaves it to the camera.
        warmup_s: time the device gets to settle after opening; its pictures are thrown away [s].
        max_age_s: age from which on the newest picture is refused [s]; empty is two periods.
        freeze_frames: a picture repeated bit by bit so many times is an error; 0 never asks.
    """

    serial_number_or_name: str
    use_rgb: bool = True
    use_depth: bool = False
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    color_mode: Literal["rgb", "bgr"] = "rgb"
    rotation: Literal[0, 90, 180, -90] = 0
    exposure: float | None = None
    gain: float | None = None
    white_balance: float | None = None
    warmup_s: float = 1.0
    max_age_s: float | None = None
    freeze_frames: int = 2

    def __attrs_post_init__(self) -> None:
        _check(self)
        if not (self.use_rgb or self.use_depth):
            raise ValueError("use_rgb, use_depth or both are true")
        if len({value is None for value in (self.fps, self.width, self.height)}) > 1:
            raise ValueError("fps, width and height are given together or not at all")
        by_hand = [name for name in ("exposure", "gain", "white_balance") if getattr(self, name) is not None]
        if by_hand and not self.use_rgb:
            raise ValueError(f"{', '.join(by_hand)} belong to the colour sensor, which use_rgb turns off")


@attrs.frozen(kw_only=True)
class SimulatedConfig:
    """A camera in the simulated world around an emulated SO-101: a table, a cube, a zone to bring it to.

    Attributes:
        name: of the emulated arm, as in the port emulated://so101?name=NAME.
        view: where the camera is: before the table, on the wrist, or above.
        width: width of the picture [px].
        height: height of the picture [px].
        fps: pictures per second [Hz]; where drawing takes longer, pictures are dropped, and counted.
        seed: of the cube's first place.
        max_age_s: age from which on the newest picture is refused [s].
    """

    name: str = "so101"
    view: Literal["front", "wrist", "top"] = "front"
    width: int = 320
    height: int = 240
    fps: float = 30.0
    seed: int = 0
    max_age_s: float = 1.0

    def __attrs_post_init__(self) -> None:
        for name in ("fps", "width", "height", "max_age_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is above 0, got {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed is 0 or more, got {self.seed}")
