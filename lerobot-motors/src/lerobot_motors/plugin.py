"""What lerobot-motors offers: components and commands by import string."""

from __future__ import annotations

from lerobot_core.components import Component, hookimpl


@hookimpl
def lr_robots() -> list[Component]:
    config, build = "lerobot_motors.robots.configs:SoFollowerConfig", "lerobot_motors.robots.so_follower:SoFollower"
    return [
        Component("so101_follower", config, build, "SO-101 arm, driven"),
        Component("so100_follower", config, build, "SO-100 arm, driven"),
    ]


@hookimpl
def lr_teleoperators() -> list[Component]:
    folder = "lerobot_motors.teleoperators"
    config, build = f"{folder}.configs:SoLeaderConfig", f"{folder}.so_leader:SoLeader"
    return [
        Component("so101_leader", config, build, "SO-101 arm, held by a person"),
        Component("so100_leader", config, build, "SO-100 arm, held by a person"),
    ]


@hookimpl
def lr_motor_buses() -> list[Component]:
    feetech = "lerobot_motors.buses.feetech"
    return [
        Component(
            "feetech", f"{feetech}.config:FeetechConfig", f"{feetech}.bus:FeetechBus", "Feetech STS and SMS servos"
        )
    ]
