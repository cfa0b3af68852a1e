"""Options of the teleoperators. Plain data: naming one opens nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs

from lerobot_core.registry import Choice
from lerobot_core.roles import Teleoperator


@attrs.frozen(kw_only=True)
class LeaderConfig:
    """A serial arm that is held by a person.

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
    use_degrees: bool = False
    num_read_retries: int = 2


@attrs.frozen(kw_only=True)
class SoLeaderConfig(LeaderConfig):
    """An SO-100 or SO-101 that is held by a person."""

    use_degrees: bool = True


@attrs.frozen(kw_only=True)
class KochLeaderConfig(LeaderConfig):
    """A Koch v1.1 that is held by a person.

    Attributes:
        gripper_open_pos: where the gripper springs back to [%].
    """

    gripper_open_pos: float = 50.0


@attrs.frozen(kw_only=True)
class OmxLeaderConfig(LeaderConfig):
    """An OpenMANIPULATOR-X that is held by a person.

    Attributes:
        gripper_open_pos: where the gripper springs back to [%].
    """

    gripper_open_pos: float = 60.0


@attrs.frozen(kw_only=True)
class OpenarmMiniConfig(LeaderConfig):
    """An OpenArm Mini that is held by a person.

    Attributes:
        side: which arm of the big one it leads.
    """

    use_degrees: bool = True
    side: Literal["left", "right"]


@attrs.frozen(kw_only=True)
class BiSoLeaderConfig:
    """Two SO-100 or SO-101 that a person holds, one in each hand.

    Attributes:
        id: name of this pair among yours; its arms are called ID_left and ID_right.
        calibration_dir: folder of calibration files, where it is not the usual one.
        left_arm_config: options of the left arm.
        right_arm_config: options of the right arm.
    """

    id: str | None = None
    calibration_dir: Path | None = None
    left_arm_config: SoLeaderConfig
    right_arm_config: SoLeaderConfig


@attrs.frozen(kw_only=True)
class BiOpenarmMiniConfig:
    """Two OpenArm Mini that a person holds, one in each hand.

    Attributes:
        id: name of this pair among yours; its arms are called ID_left and ID_right.
        calibration_dir: folder of calibration files, where it is not the usual one.
        left_arm_config: options of the left arm.
        right_arm_config: options of the right arm.
    """

    id: str | None = None
    calibration_dir: Path | None = None
    left_arm_config: OpenarmMiniConfig
    right_arm_config: OpenarmMiniConfig


@attrs.frozen(kw_only=True)
class BimanualLeaderConfig:
    """Any two teleoperators as one.

    Attributes:
        left: the teleoperator whose names begin with left_.
        right: the teleoperator whose names begin with right_.
    """

    left: Choice[Teleoperator]
    right: Choice[Teleoperator]


@attrs.frozen(kw_only=True)
class LekiwiLeaderConfig:
    """What drives a LeKiwi.

    Attributes:
        arm: the teleoperator that leads its arm, as an so101_leader.
        base: the teleoperator that gives x.vel, y.vel and theta.vel; empty: the base stands still.
    """

    arm: Choice[Teleoperator]
    base: Choice[Teleoperator] | None = None
