"""The few calls of Intel's library that a camera needs, and nothing else, so that the rest works and is tested without it.

Source: librealsense 2, Python API (pipeline, config, option).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from lerobot_core.errors import DeviceError, did_you_mean
from lerobot_motors.cameras.configs import RealsenseConfig

#: What is asked for where the config leaves it open: the format every D400 has.
WIDTH, HEIGHT, FPS = 640, 480, 30


class Given(NamedTuple):
    """What a pipeline turned out to give: unturned size [px], rate [Hz], size of one step of depth [mm]."""

    width: int
    height: int
    fps: float
    depth_step_mm: float


class Pipeline(Protocol):
    """The seam: a running camera."""

    given: Given

    def wait(self, timeout_ms: int) -> tuple[np.ndarray | None, np.ndarray | None] | None:
        """Colour (H, W, 3) uint8 RGB and depth (H, W) uint16 [steps] of one moment; None when none came in time."""
        ...

    def stop(self) -> None: ...


def listed() -> list[dict[str, str]]:
    """Serial number and name of every RealSense that is plugged in."""
    import pyrealsense2 as rs  # optional, see the component's needs

    info = rs.camera_info
    return [
        {"serial": device.get_info(info.serial_number), "name": device.get_info(info.name)}
        for device in rs.context().query_devices()
    ]


def serial_of(wanted: str, devices: list[dict[str, str]]) -> str:
    """The serial number of the one camera with this number or name.

    Raises:
        DeviceError: none has it, or several have the name.
    """
    found = [device["serial"] for device in devices if wanted in (device["serial"], device["name"])]
    if len(found) == 1:
        return found[0]
    known = [word for device in devices for word in (device["serial"], device["name"])]
    there = ", ".join(f"{device['serial']} ({device['name']})" for device in devices) or "none"
    raise DeviceError(
        f"asked for the RealSense '{wanted}', found {len(found)} of that name{did_you_mean(wanted, known)} (there: {there})",
        device=wanted,
        hint="give the serial number; `lr find-cameras` lists them",
    )


def start(config: RealsenseConfig) -> Pipeline:
    """Start the camera of a config.

    Raises:
        DeviceError: it is not there, or does not give what was asked.
    """
    return _Running(config)


class _Running:
    def __init__(self, config: RealsenseConfig) -> None:
        import pyrealsense2 as rs  # optional, see the component's needs

        width, height, fps = config.width or WIDTH, config.height or HEIGHT, config.fps or FPS
        if config.rotation in (90, -90) and config.width:
            width, height = height, width
        serial = serial_of(config.serial_number_or_name, listed())
        asked = rs.config()
        asked.enable_device(serial)
        if config.use_rgb:
            asked.enable_stream(rs.stream.color, width, height, rs.format.rgb8, round(fps))
        if config.use_depth:
            asked.enable_stream(rs.stream.depth, width, height, rs.format.z16, round(fps))
        self._pipeline = rs.pipeline()
        try:
            device = self._pipeline.start(asked).get_device()
        except RuntimeError as error:
            raise DeviceError(
                f"RealSense '{serial}': asked for {width} x {height} at {fps:g} Hz: {error}",
                device=serial,
                hint="ask for a size and rate that it has for every stream, and see that it is on a USB 3 socket",
            ) from error
        step = (
            device.first_depth_sensor().get_depth_scale() * 1e3 if config.use_depth else 1.0
        )  # the library has metres
        self.given = Given(width, height, float(fps), step)
        # depth is taken from where the colour sensor stands, so that both pictures show the same thing at the same pixel
        self._align = rs.align(rs.stream.color) if config.use_rgb and config.use_depth else None
        if config.use_rgb:
            _by_hand(device.first_color_sensor(), config)

    def wait(self, timeout_ms: int) -> tuple[np.ndarray | None, np.ndarray | None] | None:
        came, frames = self._pipeline.try_wait_for_frames(timeout_ms)
        if not came:
            return None
        if self._align is not None:
            frames = self._align.process(frames)
        colour, depth = frames.get_color_frame(), frames.get_depth_frame()
        # the library's buffers are used again
        return (
            np.array(colour.get_data()) if colour else None,
            np.array(depth.get_data()) if depth else None,
        )

    def stop(self) -> None:
        self._pipeline.stop()


def _by_hand(sensor: object, config: RealsenseConfig) -> None:
    """Exposure, gain and white balance of the colour sensor, where they were asked for."""
    import pyrealsense2 as rs  # optional, see the component's needs

    for option, automatic, value in (
        (rs.option.exposure, rs.option.enable_auto_exposure, config.exposure),
        (rs.option.gain, rs.option.enable_auto_exposure, config.gain),
        (rs.option.white_balance, rs.option.enable_auto_white_balance, config.white_balance),
    ):
        if value is not None:
            sensor.set_option(automatic, 0)  # type: ignore[attr-defined]
            sensor.set_option(option, value)  # type: ignore[attr-defined]
