"""`lr camera-server`: the cameras of this machine for another one, which reads them with `type: zmq`."""

from __future__ import annotations

import attrs
import click

from lerobot_core.cli import config_command
from lerobot_core.errors import ConfigError, PluginError
from lerobot_core.loop import connected
from lerobot_core.registry import Choice
from lerobot_core.roles import Camera
from lerobot_motors.cameras import rig
from lerobot_motors.commands.console import Interrupt


@attrs.frozen(kw_only=True)
class CameraServerConfig:
    """Options of `lr camera-server`.

    Attributes:
        cameras: the cameras by name; each needs width, height and fps.
        address: address of this machine they are offered on; * is every network. Nothing is encrypted and nobody is asked who
            they are, so that by default only this machine sees them.
        port: port they are offered on; 0 takes a free one.
        fps: messages per second [Hz].
        quality: of the JPEGs, 1 to 100.
        duration_s: when to stop [s]; empty goes on until Ctrl-C.
    """

    cameras: dict[str, Choice[Camera]]
    address: str = "127.0.0.1"
    port: int = 5555
    fps: float = 30.0
    quality: int = 80
    duration_s: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.fps <= 0 or not 0 <= self.port < 65536 or not 1 <= self.quality <= 100:
            raise ValueError(
                f"fps is above 0, port 0 to 65535, quality 1 to 100, got {self.fps:g}, {self.port}, {self.quality}"
            )


@config_command(CameraServerConfig)
def camera_server(config: CameraServerConfig) -> None:
    """Offer the cameras of this machine to another one over the network. Ctrl-C ends."""
    try:
        from lerobot_motors.cameras import server  # needs the extra
    except ImportError as error:
        raise PluginError(
            f"`lr camera-server` needs the library '{error.name}', which is not installed",
            hint='pip install "lerobot-motors[zmq]"',
        ) from error
    if not config.cameras:
        raise ConfigError("no camera to offer", hint="give --cameras='{front: {type: opencv, …}}'")
    cameras, interrupt = rig.build(config.cameras), Interrupt()
    turns = None if config.duration_s is None else round(config.duration_s * config.fps)
    asked = iter(range(turns)) if turns is not None else None

    def stop() -> bool:
        return interrupt.requested or (asked is not None and next(asked, None) is None)

    def ready(port: int) -> None:
        click.echo(f"{', '.join(cameras)} at {config.address}:{port}; Ctrl-C ends")

    with connected(*cameras.values()), interrupt.caught():
        sent = server.serve(
            cameras,
            address=config.address,
            port=config.port,
            fps=config.fps,
            quality=config.quality,
            stop=stop,
            ready=ready,
        )
    click.echo(f"{sent} messages sent")
