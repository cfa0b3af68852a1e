"""Options of the Feetech bus."""

from __future__ import annotations

import attrs

from lerobot_motors.buses.feetech.tables import BAUD_CODES
from lerobot_motors.calibration import Motor


@attrs.frozen(kw_only=True)
class FeetechConfig:
    """Feetech STS or SMS servos on one serial port.

    Attributes:
        port: serial port, as /dev/ttyACM0, or an emulated one, as emulated://so101.
        motors: the servos by name.
        baudrate: bits per second the servos are set to.
        slack_ms: what a reply may take beyond its time on the wire [ms]; by default 5 on a serial port and 250 on an
            emulated one, whose bytes wait for the CPU.
    """

    port: str
    motors: dict[str, Motor]
    baudrate: int = 1_000_000
    slack_ms: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.baudrate not in BAUD_CODES:
            raise ValueError(f"baudrate is one of {', '.join(map(str, BAUD_CODES))}, got {self.baudrate}")
        ids = [motor.id for motor in self.motors.values()]
        if len(ids) != len(set(ids)):
            raise ValueError(f"every motor needs an id of its own, got {ids}")
