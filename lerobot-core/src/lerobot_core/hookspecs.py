"""Every hook a plugin may implement, in the order of a part's life. The docstring of a hook is its contract.

A hook may take fewer arguments than listed here, so that adding one never breaks a plugin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pluggy

from lerobot_core.components import PROJECT, Command, Component

hookspec = pluggy.HookspecMarker(PROJECT)

#: hook that lists the components of a role → what users call the role
NOUNS = {
    "lr_robots": "robot",
    "lr_teleoperators": "teleoperator",
    "lr_motor_buses": "motor bus",
    "lr_cameras": "camera",
    "lr_policies": "policy",
    "lr_processor_steps": "processor step",
    "lr_dataset_backends": "dataset backend",
    "lr_aggregators": "aggregator",
    "lr_envs": "environment",
    "lr_trackers": "tracker",
}

# --- registration: called once, when a role is first looked at; must import no implementation -------------------------


@hookspec
def lr_robots() -> Iterable[Component]:
    """Robots: `roles.Robot`, built from their config."""
    return ()


@hookspec
def lr_teleoperators() -> Iterable[Component]:
    """Teleoperators: `roles.Teleoperator`, built from their config."""
    return ()


@hookspec
def lr_motor_buses() -> Iterable[Component]:
    """Motor buses: `roles.MotorBus`, built from their config."""
    return ()


@hookspec
def lr_cameras() -> Iterable[Component]:
    """Cameras: `roles.Camera`, built from their config."""
    return ()


@hookspec
def lr_policies() -> Iterable[Component]:
    """Policies: `roles.Policy`; the target also has `from_pretrained(path, config=…)`."""
    return ()


@hookspec
def lr_processor_steps() -> Iterable[Component]:
    """Steps of the control loop: `roles.ProcessorStep`, built from their config."""
    return ()


@hookspec
def lr_dataset_backends() -> Iterable[Component]:
    """Storage formats: `roles.DatasetBackend`, built from their config."""
    return ()


@hookspec
def lr_aggregators() -> Iterable[Component]:
    """Ways to merge overlapping action chunks: `roles.Aggregator`, built from their config."""
    return ()


@hookspec
def lr_envs() -> Iterable[Component]:
    """Simulated tasks: `roles.Env`, built from their config."""
    return ()


@hookspec
def lr_trackers() -> Iterable[Component]:
    """Where training numbers go: `roles.Tracker`, built from their config."""
    return ()


# --- the command line -------------------------------------------------------------------------------------------------


@hookspec
def lr_commands() -> Iterable[Command]:
    """Subcommands of `lr`. The help line stands in the Command, so that `lr --help` imports none of them."""
    return ()


@hookspec
def lr_info() -> Iterable[str]:
    """ "module:function" targets for `lr info`; each returns a dict of name → finding and runs in a subprocess of its own."""
    return ()


# --- observers --------------------------------------------------------------------------------------------------------


@hookspec
def lr_episode_saved(episode: int, dataset: Mapping[str, Any]) -> None:
    """An episode was committed. `dataset` holds its `repo_id` and `root`, where the backend has them."""


@hookspec
def lr_checkpoint_saved(path: Path, step: int) -> None:
    """A checkpoint folder was written completely."""
