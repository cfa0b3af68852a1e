"""A package of LeRobot's ecosystem in `lr`'s terms, made when asked for: `foreign:PACKAGE.options` and `foreign:PACKAGE.build`."""

import dataclasses
import importlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import attrs
import draccus

from lerobot_core.config import without_none
from lerobot_core.errors import DeviceError, DeviceTimeout, NotConnected
from lerobot_core.guard import check_action


@cache
def __getattr__(package):
    if not package.startswith("lerobot_"):
        raise AttributeError(package)
    kind, name = package.split("_", 2)[1:]
    module, home = importlib.import_module(package), importlib.import_module(f"lerobot.{kind}s")
    config = getattr(home, f"{kind.title()}Config").get_known_choices().get(name)
    if config is None:
        raise AttributeError(f"'{package}' registers no {kind} '{name}'")
    device = _device(getattr(module, config.__name__.removesuffix("Config")))
    return SimpleNamespace(options=_options(config), build=lambda options: device(options.foreign()))


def _options(kind):
    """An attrs class with the fields of a dataclass, which checks what is given by making the dataclass."""
    hints, fields = get_type_hints(kind), [field for field in dataclasses.fields(kind) if field.init]
    known = {field.name: without_none(hints[field.name]) in (bool, int, float, str, Path) for field in fields}
    body = {"__annotations__": {name: hints[name] if plain else Any for name, plain in known.items()}}
    for field in fields:
        if field.default_factory is not dataclasses.MISSING:
            body[field.name] = attrs.field(factory=lambda make=field.default_factory: draccus.encode(make()))
        elif field.default is not dataclasses.MISSING:
            body[field.name] = draccus.encode(field.default)

    def foreign(options):
        cameras = getattr(options, "cameras", None)
        for camera in cameras.values() if isinstance(cameras, dict) else ():
            with suppress(ImportError, AttributeError):  # the library's own cameras are known once imported
                importlib.import_module(f"lerobot.cameras.{camera.get('type')}")
        try:
            return draccus.decode(kind, {name: draccus.encode(getattr(options, name)) for name in known})
        except draccus.utils.DraccusException as failure:
            raise ValueError(f"{failure} {failure.__cause__ or ''}".strip()) from failure

    body |= {"__doc__": kind.__doc__, "foreign": foreign, "__attrs_post_init__": foreign}
    return attrs.frozen(kw_only=True)(type(kind.__name__, (), body))


def _device(kind):
    """The device's class, with refusals and errors of ours, and a `disconnect` for any time."""

    def ours(name, method):
        def call(self, *args, **options):
            if name == "disconnect" and not self.is_connected:
                return None
            if name == "send_action":
                check_action(*args, self)
            try:
                return method(self, *args, **options)
            except OSError as failure:
                broken = DeviceError if self.is_connected else NotConnected
                error = DeviceTimeout if isinstance(failure, TimeoutError) else broken
                raise error(f"'{self.name}': {failure}", device=self.name) from failure

        return call

    calls = ("connect", "calibrate", "get_observation", "send_action", "get_action", "disconnect")
    return type(
        kind.__name__, (kind,), {name: ours(name, getattr(kind, name)) for name in calls if hasattr(kind, name)}
    )
