"""All that a plugin module needs: `Component`, `Command`, `hookimpl`.

A plugin module is a manifest written in Python. It imports this module and the standard library only, so that listing
plugins never imports an implementation; targets are strings, imported when a user picks them.

    from lerobot_core.components import Component, hookimpl

    @hookimpl
    def lr_robots():
        return [Component("my_arm", "my_arm.config:MyArmConfig", "my_arm.robot:MyArm", "My six-axis arm")]
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pluggy

#: Name of the plugin project: the entry-point group and the pluggy marker.
PROJECT = "lerobot"

hookimpl = pluggy.HookimplMarker(PROJECT)


class Component(NamedTuple):
    """One implementation of a role, by import string.

    Attributes:
        name: what users type as `type`, e.g. `so101_follower`.
        config: "module:attribute" of the attrs class that holds its options.
        build: "module:attribute" of the class (or function) called with that config to make the object.
        summary: one line for listings.
        needs: optional libraries as "module=what to install", e.g. "cv2=lerobot-motors[opencv]"; checked before building.
        example: options with which it works with no hardware, data or network; `lr plugins --check` builds it with them.
        suite: "module:attribute" of a subclass of the role's conformance suite that knows more about it, such as its limits;
            the role's own suite when empty.
    """

    name: str
    config: str
    build: str
    summary: str
    needs: tuple[str, ...] = ()
    example: Mapping[str, Any] = MappingProxyType({})
    suite: str = ""


class Command(NamedTuple):
    """One subcommand of `lr`.

    Attributes:
        name: what users type; a space makes a group, e.g. "dataset info".
        target: "module:attribute" of a click command.
        summary: the help line; kept here so that `lr --help` imports no command.
        suite: as of a Component.
    """

    name: str
    target: str
    summary: str
    suite: str = ""
