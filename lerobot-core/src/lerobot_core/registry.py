"""From a type name to an object: components by role, and the `Choice` a user made."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import attrs

from lerobot_core import plugins, roles
from lerobot_core.components import Component
from lerobot_core.errors import LeRobotError, PluginError, did_you_mean, few
from lerobot_core.hookspecs import NOUNS
from lerobot_core.plugins import resolve as resolve

R = TypeVar("R")

_HOOKS: dict[type, str] = {
    roles.Robot: "lr_robots",
    roles.Teleoperator: "lr_teleoperators",
    roles.MotorBus: "lr_motor_buses",
    roles.Camera: "lr_cameras",
    roles.Policy: "lr_policies",
    roles.ProcessorStep: "lr_processor_steps",
    roles.DatasetBackend: "lr_dataset_backends",
    roles.Aggregator: "lr_aggregators",
    roles.Env: "lr_envs",
    roles.Tracker: "lr_trackers",
}

#: role → (hook that lists its components, what users call it)
ROLES = {role: (hook, NOUNS[hook]) for role, hook in _HOOKS.items()}

#: what to install when no plugin offers a role at all
USUAL_PROVIDER = {
    roles.DatasetBackend: "lerobot-datasets",
    roles.Policy: "lerobot-policies",
    roles.Aggregator: "lerobot-serve",
    roles.Robot: "lerobot-motors",
    roles.Teleoperator: "lerobot-motors",
    roles.Camera: "lerobot-motors",
    roles.MotorBus: "lerobot-motors",
}


class Listed(NamedTuple):
    """A component with the plugin and distribution that offer it."""

    component: Component
    plugin: str
    distribution: str


class Registry:
    """The components of one role, from every plugin of the present host."""

    def __init__(self, role: type) -> None:
        self.role = role
        hook, self.noun = ROLES[role]
        self.listed = [Listed(item, status.name, status.distribution) for status, item in plugins.host().call(hook)]

    def names(self) -> list[str]:
        return sorted({listed.component.name for listed in self.listed})

    def get(self, name: str) -> Listed:
        """The component of that name.

        Raises:
            PluginError: nobody offers it, or two distributions do.
        """
        found = [listed for listed in self.listed if listed.component.name == name]
        if len(found) == 1:
            return found[0]
        if found:
            offers = " and ".join(f"'{listed.distribution}'" for listed in found)
            raise PluginError(
                f"{self.noun} '{name}' is offered by {offers}",
                hint=f"uninstall one, or `lr plugins disable {found[-1].plugin}`",
            )
        raise PluginError(self._unknown(name), hint=self._advice())

    def _unknown(self, name: str) -> str:
        known = few(self.names(), 12) or "none installed"
        others = [noun for role, (_, noun) in ROLES.items() if name in Registry(role).names()]
        what = f"'{name}' is a {others[0]}, no {self.noun}" if others else f"unknown {self.noun} '{name}'"
        return f"{what}{did_you_mean(name, self.names())} (known: {known})"

    def _advice(self) -> str:
        advice = []
        if not self.listed and self.role in USUAL_PROVIDER:
            advice.append(f"pip install {USUAL_PROVIDER[self.role]}")
        broken = ", ".join(f"'{status.name}' ({status.error})" for status in plugins.host().broken)
        if broken:
            advice.append(f"it may be in a plugin that is left out: {broken}")
        return "; ".join(advice) or "`lr plugins` lists what is installed"


def registry(role: type) -> Registry:
    """The registry of a role."""
    return Registry(role)


def config_class(component: Component) -> type[Any]:
    """The class of a component's options.

    Raises:
        PluginError: it cannot be imported, or is no attrs class.
    """
    found: type[Any] = resolve(component.config)
    if not attrs.has(found):
        raise plugins.unusable(component.config, f"is no attrs class, so '{component.name}' has no options")
    return found


def missing(component: Component) -> tuple[str, str] | None:
    """(library, what to install for it) for the first one a component needs that is not there."""
    for need in component.needs:
        module, _, install = need.partition("=")
        try:
            found = importlib.util.find_spec(module)
        except (ImportError, ValueError):  # a package above it is missing
            found = None
        if found is None:
            return module, install or module
    return None


@attrs.frozen
class Choice(Generic[R]):
    """The component of a role that a user picked by `type`, with its validated config.

    Attributes:
        type: the component's name.
        config: its config object.
        component: where it comes from.
        path: folder of a checkpoint to load it from, where one was given.
    """

    type: str
    config: Any
    component: Component
    path: Path | None = None

    def build(self, **context: Any) -> R:
        """Import the implementation and make the object.

        Args:
            context: what only the caller knows, passed on as keyword arguments.

        Raises:
            PluginError: a library the component needs is missing, or its target cannot be imported.
        """
        if lacking := missing(self.component):
            library, install = lacking
            whose = plugins.offered_by(self.component.build)
            raise PluginError(
                f"'{self.type}' needs the library '{library}', which is not installed{whose}",
                hint=f'pip install "{install}"',
            )
        target = resolve(self.component.build)
        if not callable(target):
            raise plugins.unusable(self.component.build, f"cannot be called, so '{self.type}' cannot be built")
        try:
            if self.path is None:
                built: R = target(self.config, **context)
            else:
                built = target.from_pretrained(self.path, config=self.config, **context)
        except LeRobotError:
            raise
        except Exception as failure:  # a bug of whoever wrote it: the traceback stays and says whose it is
            failure.add_note(f"while '{self.type}' was built{plugins.offered_by(self.component.build)}")
            raise
        return built
