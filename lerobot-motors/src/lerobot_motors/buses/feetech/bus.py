"""The Feetech bus: what is special to these servos; the rest is `SerialBus`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lerobot_motors.buses.family import Family
from lerobot_motors.buses.feetech import tables
from lerobot_motors.buses.feetech.codec import CODECS
from lerobot_motors.buses.feetech.config import FeetechConfig
from lerobot_motors.buses.serial_bus import SerialBus
from lerobot_motors.calibration import MotorCalibration

FEETECH = Family(
    name="feetech",
    models=tables.MODELS,
    codecs=CODECS,
    baud_codes=tables.BAUD_CODES,
    scan_bauds=tables.SCAN_BAUDS,
    positions=tables.POSITIONS,
    torque=("Torque_Enable", "Lock"),
    offset_sign=-1,
    keeps_drive_mode=False,
    faults=tables.FAULTS,
    watched=tables.WATCHED,
    return_delay_unit=tables.RETURN_DELAY_UNIT,
    ram=tables.RAM,
)


class FeetechBus(SerialBus):
    """Feetech servos on one serial port, all of one firmware. With the torque, the EEPROM is locked and opened."""

    def __init__(self, config: FeetechConfig, calibration: Mapping[str, MotorCalibration] | None = None) -> None:
        super().__init__(config, FEETECH, calibration, protocol=config.protocol)

    def _check_servos(self, names: Sequence[str]) -> list[str]:
        found: dict[str, list[str]] = {}
        for name in names:
            version = "{}.{}".format(*(self.read(f"Firmware_{part}_Version", name) for part in ("Major", "Minor")))
            found.setdefault(version, []).append(name)
        if len(found) < 2:
            return []
        versions = "; ".join(f"{version}: {', '.join(names)}" for version, names in found.items())
        return [f"the servos have different firmware ({versions}), update it with Feetech's own software"]
