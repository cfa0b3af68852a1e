"""Options of the motor bus. Plain data: naming a bus opens nothing."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class {{ cookiecutter.class_name }}MotorBusConfig:
    """The servos on the wire. The lines below are the help of each option.

    Attributes:
        motors: id of each servo, by the name of its joint.
    """

    motors: dict[str, int] = attrs.field(factory=lambda: {"shoulder": 1, "elbow": 2, "gripper": 3})

    def __attrs_post_init__(self) -> None:
        ids = list(self.motors.values())
        if not ids or len(set(ids)) < len(ids) or not all(0 <= number < 254 for number in ids):
            raise ValueError(f"motors have different ids from 0 to 253, got {ids or 'none'}")
