"""The calibration that servos keep in their EEPROM: read, written, compared with a file's. Knows no prompts and no files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lerobot_core.errors import BadReply
from lerobot_motors.calibration import Calibration, MotorCalibration, differences, half_turn_offset

if TYPE_CHECKING:
    from lerobot_motors.buses.serial_bus import SerialBus

HOMING, LOWEST, HIGHEST, DRIVE = "Homing_Offset", "Min_Position_Limit", "Max_Position_Limit", "Drive_Mode"
#: Bit of Drive_Mode that inverts a servo which keeps its drive mode itself.
INVERTED = 1


def read(bus: SerialBus) -> Calibration:
    """What the servos hold; what they have no register for is that of the bus's calibration."""
    known = bus.calibration

    def stored(register: str, otherwise: str) -> dict[str, int]:
        having = [name for name in bus.motors if bus.has(register, name)]
        found = bus.sync_read(register, having, normalize=False)
        return {n: int(found[n]) if n in found else getattr(known.get(n), otherwise, 0) for n in bus.motors}

    offsets, lows, highs = stored(HOMING, "homing_offset"), stored(LOWEST, "range_min"), stored(HIGHEST, "range_max")
    modes = {name: known[name].drive_mode if name in known else 0 for name in bus.motors}
    if bus.family.keeps_drive_mode:
        modes = {name: mode & INVERTED for name, mode in stored(DRIVE, "drive_mode").items()}
    return {
        name: MotorCalibration(
            id=motor.id,
            drive_mode=modes[name],
            homing_offset=offsets[name],
            range_min=lows[name],
            range_max=highs[name],
        )
        for name, motor in bus.motors.items()
    }


def write(bus: SerialBus, calibration: Mapping[str, MotorCalibration]) -> None:
    """Store in the servos, and let the bus use it from now on.

    Raises:
        BadReply: the EEPROM of a servo is closed, or it does not hold it afterwards.
    """
    _check_open(bus, list(calibration))
    for name, motor in calibration.items():
        if bus.has(HOMING, name):
            bus.write(HOMING, name, motor.homing_offset)
        bus.write(LOWEST, name, motor.range_min)
        bus.write(HIGHEST, name, motor.range_max)
        if bus.family.keeps_drive_mode:
            mode = int(bus.read(DRIVE, name))
            bus.write(DRIVE, name, mode & ~INVERTED | bool(motor.drive_mode))
    bus.calibration = dict(calibration)
    different = compare(bus, calibration)
    if different:
        raise BadReply(
            f"the servos on '{bus.config.port}' did not take the calibration: {'; '.join(different)}",
            device=bus.config.port,
            hint="try again; a servo whose EEPROM is worn out has to be replaced",
        )


def compare(bus: SerialBus, wanted: Mapping[str, MotorCalibration]) -> list[str]:
    """What differs between a calibration and what the servos hold, one sentence per motor."""
    found = read(bus)
    different = differences(wanted, found)
    if bus.family.keeps_drive_mode:
        different += [
            f"'{name}' has drive mode {found[name].drive_mode}, the file says {motor.drive_mode}"
            for name, motor in wanted.items()
            if name in found and bool(motor.drive_mode) != bool(found[name].drive_mode)
        ]
    return different


def half_turn(bus: SerialBus) -> dict[str, int]:
    """Make the present position of every servo read as half a turn; returns the offsets. Raises as `write`."""
    _check_open(bus, list(bus.motors))
    homing = [name for name in bus.motors if bus.has(HOMING, name)]
    for name in bus.motors:
        if name in homing:
            bus.write(HOMING, name, 0)
        bus.write(LOWEST, name, 0)
        bus.write(HIGHEST, name, bus.resolution(name) - 1)
    offsets = dict.fromkeys(bus.motors, 0)
    positions = bus.sync_read("Present_Position", homing, normalize=False)
    for name, position in positions.items():
        offsets[name] = half_turn_offset(int(position), bus.resolution(name)) * -bus.family.offset_sign
        bus.write(HOMING, name, offsets[name])
    return offsets


def _check_open(bus: SerialBus, names: list[str]) -> None:
    """A locked Feetech takes what is written and loses it with the power: it would never be noticed."""
    closes = bus.family.torque[-1]
    closed = [name for name, value in bus.sync_read(closes, names).items() if value]
    if closed:
        raise BadReply(
            f"the EEPROM of {', '.join(closed)} on '{bus.config.port}' is closed: '{closes}' is on",
            device=bus.config.port,
            hint="switch the torque off first, which opens it: disable_torque()",
        )
