"""Components, config classes and commands the tests of core choose from; named by import string like anybody's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs
import click

from lerobot_core.cli import config_command
from lerobot_core.components import Component
from lerobot_core.config import rest
from lerobot_core.registry import Choice
from lerobot_core.roles import Camera, DatasetBackend, Policy, Robot


@attrs.frozen(kw_only=True)
class EyeConfig:
    """An eye.

    Attributes:
        index: number of the device.
        fps: pictures per second [Hz].
    """

    index: int
    fps: float = 30.0


@attrs.frozen(kw_only=True)
class LensConfig:
    """An eye with a lens.

    Attributes:
        focal_length_mm: of the lens [mm].
    """

    focal_length_mm: float = 4.0


@attrs.frozen(kw_only=True)
class ArmConfig:
    """An arm.

    Attributes:
        port: serial port.
        max_step: largest step [deg]; none for no limit.
        eyes: cameras by name.
        mode: how it moves.
    """

    port: str
    max_step: float | None = None
    eyes: dict[str, Choice[Camera]] = attrs.field(factory=dict)
    mode: Literal["soft", "stiff"] = "soft"

    def __attrs_post_init__(self) -> None:
        if self.max_step is not None and self.max_step <= 0:
            raise ValueError(f"max_step is above 0, got {self.max_step}")


@attrs.frozen(kw_only=True)
class LegConfig:
    """A leg.

    Attributes:
        port: serial port.
        length: from hip to foot [m].
    """

    port: str = "leg0"
    length: float = 0.4


@attrs.frozen(kw_only=True)
class StoreConfig:
    """A store.

    Attributes:
        repo_id: owner/name.
        root: folder.
    """

    repo_id: str
    root: Path | None = None


@attrs.frozen(kw_only=True)
class BrainConfig:
    """A policy.

    Attributes:
        chunk_size: actions per inference.
        lr: learning rate.
    """

    chunk_size: int = 100
    lr: float = 1e-4


class Part:
    """What every component here builds: remembers how it was made."""

    def __init__(self, config: Any, **context: Any) -> None:
        self.config = config
        self.context = context
        self.path: Path | None = None

    @classmethod
    def from_pretrained(cls, path: Path, *, config: Any, **context: Any) -> Part:
        part = cls(config, **context)
        part.path = path
        return part


@attrs.frozen(kw_only=True)
class Inner:
    """Options of one thing.

    Attributes:
        depth: how deep.
    """

    depth: int = 1


@attrs.frozen(kw_only=True)
class DatasetSection:
    """What to record into.

    Attributes:
        single_task: sentence that says what is done.
        num_episodes: how many.
        backend: storage format.
    """

    single_task: str
    num_episodes: int = 50
    backend: Choice[DatasetBackend] = rest()


@attrs.frozen(kw_only=True)
class Everything:
    """One field of every kind of type.

    Attributes:
        flag: a switch.
        count: an integer.
        rate: a number.
        text: a text.
        path: a path.
        maybe: an integer or nothing.
        either: an integer or a text.
        level: one of three.
        sizes: integers.
        pair: an integer and a number.
        many: numbers, however many.
        table: numbers by name.
        inner: options of its own.
        free: plain data.
    """

    flag: bool = False
    count: int = 1
    rate: float = 1.0
    text: str = ""
    path: Path = Path()
    maybe: int | None = None
    either: int | str = 0
    level: Literal["low", "high", 3] = "low"
    sizes: list[int] = attrs.field(factory=list)
    pair: tuple[int, float] = (0, 0.0)
    many: tuple[float, ...] = ()
    table: dict[str, float] = attrs.field(factory=dict)
    inner: Inner = attrs.field(factory=Inner)
    free: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class WorkConfig:
    """Options of the command.

    Attributes:
        robot: the body.
        dataset: what to record into; none records nothing.
        policy: what acts.
        steps: how many.
        retries: how often to try again; none for ever.
        output_dir: where results go.
    """

    robot: Choice[Robot]
    dataset: DatasetSection | None = None
    policy: Choice[Policy] | None = None
    steps: int = 10
    retries: int | None = 3
    output_dir: Path | None = None


@config_command(WorkConfig, defaults={"dataset": {"type": "store"}})
def work(config: WorkConfig) -> None:
    """Work with a robot for some steps."""
    robot = config.robot.build()
    click.echo(f"{config.robot.type} at {robot.config.port} for {config.steps} steps")


@click.command()
def crash() -> None:
    """Be wrong about something."""
    raise ZeroDivisionError("a bug")


PART = "core.parts:Part"
ROBOTS = (
    Component("arm", "core.parts:ArmConfig", PART, "An arm"),
    Component("leg", "core.parts:LegConfig", PART, "A leg"),
    Component("hand", "core.parts:LegConfig", PART, "A hand", needs=("no_such_library=hand-driver[usb]",)),
)
CAMERAS = (
    Component("eye", "core.parts:EyeConfig", PART, "An eye"),
    Component("lens", "core.parts:LensConfig", PART, "A lens"),
)
BACKENDS = (Component("store", "core.parts:StoreConfig", PART, "A store"),)
POLICIES = (Component("brain", "core.parts:BrainConfig", PART, "A brain"),)


def offer_all(host: Any) -> None:
    """Give a private host every component of this module."""
    offers: Mapping[str, tuple[Component, ...]] = {
        "lr_robots": ROBOTS,
        "lr_cameras": CAMERAS,
        "lr_dataset_backends": BACKENDS,
        "lr_policies": POLICIES,
    }
    for hook, components in offers.items():
        host.offer(hook, *components, name=f"parts-{hook}", distribution="parts")
