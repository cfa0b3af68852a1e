"""Discovery and loading of plugins. One broken plugin costs one line on stderr and nothing else.

Plugins come from the entry-point group `lerobot` and from single files (`--plugin file.py`). They are registered with
pluggy after each was loaded under guard; pluggy's own entry-point loader is not used because one failing import would end
the host. Environment: `LR_BLOCK_PLUGINS` (names, comma separated) leaves plugins out, `LR_STRICT_PLUGINS=1` turns a broken
plugin into an error, `LR_PLUGIN_SECONDS` is the time each may take.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pluggy

from lerobot_core import API_VERSION, hookspecs, plugin, preferences
from lerobot_core.components import PROJECT
from lerobot_core.containment import Overrun, contained, seconds_of
from lerobot_core.errors import PluginError, did_you_mean, printable
from lerobot_core.imports import import_target
from lerobot_core.installed import canonical, entry_points
from lerobot_core.offers import checked

#: time a plugin module or a registration hook may take [s], unless `LR_PLUGIN_SECONDS` says otherwise
SECONDS = 5.0
#: a failure is told in so many characters
_LONGEST = 300


class PluginStatus(NamedTuple):
    """What became of one plugin.

    Attributes:
        name: entry-point name, or the stem of a single file.
        distribution: the installed distribution that offers it, or the file's path.
        version: that distribution's version.
        hooks: names of the hooks it implements.
        error: why it is not usable; empty when it is.
        ms: time its module took to import [ms].
        notes: what it did that a plugin should not, though it is usable.
    """

    name: str
    distribution: str
    version: str
    hooks: tuple[str, ...] = ()
    error: str = ""
    ms: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def who(self) -> str:
        return f"plugin '{self.name}' of {self.distribution} {self.version}".strip()

    @property
    def registered(self) -> str:
        """Its name in pluggy."""
        return f"{self.distribution}:{self.name}"


class Host:
    """A plugin manager with the state of each plugin. Made once per process by `host()`; tests make their own."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.statuses: list[PluginStatus] = []
        self._seconds = seconds_of("LR_PLUGIN_SECONDS", SECONDS)
        self._offers: dict[tuple[str, str], list[Any]] = {}
        #: plugins asked for by hand, as they are written after `--plugin`
        self.given: list[str] = []

    def discover(self) -> None:
        """Load every installed plugin that the user wants.

        Raises:
            ConfigError: the file with the user's choice cannot be read.
            PluginError: a plugin is broken, and `LR_STRICT_PLUGINS` is 1.
        """
        wanted = preferences.read()
        for entry in entry_points():
            namesakes = [status for status in self.statuses if status.name == entry.name]
            refusal = wanted.refusal(entry.name, entry.distribution)
            if refusal:
                self._note(entry.name, entry.distribution, entry.version, error=refusal)
                continue
            status = self._load(entry.name, entry.distribution, entry.version, entry.load)
            if status.error:
                _report(status)
            elif namesakes:
                note = f"{namesakes[0].distribution} has a plugin of this name too; use the distribution's to tell them"
                self.statuses[-1] = status._replace(notes=(*status.notes, note))

    def add_given(self, text: str) -> None:
        """Load what a user wrote after `--plugin`: the path of a file, or the name of a module.

        Raises:
            PluginError: it does not exist or is broken; unlike an installed plugin it was asked for by name.
        """
        is_name = re.fullmatch(r"\w+(\.\w+)+", text) and not text.endswith(".py")
        if is_name and not Path(text).exists():
            self._add(text, text, lambda: importlib.import_module(text))
        else:
            self.add_file(Path(text))

    def add_file(self, path: Path) -> None:
        """Load a single-file plugin.

        Raises:
            PluginError: the file is missing or broken.
        """
        if not path.is_file():
            hint = "give --plugin a .py file, or a module such as my_arm.plugin"
            raise PluginError(f"plugin file '{path}' does not exist", plugin=path.stem, hint=hint)
        self._add(path.stem, str(path), lambda: _import_file(path))

    def _add(self, name: str, place: str, load: Any) -> None:
        status = self._load(name, place, "", load, nullcontext())
        if status.error:
            hint = "correct it; a module must be one that Python can import"
            raise PluginError(f"plugin '{place}' is broken: {status.error}", plugin=name, hint=hint)
        self.given.append(place)

    def _load(
        self, name: str, distribution: str, version: str, load: Any, guard: AbstractContextManager[Any] | None = None
    ) -> PluginStatus:
        """Import and register a plugin under guard; a file that somebody wrote for this call may do what it wants."""
        start, known = time.perf_counter(), len(sys.modules)
        registered, error = f"{distribution}:{name}", ""
        hooks: tuple[str, ...] = ()
        notes: list[str] = []
        try:
            with guard or contained(notes, self._seconds):
                module = load()
                _check_api(module)
                hooks = _hooks(module)
                self.manager.register(module, name=registered)
        except KeyboardInterrupt:
            raise
        except BaseException as failure:  # a plugin may raise SystemExit while it is imported; the host stays up
            self.manager.unregister(name=registered)  # pluggy keeps what it refused
            hooks, error = (), in_one_line(failure)
        else:
            notes += [] if guard else _heavy(known, getattr(module, "__name__", ""))
        ms = (time.perf_counter() - start) * 1e3
        return self._note(name, distribution, version, hooks=hooks, error=error, ms=ms, notes=tuple(notes))

    def _note(self, name: str, distribution: str, version: str, **rest: Any) -> PluginStatus:
        self.statuses.append(PluginStatus(name, distribution, version, **rest))
        return self.statuses[-1]

    @property
    def broken(self) -> list[PluginStatus]:
        return [status for status in self.statuses if status.error]

    def call(self, hook: str) -> Iterator[tuple[PluginStatus, Any]]:
        """(plugin, item) for every item returned by a registration hook; a hook that raises marks its plugin broken."""
        for index, status in enumerate(self.statuses):
            if status.error or hook not in status.hooks:
                continue
            for item in self._offered(index, hook):
                yield self.statuses[index], item

    def _offered(self, index: int, hook: str) -> list[Any]:
        """What one plugin offers through one hook, which is called once."""
        status = self.statuses[index]
        key = (status.registered, hook)
        if key in self._offers:
            return self._offers[key]
        notes: list[str] = []
        try:
            with contained(notes, self._seconds):
                offered = checked(hook, getattr(self.manager.get_plugin(status.registered), hook)())
                _check_reserved(status, hook, offered)
        except KeyboardInterrupt:
            raise
        except BaseException as failure:
            self.manager.unregister(name=status.registered)
            self.statuses[index] = status._replace(error=f"{hook} failed: {in_one_line(failure)}")
            _report(self.statuses[index])
            return []
        self.statuses[index] = status._replace(notes=status.notes + tuple(f"{hook} {note}" for note in notes))
        return self._offers.setdefault(key, offered)

    def offering(self, target: str) -> PluginStatus | None:
        """The plugin that offers something with this import string."""
        for (registered, _), items in self._offers.items():
            if any(target in (item if isinstance(item, tuple) else (item,)) for item in items):
                return next(status for status in self.statuses if status.registered == registered)
        return None

    def notify(self, hook: str, **what: Any) -> None:
        """Tell every observer of a hook. One that raises costs a line on stderr; what it watches goes on."""
        for observer in getattr(self.manager.hook, hook).get_hookimpls():
            try:
                observer.function(**{name: what[name] for name in observer.argnames})
            except (Exception, SystemExit) as failure:
                print(f"lr: {hook} of plugin '{observer.plugin_name}' failed: {in_one_line(failure)}", file=sys.stderr)


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


