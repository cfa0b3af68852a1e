"""Options of the Dynamixel bus."""

from __future__ import annotations

import attrs

from lerobot_motors.buses.dynamixel.tables import BAUD_CODES
from lerobot_motors.calibration import Motor


@attrs.frozen(kw_only=True)
class DynamixelConfig:
    """Dynamixel X servos on one serial port, protocol 2.0.

    Attributes:
        port: serial port, as /dev/ttyUSB0, or an emulated one, as emulated://koch.
        motors: the servos by name.
        baudrate: bits per second the servos are set to.
        slack_ms: what a reply may take beyond its time on the wire [ms]; by default 2 on a serial port and 25 on an
            emulated one, whose bytes wait for the CPU; while connecting 100 at least.
        patience_s: how long a motor may miss its replies before that is an error [s].
        fast_sync_read: read all servos with one reply packet, where the firmware of every one has that (46 or newer).
    """

    port: str
    motors: dict[str, Motor]
    baudrate: int = 1_000_000
    slack_ms: float | None = None
    patience_s: float = 0.5
    fast_sync_read: bool = True

    def __attrs_post_init__(self) -> None:
        if self.baudrate not in BAUD_CODES:
            raise ValueError(f"baudrate is one of {', '.join(map(str, BAUD_CODES))}, got {self.baudrate}")
        ids = [motor.id for motor in self.motors.values()]
        if len(ids) != len(set(ids)):
            raise ValueError(f"every motor needs an id of its own, got {ids}")
