"""Options of the robot. Plain data: naming a robot opens nothing."""

from __future__ import annotations

from typing import Literal

import attrs


@attrs.frozen(kw_only=True)
class {{ cookiecutter.class_name }}RobotConfig:
    """Where the joints are and how far they go. The lines below are the help of each option.

    Attributes:
        joints: names of the joints, from the foot up.
        low: lowest position of a joint [deg].
        high: highest position of a joint [deg].
        lag: time constant of a joint [s].
        on_stop: what disconnecting leaves behind: motors released, or holding.
    """

    joints: tuple[str, ...] = ("shoulder", "elbow", "gripper")
    low: float = -90.0
    high: float = 90.0
    lag: float = 0.05
    on_stop: Literal["release", "hold"] = "release"

    def __attrs_post_init__(self) -> None:
        if not self.joints or len(set(self.joints)) < len(self.joints):
            raise ValueError(f"joints are one or more different names, got {', '.join(self.joints) or 'none'}")
        if not self.low < self.high:
            raise ValueError(f"low is below high, got {self.low:g} and {self.high:g}")
        if not self.lag > 0:
            raise ValueError(f"lag is above 0, got {self.lag:g}")
