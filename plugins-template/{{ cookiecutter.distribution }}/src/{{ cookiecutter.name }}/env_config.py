"""Options of the environment. Plain data."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class {{ cookiecutter.class_name }}EnvConfig:
    """The arm and its task. The lines below are the help of each option.

    Attributes:
        joints: names of the joints, from the foot up.
        limit: joints and goals are between -limit and limit [deg].
        speed: how far a joint goes in one step at most [deg].
        tolerance: the task is done when every joint is this close to its goal [deg].
        max_steps: steps after which an episode is cut off.
        fps: steps per second of simulated time [Hz].
    """

    joints: tuple[str, ...] = ("shoulder", "elbow", "gripper")
    limit: float = 90.0
    speed: float = 5.0
    tolerance: float = 2.0
    max_steps: int = 200
    fps: float = 30.0

    def __attrs_post_init__(self) -> None:
        if not self.joints or len(set(self.joints)) < len(self.joints):
            raise ValueError(f"joints are one or more different names, got {', '.join(self.joints) or 'none'}")
        for name in ("limit", "speed", "tolerance", "max_steps", "fps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is above 0, got {getattr(self, name):g}")
