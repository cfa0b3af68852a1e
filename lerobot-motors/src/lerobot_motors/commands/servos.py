"""What the commands for single servos share: the bus of a robot or teleoperator, register names, values as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lerobot_core.errors import ConfigError, did_you_mean, few
from lerobot_core.registry import Choice
from lerobot_motors.buses.serial_bus import SerialBus

ALL = "all"


def check_one(what: str, robot: Choice[Any] | None, teleop: Choice[Any] | None) -> None:
    """That it is said which device is meant.

    Raises:
        ValueError: not exactly one of the two is given.
    """
    if (robot is None) == (teleop is None):
        given = "both" if robot else "neither"
        raise ValueError(f"{what} of which device? give one of --robot.type=… and --teleop.type=…, got {given}")


def bus_of(choice: Choice[Any]) -> SerialBus:
    """The bus of a device, which is built and not connected.

    Raises:
        ConfigError: it has none.
    """
    bus = getattr(choice.build(), "bus", None)
    if not isinstance(bus, SerialBus):
        raise ConfigError(
            f"'{choice.type}' has no servos on one serial port of its own",
            hint="of a robot of two arms give one arm, as --robot.type=so101_follower --robot.port=…",
        )
    return bus


@contextmanager
def opened(bus: SerialBus) -> Iterator[SerialBus]:
    """The bus connected, and left as the servos were: no handshake, torque as it is."""
    bus.connect(handshake=False)
    try:
        yield bus
    finally:
        bus.disconnect(disable_torque=False)


def motors_of(bus: SerialBus, motor: str | None) -> list[str]:
    """The motor asked for, or all.

    Raises:
        ConfigError: there is no such motor.
    """
    if motor is not None and motor not in bus.motors:
        raise ConfigError(
            f"no motor '{motor}'{did_you_mean(motor, bus.motors)}", hint=f"known: {', '.join(bus.motors)}"
        )
    return list(bus.motors) if motor is None else [motor]


def registers_of(bus: SerialBus, names: Iterable[str], motors: Sequence[str]) -> list[str]:
    """The registers asked for; `all` stands for every one that one of the motors has.

    Raises:
        ConfigError: a register that none of them has.
    """
    known = list(dict.fromkeys(name for motor in motors for name in _table(bus, motor)))
    found: list[str] = []
    for name in names:
        if name != ALL and name not in known:
            models = ", ".join(dict.fromkeys(bus.motors[motor].model for motor in motors))
            raise ConfigError(
                f"no register '{name}' in {models}{did_you_mean(name, known)}",
                hint=f"`lr motor get all` shows every one: {few(known)}",
            )
        found += known if name == ALL else [name]
    return found


def with_register(bus: SerialBus, register: str, motors: Iterable[str]) -> list[str]:
    """Those of the motors that have the register."""
    return [motor for motor in motors if register in _table(bus, motor)]


def is_stored(bus: SerialBus, register: str, motor: str) -> bool:
    """Whether a register is in the EEPROM, which keeps it without power and takes it only with the torque off."""
    return _table(bus, motor)[register].address < bus.family.ram


def amount(bus: SerialBus, register: str, motor: str, raw: float) -> tuple[float, str]:
    """(how much, of what) the content of a register is; the raw number and an empty unit where nobody says."""
    quantity = bus.family.models[bus.motors[motor].model].quantities.get(register)
    return (raw, "") if quantity is None else (raw * quantity.scale, quantity.unit)


def readable(bus: SerialBus, register: str, motor: str, raw: float) -> str:
    """The content of a register as people read it; empty where the raw number says it all."""
    if register == "Baud_Rate":
        rates = {code: rate for rate, code in bus.family.baud_codes.items()}
        return f"{rates[int(raw)]} baud" if raw in rates else ""
    if register in ("Hardware_Error_Status", "Status"):
        return ", ".join(text for bit, text in bus.family.faults.items() if int(raw) & bit) or "no fault"
    value, unit = amount(bus, register, motor, raw)
    if not unit:
        return ""
    return f"{value:.0f} {unit}" if unit == "°C" else f"{value:.1f} {unit}"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of text with their columns under each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _table(bus: SerialBus, motor: str) -> Any:
    return bus.family.models[bus.motors[motor].model].registers