def resolve(target: str) -> Any:
    """Import the object behind "module:attribute".

    Raises:
        PluginError: the text is no such target, or importing it failed.
    """
    try:
        if not target.partition(":")[2]:
            raise ValueError("it is not written as 'module:attribute'")
        return import_target(target)
    except (Exception, SystemExit) as failure:
        raise unusable(target, f"cannot be imported: {in_one_line(failure)}") from failure


def unusable(target: str, why: str) -> PluginError:
    """The error for an import string that is no good, with the plugin that offers it and how to do without."""
    owner = _host and _host.offering(target)
    fix = f"`lr plugins disable {owner.name}` leaves it out" if owner else "is everything it needs installed?"
    return PluginError(f"'{target}' {why}{offered_by(target)}", hint=f"{fix}; LR_DEBUG=1 shows where")


def offered_by(target: str) -> str:
    """ " (plugin 'x' of x-dist 1.0)" for the import string of something that a plugin offers, or an empty string."""
    owner = _host and _host.offering(target)
    return f" ({owner.who})" if owner else ""


def _report(status: PluginStatus) -> None:
    """One line for a broken plugin; in strict mode an error."""
    if os.environ.get("LR_STRICT_PLUGINS") == "1":
        raise PluginError(f"{status.who}: {status.error}", plugin=status.name, distribution=status.distribution)
    fix = f"update {status.distribution}, or `lr plugins disable {status.name}`"
    print(f"lr: {status.who} is left out: {status.error}; {fix}", file=sys.stderr)


def in_one_line(failure: BaseException) -> str:
    """An exception as one printable line, whatever its author made of it."""
    kind = "" if isinstance(failure, PluginError | Overrun) else f"{type(failure).__name__}: "
    try:
        text = " ".join(f"{kind}{failure}".split())
    except Exception as worse:
        text = f"{kind}its message cannot be shown ({type(worse).__name__})"
    return printable(text[:_LONGEST])


def _heavy(known: int, module: str) -> Iterator[str]:
    """A remark when a plugin module imported more than a manifest needs; `known` modules were there before."""
    new = dict.fromkeys(name.partition(".")[0] for name in islice(list(sys.modules), known, None))
    own = {module.partition(".")[0], "lerobot_core"}
    foreign = [name for name in new if name not in own and name not in sys.stdlib_module_names]
    if foreign:
        more = f" and {len(foreign) - 1} more" if foreign[1:] else ""
        yield f"imports {foreign[0]}{more} when it is only listed; import that where it is used"


def _check_reserved(status: PluginStatus, hook: str, offered: list[Any]) -> None:
    """Core's own commands are nobody else's: with them a user finds out what is wrong."""
    if hook != "lr_commands" or canonical(status.distribution) == preferences.CORE:
        return
    own = {command.name.split(" ")[0] for command in plugin.lr_commands()}
    for command in offered:
        if command.name.split(" ")[0] in own:
            raise PluginError(f"command '{command.name}' is lerobot-core's own; choose another name")


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
        if marked and inspect.iscoroutinefunction(value):
            raise PluginError(f"'{name}' is async; a hook is a plain function")
        if marked:
            found.append(name)
    return tuple(found)


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
