"""Options of the Feetech bus."""

from __future__ import annotations

import attrs

from lerobot_motors.buses.feetech.tables import BAUD_CODES
from lerobot_motors.calibration import Motor


@attrs.frozen(kw_only=True)
class FeetechConfig:
    """Feetech STS, SMS or SCS servos on one serial port.

    Attributes:
        port: serial port, as /dev/ttyACM0, or an emulated one, as emulated://so101.
        motors: the servos by name.
        baudrate: bits per second the servos are set to.
        slack_ms: what a reply may take beyond its time on the wire [ms]; by default 2 on a serial port and 25 on an
            emulated one, whose bytes wait for the CPU; while connecting 100 at least.
        patience_s: how long `latest` gives the last value of a servo that does not answer before it is an error [s].
        protocol: 0 for STS and SMS, 1 for SCS servos; by default that of the motors' models.
    """

    port: str
    motors: dict[str, Motor]
    baudrate: int = 1_000_000
    slack_ms: float | None = None
    patience_s: float = 0.5
    protocol: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.baudrate not in BAUD_CODES:
            raise ValueError(f"baudrate is one of {', '.join(map(str, BAUD_CODES))}, got {self.baudrate}")
        if self.protocol not in (None, 0, 1):
            raise ValueError(f"protocol is 0 or 1, got {self.protocol}")
        ids = [motor.id for motor in self.motors.values()]
        if len(ids) != len(set(ids)):
            raise ValueError(f"every motor needs an id of its own, got {ids}")
