"""The bus that the motors of a robot need, by their models. Imports a family only when its motors are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lerobot_core.errors import ConfigError, did_you_mean
from lerobot_core.imports import import_target
from lerobot_motors.buses.family import Family
from lerobot_motors.buses.serial_bus import SerialBus
from lerobot_motors.calibration import Motor

#: Family → (what it is, its options, its bus) by import string.
FAMILIES = {
    "feetech": (
        "lerobot_motors.buses.feetech.bus:FEETECH",
        "lerobot_motors.buses.feetech.config:FeetechConfig",
        "lerobot_motors.buses.feetech.bus:FeetechBus",
    ),
    "dynamixel": (
        "lerobot_motors.buses.dynamixel.tables:FAMILY",
        "lerobot_motors.buses.dynamixel.config:DynamixelConfig",
        "lerobot_motors.buses.dynamixel.bus:DynamixelBus",
    ),
}


def bus_for(port: str, motors: Mapping[str, Motor], **options: Any) -> SerialBus:
    """A bus, not connected, of the family that makes the motors.

    Args:
        port: serial or emulated port.
        motors: the servos by name.
        options: of the family's config, as `baudrate`.

    Raises:
        ConfigError: a model nobody makes, or models of several families on one port.
    """
    families = {family_of(motor.model) for motor in motors.values()}
    if len(families) != 1:
        raise ConfigError(
            f"the motors on '{port}' are of {' and '.join(sorted(families)) or 'no family'}; a bus has one",
            hint="give each family a port of its own",
        )
    _, config, bus = FAMILIES[families.pop()]
    built: SerialBus = import_target(bus)(import_target(config)(port=port, motors=dict(motors), **options))
    return built


def family_of(model: str) -> str:
    """Name of the family that has a model.

    Raises:
        ConfigError: none has.
    """
    known = {name: family for family in FAMILIES for name in family_named(family).models}
    if model not in known:
        raise ConfigError(f"no motor model '{model}'{did_you_mean(model, known)}", hint=f"known: {', '.join(known)}")
    return known[model]


def family_named(name: str) -> Family:
    """The family of a name of `FAMILIES`.

    Raises:
        ConfigError: there is none.
    """
    if name not in FAMILIES:
        raise ConfigError(f"no family '{name}'{did_you_mean(name, FAMILIES)}", hint=f"known: {', '.join(FAMILIES)}")
    found: Family = import_target(FAMILIES[name][0])
    return found
