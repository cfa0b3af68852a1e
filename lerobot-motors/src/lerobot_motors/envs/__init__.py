"""Simulated embodiments: a world of objects around an emulated arm.

The arm is the emulated one, byte for byte: `emulated://so101`. A camera of the type `simulated` starts a world around it, in a
process of its own; the emulated servos say where the simulated arm is, and what it touches moves. Needs the extra `[sim]`.

    world = envs.state("so101")
    world.cube, world.in_zone      # where the cube is (3,) [m], and whether it lies in the zone
    world.reset(seed=3)            # put it somewhere else
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lerobot_motors.envs.view import OpenWorld, WorldState, open_world, state

__all__ = ["OpenWorld", "WorldState", "open_world", "state"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.view"), name)
