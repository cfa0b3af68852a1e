"""Discovery and loading of plugins. One broken plugin costs one line on stderr and nothing else.

Plugins come from the entry-point group `lerobot` and from single files (`--plugin file.py`). They are registered with
pluggy after each was loaded under guard; pluggy's own entry-point loader is not used because one failing import would end
the host. Environment: `LR_BLOCK_PLUGINS` (names, comma separated) leaves plugins out, `LR_STRICT_PLUGINS=1` turns a broken
plugin into an error.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pluggy

from lerobot_core import API_VERSION, hookspecs
from lerobot_core.components import PROJECT, Command, Component
from lerobot_core.errors import PluginError, did_you_mean

#: what a registration hook returns, where it is no Component
_RETURNS: dict[str, type] = {"lr_commands": Command, "lr_info": str}


#: file with name and version, by the ending of a metadata folder
_METADATA = {".dist-info": "METADATA", ".egg-info": "PKG-INFO"}


class EntryPoint(NamedTuple):
    """Where an installed distribution says its plugin module is."""

    name: str
    target: str
    distribution: str
    version: str

    def load(self) -> Any:
        """Import the plugin: a module, or "module:attribute"."""
        module, _, attribute = self.target.partition(":")
        found: Any = importlib.import_module(module)
        for part in filter(None, attribute.split(".")):
            found = getattr(found, part)
        return found


class PluginStatus(NamedTuple):
    """What became of one plugin.

    Attributes:
        name: entry-point name, or the stem of a single file.
        distribution: the installed distribution that offers it, or the file's path.
        version: that distribution's version.
        hooks: names of the hooks it implements.
        error: why it is not usable; empty when it is.
        ms: time its module took to import [ms].
    """

    name: str
    distribution: str
    version: str
    hooks: tuple[str, ...]
    error: str
    ms: float


class Host:
    """A plugin manager with the state of each plugin. Made once per process by `host()`; tests make their own."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.statuses: list[PluginStatus] = []

    def discover(self) -> None:
        """Load every installed plugin that is not blocked."""
        blocked = {name.strip() for name in os.environ.get("LR_BLOCK_PLUGINS", "").split(",")}
        for entry in entry_points():
            if entry.name in blocked:
                self._note(entry.name, entry.distribution, entry.version, error="blocked by LR_BLOCK_PLUGINS")
            else:
                self._load(entry.name, entry.distribution, entry.version, entry.load)

    def add_file(self, path: Path) -> None:
        """Load a single-file plugin.

        Raises:
            PluginError: the file is missing or broken; unlike an installed plugin it was asked for by name.
        """
        if not path.is_file():
            raise PluginError(f"plugin file '{path}' does not exist", plugin=path.stem, hint="give --plugin a .py file")
        status = self._load(path.stem, str(path), "", lambda: _import_file(path))
        if status.error:
            raise PluginError(
                f"plugin file '{path}' is broken: {status.error}", plugin=path.stem, hint="correct the file"
            )

    def _load(self, name: str, distribution: str, version: str, load: Any) -> PluginStatus:
        start = time.perf_counter()
        registered, error = f"{distribution}:{name}", ""
        hooks: tuple[str, ...] = ()
        try:
            module = load()
            _check_api(module)
            hooks = _hooks(module)
            self.manager.register(module, name=registered)
        except KeyboardInterrupt:
            raise
        except BaseException as failure:  # a plugin may raise SystemExit while it is imported; the host stays up
            self.manager.unregister(name=registered)  # pluggy keeps what it refused
            hooks, error = (), _line(failure)
        return self._note(name, distribution, version, hooks, error, (time.perf_counter() - start) * 1e3)

    def _note(
        self, name: str, distribution: str, version: str, hooks: tuple[str, ...] = (), error: str = "", ms: float = 0.0
    ) -> PluginStatus:
        status = PluginStatus(name, distribution, version, hooks, error, ms)
        self.statuses.append(status)
        if error and not error.startswith("blocked"):
            _report(status)
        return status

    @property
    def broken(self) -> list[PluginStatus]:
        return [status for status in self.statuses if status.error]

    def call(self, hook: str) -> Iterator[tuple[PluginStatus, Any]]:
        """(plugin, item) for every item returned by a registration hook; a hook that raises marks its plugin broken."""
        for index, status in enumerate(self.statuses):
            if status.error or hook not in status.hooks:
                continue
            registered = f"{status.distribution}:{status.name}"
            try:
                items = [_item(hook, item) for item in getattr(self.manager.get_plugin(registered), hook)()]
            except (Exception, SystemExit) as failure:
                self.manager.unregister(name=registered)
                self.statuses[index] = status._replace(error=f"{hook} failed: {_line(failure)}")
                _report(self.statuses[index])
                continue
            for item in items:
                yield status, item

    def notify(self, hook: str, **what: Any) -> None:
        """Tell every observer of a hook. One that raises costs a line on stderr; what it watches goes on."""
        for observer in getattr(self.manager.hook, hook).get_hookimpls():
            try:
                observer.function(**{name: what[name] for name in observer.argnames})
            except Exception as failure:
                print(f"lr: {hook} of plugin '{observer.plugin_name}' failed: {_line(failure)}", file=sys.stderr)


_host: Host | None = None


