"""What a registration hook returned, checked, so that nobody meets a stranger's garbage later. *Pure*."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from lerobot_core.components import Command, Component
from lerobot_core.errors import PluginError

_RETURNS: dict[str, type] = {"lr_commands": Command, "lr_info": str}
_MOST = 1000
_SUMMARY = 200
_TARGET = r"\w+(\.\w+)*:\w+(\.\w+)*"
_WORD = r"[\w.+-]+"
_WORDS = rf"{_WORD}( {_WORD})*"


def checked(hook: str, returned: Any) -> list[Any]:
    """The Components, Commands or strings a hook returned.

    Raises:
        PluginError: something in it is not what that hook returns.
    """
    kind = _RETURNS.get(hook, Component)
    if isinstance(returned, str | Mapping) or not isinstance(returned, Iterable):
        raise PluginError(f"it returned {returned!r}, not a list of {kind.__name__}")
    items = list(islice(returned, _MOST + 1))
    if len(items) > _MOST:
        raise PluginError(f"it returned more than {_MOST} items")
    return [_item(kind, item) for item in items]


def _item(kind: type, item: Any) -> Any:
    of_another_hook = isinstance(item, Component | Command) and not isinstance(item, kind)
    if of_another_hook or not isinstance(item, str if kind is str else tuple):
        raise PluginError(f"expected a {kind.__name__}, got {item!r}")
    if kind is str:
        _check_target(item, "it")
        return item
    made = kind(*item)
    name, summary = made.name, made.summary
    if not isinstance(name, str) or not re.fullmatch(_WORDS if kind is Command else _WORD, name):
        raise PluginError(f"{name!r} is no name: letters, digits and . _ + - only")
    if not isinstance(summary, str) or len(summary) > _SUMMARY or not summary.isprintable():
        raise PluginError(f"the summary of '{name}' is not one printable line of at most {_SUMMARY} characters")
    for field in ("target", "suite") if kind is Command else ("config", "build", "suite"):
        if field != "suite" or made.suite:
            _check_target(getattr(made, field), f"{field} of '{name}'")
    if kind is Component:
        _check_extras(made)
    return made


def _check_extras(component: Component) -> None:
    needs, example = component.needs, component.example
    if isinstance(needs, str) or not all(isinstance(need, str) and need for need in needs):
        raise PluginError(f"needs of '{component.name}' is not a tuple such as (\"cv2=opencv-python\",), got {needs!r}")
    if not isinstance(example, Mapping):
        raise PluginError(f"example of '{component.name}' is not a mapping of options, got {example!r}")


def _check_target(target: Any, what: str) -> None:
    if not isinstance(target, str) or not re.fullmatch(_TARGET, target):
        raise PluginError(f"{what} is not written as 'module:attribute', got {target!r}")
