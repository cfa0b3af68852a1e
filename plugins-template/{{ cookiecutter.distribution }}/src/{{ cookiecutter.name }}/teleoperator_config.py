"""Options of the teleoperator. Plain data: naming a teleoperator opens nothing."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class {{ cookiecutter.class_name }}TeleoperatorConfig:
    """Where the joints are and how they swing. The lines below are the help of each option.

    Attributes:
        joints: names of the joints, from the foot up; those of the robot it leads.
        amplitude: how far each joint swings to either side [deg].
        period: how long a swing there and back takes [s].
    """

    joints: tuple[str, ...] = ("shoulder", "elbow", "gripper")
    amplitude: float = 30.0
    period: float = 4.0

    def __attrs_post_init__(self) -> None:
        if not self.joints or len(set(self.joints)) < len(self.joints):
            raise ValueError(f"joints are one or more different names, got {', '.join(self.joints) or 'none'}")
        if not self.period > 0:
            raise ValueError(f"period is above 0, got {self.period:g}")