def host() -> Host:
    """The process's host, with every installed plugin loaded on first use."""
    global _host
    if _host is None:
        _host = Host()
        _host.discover()
    return _host


def use(replacement: Host | None) -> Host | None:
    """Replace the process's host (tests); returns the former one. None makes the next `host()` discover anew."""
    global _host
    former, _host = _host, replacement
    return former


def entry_points(paths: Iterable[str] | None = None) -> list[EntryPoint]:
    """Every entry point of the group `lerobot` in the distributions installed on `sys.path`, by name.

    Reads the metadata folders itself: importing importlib.metadata costs a third of `lr --help`. Of two installations of a
    distribution the one found first counts, as for imports.
    """
    found: dict[tuple[str, str], EntryPoint] = {}
    for folder in dict.fromkeys(sys.path if paths is None else paths):
        if not os.path.isdir(folder or "."):
            continue
        for entry in os.scandir(folder or "."):
            metadata = _METADATA.get(os.path.splitext(entry.name)[1])
            if metadata is None:
                continue
            try:
                text = Path(entry.path, "entry_points.txt").read_text()
            except OSError:  # most distributions have none
                continue
            if f"[{PROJECT}]" in text:
                distribution, version = _name_and_version(Path(entry.path, metadata))
                for name, target in _section(text):
                    found.setdefault((distribution, name), EntryPoint(name, target, distribution, version))
    return sorted(found.values(), key=lambda entry: (entry.name, entry.distribution))


def _section(text: str) -> Iterator[tuple[str, str]]:
    """(name, target) of each line in the plugin group of an entry_points.txt."""
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line[1:-1].strip()
        elif section == PROJECT and "=" in line and line[0] not in "#;":
            name, _, target = line.partition("=")
            yield name.strip(), target.strip()


def _name_and_version(metadata: Path) -> tuple[str, str]:
    """Name and version of a distribution, from the head of its metadata file."""
    head: dict[str, str] = {}
    for line in metadata.read_text(errors="replace").splitlines():
        key, colon, value = line.partition(":")
        if not colon:
            break
        head.setdefault(key.lower(), value.strip())
    return head.get("name", metadata.parent.stem), head.get("version", "")


def _report(status: PluginStatus) -> None:
    """One line for a broken plugin; in strict mode an error."""
    who = f"plugin '{status.name}' of {' '.join(status[1:3]).strip()}"
    if os.environ.get("LR_STRICT_PLUGINS") == "1":
        raise PluginError(f"{who}: {status.error}", plugin=status.name, distribution=status.distribution)
    print(f"lr: {who} is left out: {status.error}", file=sys.stderr)


def _line(failure: BaseException) -> str:
    kind = "" if isinstance(failure, PluginError) else f"{type(failure).__name__}: "
    return " ".join(f"{kind}{failure}".split())


def _hooks(module: Any) -> tuple[str, ...]:
    """Names of the hooks a plugin implements. A misspelt or unmarked hook is refused: it would silently do nothing."""
    known = {name for name in vars(hookspecs) if name.startswith("lr_")}
    found = []
    for name, value in vars(module).items():
        marked = hasattr(value, f"{PROJECT}_impl")
        if (marked or name.startswith("lr_")) and name not in known:
            raise PluginError(f"unknown hook '{name}'{did_you_mean(name, known)}")
        if name in known and not marked:
            raise PluginError(f"'{name}' is not marked with @hookimpl")
        if marked:
            found.append(name)
    return tuple(found)


def _item(hook: str, item: Any) -> Any:
    """One thing a registration hook returned, as what that hook must return."""
    kind = _RETURNS.get(hook, Component)
    if not isinstance(item, str if kind is str else tuple):
        raise TypeError(f"expected {kind.__name__}s, got {item!r}")
    return item if kind is str else kind(*item)


def _import_file(path: Path) -> ModuleType:
    there = sys.modules.get(path.stem)
    if path.stem in sys.stdlib_module_names or (there is not None and there.__file__ != str(path)):
        raise PluginError(f"its name '{path.stem}' is that of another module; rename the file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"'{path}' is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    folder = str(path.parent.resolve())
    if folder not in sys.path:  # a process that this one spawns gets the path, and so finds the module by its name
        sys.path.append(folder)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module


def _check_api(module: Any) -> None:
    declared = getattr(module, "LR_CORE", None)
    if declared is not None and not _admits(declared, API_VERSION):
        raise PluginError(f"built for lerobot-core {declared}, this is {API_VERSION}")


def _admits(declared: str, version: str) -> bool:
    """Whether a range such as ">=0.1,<0.2" holds the version; only >=, >, <=, < and == are known."""

    def numbers(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in text.strip().split("."))

    for clause in declared.split(","):
        found = re.fullmatch(r"\s*(>=|<=|==|>|<)\s*(\d+(?:\.\d+)*)\s*", clause)
        if found is None:
            raise PluginError(f"LR_CORE '{declared}' is not a range such as '>=0.1,<0.2'")
        compare, bound = found.group(1), numbers(found.group(2))
        have = numbers(version)
        width = max(len(have), len(bound))
        have, bound = have + (0,) * (width - len(have)), bound + (0,) * (width - len(bound))
        holds = {">=": have >= bound, "<=": have <= bound, "==": have == bound, ">": have > bound, "<": have < bound}
        if not holds[compare]:
            return False
    return True
