"""Options of the teleoperators. Plain data: naming one opens nothing."""

from __future__ import annotations

from pathlib import Path

import attrs


@attrs.frozen(kw_only=True)
class SoLeaderConfig:
    """An SO-100 or SO-101 that is held by a person.

    Attributes:
        port: serial port, as /dev/ttyACM1, or an emulated one, as emulated://so101-leader?motion=sine.
        id: name of this arm among yours; its calibration file has it.
        calibration_dir: folder of calibration files, where it is not the usual one.
        use_degrees: joints in degrees, else in percent of their range (-100 to 100); the gripper is 0 to 100 either way.
        num_read_retries: how often a lost reply is asked for again within one action.
    """

    port: str
    id: str | None = None
    calibration_dir: Path | None = None
    use_degrees: bool = True
    num_read_retries: int = 2
