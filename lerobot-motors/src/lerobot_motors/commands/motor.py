"""`lr motor get|set|watch`: the registers of servos by name, in units and raw."""

from __future__ import annotations

import csv
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs
import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from lerobot_core.clock import Rate
from lerobot_core.errors import BadReply, ConfigError, DeviceError
from lerobot_core.registry import Choice
from lerobot_core.roles import Robot, Teleoperator
from lerobot_motors.buses.family import Reading
from lerobot_motors.buses.serial_bus import SerialBus
from lerobot_motors.commands import servos
from lerobot_motors.commands.console import Interrupt
from lerobot_motors.commands.words import word_command

#: Registers that only `lr setup-motors` writes: the servo answers under another id or at another rate afterwards.
ADDRESSES = ("ID", "Baud_Rate")
#: register → motor → its last reading
Readings = Mapping[str, Mapping[str, Reading]]


@attrs.frozen(kw_only=True)
class GetConfig:
    """Options of `lr motor get`.

    Attributes:
        register: name of the register, several with commas between, or `all`.
        robot: the robot whose servos are read.
        teleop: the teleoperator whose servos are read.
        motor: name of the only servo to read; empty: all.
    """

    register: str
    robot: Choice[Robot] | None = None
    teleop: Choice[Teleoperator] | None = None
    motor: str | None = None

    def __attrs_post_init__(self) -> None:
        servos.check_one(f"'{self.register}'", self.robot, self.teleop)


@attrs.frozen(kw_only=True)
class SetConfig:
    """Options of `lr motor set`.

    Attributes:
        register: name of the register.
        value: what to write, raw as the register has it.
        robot: the robot whose servos are written.
        teleop: the teleoperator whose servos are written.
        motor: name of the only servo to write; empty: all.
    """

    register: str
    value: int
    robot: Choice[Robot] | None = None
    teleop: Choice[Teleoperator] | None = None
    motor: str | None = None

    def __attrs_post_init__(self) -> None:
        servos.check_one(f"'{self.register}'", self.robot, self.teleop)
        if self.register in ADDRESSES:
            raise ValueError(
                f"'{self.register}' is written by `lr setup-motors`, which finds the servo again afterwards"
            )


@attrs.frozen(kw_only=True)
class WatchConfig:
    """Options of `lr motor watch`.

    Attributes:
        register: name of the register, or several with commas between.
        robot: the robot whose servos are read.
        teleop: the teleoperator whose servos are read.
        motor: name of the only servo to read; empty: all.
        fps: how often [Hz].
        duration_s: when to stop [s]; empty goes on until Ctrl-C.
        output: CSV file for the values; without it they go to standard output where that is no terminal.
    """

    register: str
    robot: Choice[Robot] | None = None
    teleop: Choice[Teleoperator] | None = None
    motor: str | None = None
    fps: float = 10.0
    duration_s: float | None = None
    output: Path | None = None

    def __attrs_post_init__(self) -> None:
        servos.check_one(f"'{self.register}'", self.robot, self.teleop)
        if self.fps <= 0:
            raise ValueError(f"fps is above 0, got {self.fps:g}")


@word_command(GetConfig, "register")
def get(config: GetConfig) -> None:
    """Show registers of the servos: raw, and in volts, degrees, amperes where that is known.

    \b
    lr motor get Present_Temperature --robot.type=so101_follower --robot.port=/dev/ttyACM0
    lr motor get all --motor=gripper --robot.type=koch_follower --robot.port=/dev/ttyUSB0
    """
    bus, motors = _asked(config)
    registers = servos.registers_of(bus, config.register.split(","), motors)
    rows = [("motor", "register", "raw", "value")]
    with servos.opened(bus):
        for register in registers:
            having = servos.with_register(bus, register, motors)
            values = bus.sync_read(register, having, normalize=False)
            rows += [(name, register, *_shown(bus, register, name, raw)) for name, raw in values.items()]
    for line in servos.columns(rows):
        click.echo(line)


@word_command(SetConfig, "register", "value")
def set_(config: SetConfig) -> None:
    """Write a register of the servos and read it back. What is in the EEPROM is written only while the torque is off.

    \b
    lr motor set P_Coefficient 16 --robot.type=so101_follower --robot.port=/dev/ttyACM0
    lr motor set Homing_Offset -120 --motor=wrist_roll --robot.type=so101_follower --robot.port=/dev/ttyACM0
    """
    bus, motors = _asked(config)
    servos.registers_of(bus, [config.register], motors)
    motors = servos.with_register(bus, config.register, motors)
    with servos.opened(bus):
        before = bus.sync_read(config.register, motors, normalize=False)
        _open_eeprom(bus, config.register, motors)
        for name in motors:
            bus.write(config.register, name, config.value, normalize=False)
        after = bus.sync_read(config.register, motors, normalize=False)
    rows = [("motor", "register", "before", "", "after", "")]
    for name in motors:
        was, now = (_shown(bus, config.register, name, values[name]) for values in (before, after))
        rows.append((name, config.register, *was, *now))
    for line in servos.columns(rows):
        click.echo(line)
    if refused := [name for name in motors if after[name] != config.value]:
        raise BadReply(
            f"'{config.register}' of {', '.join(refused)} is not {config.value} after it was written",
            hint="it is read only, the value is outside its limits, or the servo changes it by itself",
        )


