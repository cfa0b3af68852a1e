"""`lr emulate`: servos without servos, on a port for any program."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from lerobot_core.errors import ConfigError
from lerobot_motors import shared_file
from lerobot_motors.buses.feetech.tables import FAULTS
from lerobot_motors.emulators import memory, profiles
from lerobot_motors.emulators.address import from_options, open_address
from lerobot_motors.emulators.faults import KINDS
from lerobot_motors.emulators.servo import Joint
from lerobot_motors.emulators.view import EmulatorState

#: Time between two looks at the emulator [s].
PERIOD = 0.1
_EPILOG = f"""\b
Chains: {", ".join(profiles.CHAINS)}

\b
Faults: {", ".join(KINDS)}

\b
Examples:
  lr emulate so101
  lr emulate koch --port ./koch --gravity 1
  lr emulate so101 --seed 3 --faults drop:rate=0.01,dead:id=3:at=5:for=2
  lr emulate lekiwi --script a_bad_day.txt
"""


@click.command(epilog=_EPILOG)
@click.argument("chain")
@click.option("--port", "link", type=click.Path(path_type=Path), help="Make this path a link to the port.")
@click.option("--name", help="What other programs call it, as in emulated://so101?name=NAME. [default: the chain]")
@click.option("--seed", help="Of the starting pose and of what faults leave to chance. [default: 0]")
@click.option("--motion", help="sine moves every joint whose torque is off. [default: none]")
@click.option("--gravity", help="How much the joints weigh, 1 as on Earth. [default: 0]")
@click.option("--pace", help="How long bytes take, 1 as on a wire, 0 no time. [default: 1]")
@click.option("--faults", help="What goes wrong, as KIND:KEY=VALUE:…, with commas between faults.")
@click.option("--script", help="A file of faults, one on a line.")
def emulate(chain: str, link: Path | None, **options: str | None) -> None:
    """Emulate the servos of CHAIN on a port that any program can open, until Ctrl-C.

    The port's path is the first line of standard output. On a terminal the joints are shown as they move.
    """
    address = from_options(chain, {key: text for key, text in options.items() if text is not None}, "lr emulate")
    if shared_file.running(memory.location(address.name)):
        raise ConfigError(f"an emulator '{address.name}' is running already", hint="give this one another --name")
    if link is not None:
        check_link(link)
    with terminated():
        emulator = open_address(address)
        state = EmulatorState(address.name)
        try:
            watch(state, profiles.CHAINS[chain], link)
        except KeyboardInterrupt:
            click.echo("", err=True)
        finally:
            state.close()
            emulator.close()
            if link is not None:
                link.unlink(missing_ok=True)


def watch(state: EmulatorState, joints: Sequence[Joint], link: Path | None) -> None:
    """Say where the port is whenever that changes, and show the joints, for as long as the emulator runs."""
    screen = Console(stderr=True)
    shown, heard, since = "", state.heard, time.monotonic()
    with Live(console=screen, auto_refresh=False) if sys.stderr.isatty() else nullcontext() as live:
        while state.running:
            device = state.device
            if device and device != shown:
                shown = device
                if link is not None:
                    point(link, device)
                click.echo(device)
                sys.stdout.flush()
            if live is not None:
                rate = (state.heard - heard) / max(1e-3, time.monotonic() - since)
                heard, since = state.heard, time.monotonic()
                live.update(table(state, joints, link, rate), refresh=True)
            time.sleep(PERIOD)


def table(state: EmulatorState, joints: Sequence[Joint], link: Path | None, rate: float) -> Table:
    """The joints as they are; `rate` is that of instructions [Hz]."""
    place = f"{state.device or 'unplugged'}{f' ({link})' if link else ''}"
    made = Table(title=f"{state.name} on {place}", caption=f"{rate:.0f} instructions per second; Ctrl-C ends")
    for head in ("id", "joint", "model", "position", "goal", "torque", "load", "faults"):
        made.add_column(head, justify="left" if head in ("joint", "model", "faults") else "right")
    rows = zip(joints, state.positions, state.goals, state.torque, state.loads, state.status, strict=True)
    for joint, position, goal, torque, load, status in rows:
        faults = ", ".join(meaning for bit, meaning in FAULTS.items() if status & bit)
        held = f"{goal:.0f}" if torque else ""
        made.add_row(
            str(joint.id), joint.name, joint.model, f"{position:.0f}", held, "on" if torque else "off",
            f"{load / 10:.0f} %", faults,
        )  # fmt: skip
    return made


def check_link(link: Path) -> None:
    """
    Raises:
        ConfigError: there is something at that path that is not ours to replace.
    """
    if link.exists() or (link.is_symlink() and not str(link.readlink()).startswith("/dev/")):
        raise ConfigError(f"'{link}' exists already", hint="give --port a path that is free")
    if not link.absolute().parent.is_dir():
        raise ConfigError(f"'{link}' cannot be made: there is no folder '{link.absolute().parent}'")


def point(link: Path, device: str) -> None:
    """Make a path a link to the device, in one step."""
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(device)
    new.replace(link)


@contextmanager
def terminated() -> Iterator[None]:
    """End on SIGTERM as on Ctrl-C: the link goes, too. Main thread only, as Python's signals are."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    former: Callable[..., object] | int | None = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
