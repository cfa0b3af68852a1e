"""`lr find-cameras`: which cameras there are, a picture of each, and the options that choose it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click

from lerobot_core.config import choose
from lerobot_core.errors import LeRobotError
from lerobot_core.roles import Camera
from lerobot_motors.cameras import finding
from lerobot_motors.cameras.finding import Found, spelled


@click.command()
@click.option(
    "--output_dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("outputs/cameras"),
    show_default=True,
    help="Folder for the pictures.",
)
@click.option("--modes", "every", is_flag=True, help="List every mode of each camera, not only some.")
def find_cameras(output_dir: Path, every: bool) -> None:
    """List the cameras, save a picture of each, and say what to type for it."""
    cameras = finding.found()
    if not cameras:
        click.echo("no camera is plugged in; `--robot.cameras='{front: {type: pattern}}'` does without one")
        return
    if importlib.util.find_spec("cv2") is None:
        click.echo('no pictures are saved: pip install "lerobot-motors[opencv]"', err=True)
    for number, camera in enumerate(cameras):
        click.echo(f"{camera.name or 'camera'} ({camera.place})")
        for line in lines(camera, every):
            click.echo(f"  {line}")
        if importlib.util.find_spec("cv2") is not None and not camera.trouble:
            click.echo(f"  picture: {picture(camera, output_dir / f'{number}-{Path(camera.place).name}.png')}")


def lines(camera: Found, every: bool) -> list[str]:
    """What is known of a camera, in words."""
    if camera.trouble:
        return [f"cannot be asked: {camera.trouble}; on Linux be in the group video"]
    out = [f"identity: {name}" for name in camera.identities]
    shown = camera.modes if every else camera.modes[:6]
    out += [f"mode: {mode.width} x {mode.height} at {mode.fps:g} Hz {mode.fourcc}" for mode in shown]
    if len(shown) < len(camera.modes):
        out.append(f"and {len(camera.modes) - len(shown)} modes more, with --modes")
    return [*out, f"type: --robot.cameras='{{front: {spelled(camera.options)}}}'"]


def picture(camera: Found, path: Path) -> str:
    """Save what a camera sees; returns where, or why not."""
    import cv2  # optional, and there: the caller looked

    options = camera.options
    kind = options.pop("type")
    device = choose(Camera, kind, **options).build()
    try:
        device.connect()
        seen = device.read()
    except LeRobotError as error:
        return f"none: {error}"
    finally:
        device.disconnect()
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(seen, cv2.COLOR_RGB2BGR))
    return str(path)
