"""Finds packages by LeRobot's convention, `lerobot_robot_NAME` and `lerobot_teleoperator_NAME`, without importing them."""

import sys
from pathlib import Path

from lerobot_core.components import Component, hookimpl


def _offers(kind):
    found = {info.name.partition("-")[0] for at in sys.path for info in Path(at).glob(f"lerobot_{kind}_*.dist-info")}
    targets = {package.split("_", 2)[2]: f"lr_bridge.foreign:{package}" for package in sorted(found)}
    return [Component(name, f"{at}.options", f"{at}.build", f"A {kind} for LeRobot") for name, at in targets.items()]


@hookimpl
def lr_robots():
    return _offers("robot")


@hookimpl
def lr_teleoperators():
    return _offers("teleoperator")
