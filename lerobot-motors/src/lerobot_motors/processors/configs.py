"""Options of the processor steps. Plain data. The lengths are those of the robot's description, in metres."""

from __future__ import annotations

import math
from typing import Literal

import attrs

FRAME = "gripper_frame_link"


@attrs.frozen(kw_only=True)
class Sizes:
    """How far one unit of a delta moves the gripper.

    Attributes:
        x: forward [m].
        y: to the left [m].
        z: up [m].
    """

    x: float = 0.005
    y: float = 0.005
    z: float = 0.005


@attrs.frozen(kw_only=True)
class Bounds:
    """The box the gripper stays in.

    Attributes:
        min: lowest x, y, z in the robot's base frame [m].
        max: highest x, y, z in the robot's base frame [m].
    """

    min: list[float] = attrs.field(factory=lambda: [-1.0, -1.0, -1.0])
    max: list[float] = attrs.field(factory=lambda: [1.0, 1.0, 1.0])

    def __attrs_post_init__(self) -> None:
        three = len(self.min) == len(self.max) == 3 and all(map(math.isfinite, (*self.min, *self.max)))
        if not three or not all(low < high for low, high in zip(self.min, self.max, strict=True)):
            raise ValueError(f"min and max are x, y, z with each min below its max, got {self.min} and {self.max}")


@attrs.frozen(kw_only=True)
class DeltaConfig:
    """What a keyboard or gamepad gives, as a movement of the gripper.

    Attributes:
        position_scale: factor on the deltas.
        noise_threshold: a delta smaller than this is none.
    """

    position_scale: float = 1.0
    noise_threshold: float = 1e-3


@attrs.frozen(kw_only=True)
class ReferenceConfig:
    """A movement of the gripper, as the pose it should have.

    Attributes:
        urdf: the robot's description: path of a .urdf file, or so101.
        target_frame_name: link of it that is moved.
        end_effector_step_sizes: how far one unit of a movement goes.
        use_latched_reference: a movement counts from where the gripper was when it began, as for a phone that says how far it
            has come; otherwise each turn adds to the last, as for keys and sticks.
        max_lead_m: how far the pose may run ahead of where the gripper is, without the latched reference [m].
    """

    urdf: str = "so101"
    target_frame_name: str = FRAME
    end_effector_step_sizes: Sizes = attrs.field(factory=Sizes)
    use_latched_reference: bool = True
    max_lead_m: float = 0.03

    def __attrs_post_init__(self) -> None:
        if self.max_lead_m <= 0:
            raise ValueError(f"max_lead_m is above 0, got {self.max_lead_m:g}")


@attrs.frozen(kw_only=True)
class SafetyConfig:
    """Where the gripper may go, and how fast.

    Attributes:
        end_effector_bounds: the box it stays in; a pose outside is moved to its nearest side.
        max_ee_step_m: farthest one turn may move it [m].
        on_jump: what becomes of a farther one: it is refused, which ends the run, or shortened.
    """

    end_effector_bounds: Bounds = attrs.field(factory=Bounds)
    max_ee_step_m: float = 0.05
    on_jump: Literal["refuse", "shorten"] = "refuse"

    def __attrs_post_init__(self) -> None:
        if self.max_ee_step_m <= 0:
            raise ValueError(f"max_ee_step_m is above 0, got {self.max_ee_step_m:g}")


@attrs.frozen(kw_only=True)
class GripperConfig:
    """The speed of a gripper, as its opening.

    Attributes:
        gripper: name of its joint.
        speed_factor: change of the opening per turn at speed 1 [%].
        clip_min: smallest opening [%].
        clip_max: largest opening [%].
    """

    gripper: str = "gripper"
    speed_factor: float = 20.0
    clip_min: float = 0.0
    clip_max: float = 100.0

    def __attrs_post_init__(self) -> None:
        if not self.clip_min < self.clip_max:
            raise ValueError(f"clip_min is below clip_max, got {self.clip_min:g} and {self.clip_max:g}")


@attrs.frozen(kw_only=True)
class KinematicsConfig:
    """From joints to the pose of the gripper, or back.

    Attributes:
        urdf: the robot's description: path of a .urdf file, or so101. Its joints are called as the robot's, and are zero where
            the robot's are.
        target_frame_name: link of it whose pose is meant.
        gripper: name of the gripper's joint, whose opening goes along with the pose.
    """

    urdf: str = "so101"
    target_frame_name: str = FRAME
    gripper: str = "gripper"