@word_command(WatchConfig, "register")
def watch(config: WatchConfig) -> None:
    """Watch registers of the servos as they change, until Ctrl-C. Replies that are missing show as the age of the last one.

    \b
    lr motor watch Present_Load,Present_Temperature --robot.type=so101_follower --robot.port=/dev/ttyACM0
    lr motor watch Present_Position --fps=50 --output=moves.csv --teleop.type=so101_leader --teleop.port=/dev/ttyACM1
    """
    bus, motors = _asked(config)
    registers = servos.registers_of(bus, config.register.split(","), motors)
    having = {register: servos.with_register(bus, register, motors) for register in registers}
    bus.config = attrs.evolve(bus.config, patience_s=math.inf)  # a servo that comes and goes is what one watches for
    interrupt, began = Interrupt(), time.monotonic()
    with servos.opened(bus), interrupt.caught(), _written(config.output, bus, having) as write, _table(bus) as show:
        rate = Rate(config.fps)
        while not interrupt() and (config.duration_s is None or time.monotonic() - began < config.duration_s):
            readings = {name: bus.latest(name, those, normalize=False) for name, those in having.items()}
            write(time.monotonic() - began, readings)
            show(readings)
            rate.wait()
    click.echo(bus.health.line(), err=True)


def _asked(config: GetConfig | SetConfig | WatchConfig) -> tuple[SerialBus, list[str]]:
    choice = config.robot or config.teleop
    if choice is None:
        raise ConfigError("neither --robot.type nor --teleop.type is given", hint="give one of them")
    bus = servos.bus_of(choice)
    return bus, servos.motors_of(bus, config.motor)


def _shown(bus: SerialBus, register: str, motor: str, raw: float) -> tuple[str, str]:
    return str(int(raw)), servos.readable(bus, register, motor, raw)


def _open_eeprom(bus: SerialBus, register: str, motors: list[str]) -> None:
    stored = [name for name in motors if servos.is_stored(bus, register, name)]
    if not stored:
        return
    torque = bus.sync_read("Torque_Enable", stored, normalize=False)
    if held := [name for name, on in torque.items() if on]:
        raise DeviceError(
            f"'{register}' is in the EEPROM, and the torque of {', '.join(held)} is on",
            hint="hold the arm, then `lr motor set Torque_Enable 0` with the same options",
        )
    bus.disable_torque(stored)  # which also opens the EEPROM where it has a lock


# --- watching ---------------------------------------------------------------------------------------------------------


@contextmanager
def _written(
    path: Path | None, bus: SerialBus, having: Mapping[str, list[str]]
) -> Iterator[Callable[[float, Readings], None]]:
    """Takes (time [s], readings) and writes a line of CSV, in units where there are some; an empty cell is a missing reply."""
    if path is None and sys.stdout.isatty():
        yield lambda seconds, readings: None
        return
    with ExitStack() as stack:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        file = sys.stdout if path is None else stack.enter_context(path.open("w", newline="", encoding="utf-8"))
        lines = csv.writer(file, lineterminator="\n")
        places = [(register, motor) for register, motors in having.items() for motor in motors]
        units = [servos.amount(bus, register, motor, 0)[1] for register, motor in places]
        heads = [
            f"{motor}.{register}" + (f" [{unit}]" if unit else "")
            for (register, motor), unit in zip(places, units, strict=True)
        ]
        lines.writerow(["time [s]", *heads])

        def write(seconds: float, readings: Readings) -> None:
            found = [(register, motor, readings[register][motor]) for register, motor in places]
            cells = ["" if last.missed else f"{servos.amount(bus, r, m, last.value)[0]:g}" for r, m, last in found]
            lines.writerow([f"{seconds:.4f}", *cells])

        yield write


@contextmanager
def _table(bus: SerialBus) -> Iterator[Callable[[Readings], None]]:
    """Takes readings and keeps a table on the terminal up to date."""
    if not sys.stderr.isatty():
        yield lambda readings: None
        return
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        yield lambda readings: live.update(Text("\n".join(table(bus, readings))), refresh=True)


def table(bus: SerialBus, readings: Readings) -> list[str]:
    """A row per motor, a column per register."""
    motors = list(dict.fromkeys(motor for found in readings.values() for motor in found))
    rows = [("motor", *readings)]
    for motor in motors:
        rows.append((motor, *(_cell(bus, register, motor, found.get(motor)) for register, found in readings.items())))
    return servos.columns(rows)


def _cell(bus: SerialBus, register: str, motor: str, last: Reading | None) -> str:
    if last is None:
        return "–"
    raw, value = _shown(bus, register, motor, last.value)
    age = (time.monotonic_ns() - last.stamp) / 1e9
    return f"{raw:>6} {value}" + (f"  (no reply for {age:.1f} s)" if last.missed else "")
