"""Options of the robots. Plain data: naming a robot opens nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs

from lerobot_core.config import choose
from lerobot_core.registry import Choice
from lerobot_core.roles import Camera, Robot


@attrs.frozen(kw_only=True)
class FollowerConfig:
    """A serial arm that is driven.

    Attributes:
        port: serial port, as /dev/ttyACM0, or an emulated one, as emulated://so101.
        id: name of this arm among yours; its calibration file has it.
        calibration_dir: folder of calibration files, where it is not the usual one.
        disable_torque_on_disconnect: let go at the end instead of holding.
        max_relative_target: farthest a joint may be sent from where it is, in its unit; one number or one per joint.
        park: where it goes before it lets go, joint by joint in their units; empty stays where it is.
        cameras: cameras on the arm by name; each needs width, height and fps.
        num_read_retries: how often a lost reply is asked for again within one observation.
    """

    port: str
    id: str | None = None
    calibration_dir: Path | None = None
    disable_torque_on_disconnect: bool = True
    max_relative_target: float | dict[str, float] | None = None
    park: dict[str, float] | None = None
    cameras: dict[str, Choice[Camera]] = attrs.field(factory=dict)
    num_read_retries: int = 2

    def __attrs_post_init__(self) -> None:
        target = self.max_relative_target
        if isinstance(target, int):
            raise TypeError(f"max_relative_target is a float or a dict of floats, got the integer {target}")
        caps = list(target.values()) if isinstance(target, dict) else [1.0 if target is None else target]
        if not all(cap > 0 for cap in caps):
            raise ValueError(f"max_relative_target is above 0, got {target}")


@attrs.frozen(kw_only=True)
class JointedConfig(FollowerConfig):
    """A serial arm that is driven, in degrees or in percent.

    Attributes:
        use_degrees: joints in degrees, else in percent of their range (-100 to 100); the gripper is 0 to 100 either way.
    """

    use_degrees: bool = False


@attrs.frozen(kw_only=True)
class SoFollowerConfig(FollowerConfig):
    """An SO-100 or SO-101 that is driven.

    Attributes:
        use_degrees: joints in degrees, else in percent of their range (-100 to 100); the gripper is 0 to 100 either way.
        position_p_coefficient: proportional gain of the servos.
        position_i_coefficient: integral gain of the servos.
        position_d_coefficient: derivative gain of the servos.
    """

    use_degrees: bool = True
    position_p_coefficient: int = 16
    position_i_coefficient: int = 0
    position_d_coefficient: int = 32


@attrs.frozen(kw_only=True)
class HopeJrHandConfig(FollowerConfig):
    """A HopeJR hand that is driven.

    Attributes:
        side: which hand.
    """

    side: Literal["left", "right"]


@attrs.frozen(kw_only=True)
class BiSoFollowerConfig:
    """Two SO-100 or SO-101 that are driven as one robot.

    Attributes:
        id: name of this pair among yours; its arms are called ID_left and ID_right.
        calibration_dir: folder of calibration files, where it is not the usual one.
        left_arm_config: options of the left arm.
        right_arm_config: options of the right arm.
        cameras: cameras beside both arms by name; each needs width, height and fps.
    """

    id: str | None = None
    calibration_dir: Path | None = None
    left_arm_config: SoFollowerConfig
    right_arm_config: SoFollowerConfig
    cameras: dict[str, Choice[Camera]] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class BimanualConfig:
    """Any two robots that are driven as one.

    Attributes:
        left: the robot whose names begin with left_.
        right: the robot whose names begin with right_.
        cameras: cameras beside both by name; each needs width, height and fps.
    """

    left: Choice[Robot]
    right: Choice[Robot]
    cameras: dict[str, Choice[Camera]] = attrs.field(factory=dict)


def _lekiwi_cameras() -> dict[str, Choice[Camera]]:
    both = {"fps": 30.0, "fourcc": "MJPG"}
    front = {"index_or_path": "/dev/video0", "width": 640, "height": 480, "rotation": 180}
    wrist = {"index_or_path": "/dev/video2", "width": 480, "height": 640, "rotation": 90}
    return {"front": choose(Camera, "opencv", **both, **front), "wrist": choose(Camera, "opencv", **both, **wrist)}


@attrs.frozen(kw_only=True)
class LekiwiConfig(SoFollowerConfig):
    """A LeKiwi: an SO arm on three omni-directional wheels.

    Attributes:
        cameras: cameras on it by name; as built it has one in front and one at the wrist.
    """

    port: str = "/dev/ttyACM0"
    cameras: dict[str, Choice[Camera]] = attrs.field(factory=_lekiwi_cameras)


@attrs.frozen(kw_only=True)
class LekiwiClientConfig:
    """A LeKiwi that another computer drives: `lr lekiwi-host` runs there.

    Attributes:
        remote_ip: address of that computer.
        id: name of this robot among yours.
        port_zmq_cmd: port it takes actions at.
        port_zmq_observations: port it gives observations at.
        use_degrees: joints in degrees, as the host has them; else in percent of their range (-100 to 100).
        cameras: the host's cameras by name; only width and height matter here.
        polling_timeout_ms: how long an observation waits for a newer one [ms].
        connect_timeout_s: how long the first observation may take [s].
        patience_s: how long without a newer observation the last one is given, with its time [s]; then it is an error.
    """

    remote_ip: str
    id: str | None = None
    port_zmq_cmd: int = 5555
    port_zmq_observations: int = 5556
    use_degrees: bool = True
    cameras: dict[str, Choice[Camera]] = attrs.field(factory=_lekiwi_cameras)
    polling_timeout_ms: int = 15
    connect_timeout_s: float = 5.0
    patience_s: float = 0.5
