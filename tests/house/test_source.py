"""Rules of the source tree that a reader would otherwise have to check by eye."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest

from house import source
from house.source import Module, called, functions, imports, modules

SIBLINGS = {f"lerobot_{name}" for name in source.PACKAGES} - {"lerobot_core"}
TORCH = ("torch", "torchcodec")
MAY_IMPORT_TORCH = re.compile(
    r"lerobot_policies($|\.)|lerobot_datasets\.(dataset|batches|streaming|sampler|transforms|changes\.\w+|video\.decode|robomimic\.dataset)$|lerobot_core\.testing\.(policies|datasets|memory)$"
)
LONGEST_FUNCTION, LONGEST_MODULE, CORE_DEPENDENCIES = 70, 600, 7
#: 250 more than before the guard had limits and patience, and stopping a protocol: motors and serve drive robots through both;
#: 20 for steps that are told where the robot is, as kinematics must be in every command that has steps.
CORE_LINES = 4391


def crossing(module: Module) -> Iterator[str]:
    """Imports between distributions other than towards core."""
    own = module.name.split(".")[0]
    for name, line in imports(module):
        other = name.split(".")[0]
        if other in SIBLINGS - {own}:
            yield f"line {line} imports {name}; siblings meet in core's Protocols"


def torch_outside(module: Module) -> Iterator[str]:
    """Torch where a small computer must do without it."""
    for name, line in imports(module):
        if name.split(".")[0] == "torchvision":
            yield f"line {line} imports torchvision"
        elif name.split(".")[0] in TORCH and not MAY_IMPORT_TORCH.match(module.name):
            yield f"line {line} imports {name}"


def heavy_manifest(module: Module) -> Iterator[str]:
    """A plugin module that imports more than a manifest needs."""
    if not re.fullmatch(r"lerobot_\w+\.plugin", module.name):
        return
    for name, line in imports(module):
        if not name.startswith("lerobot_core.components.") and name.split(".")[0] not in sys.stdlib_module_names:
            yield f"line {line} imports {name}"


def runs_data(module: Module) -> Iterator[str]:
    """Ways to execute what a file or a peer sends."""
    for name, line in imports(module):
        if name.split(".")[0] in {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}:
            yield f"line {line} imports {name}"
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        if called(node) in {"eval", "exec", "torch.load", "os.system"}:
            yield f"line {node.lineno} calls {called(node)}"
        for keyword in node.keywords:
            on = isinstance(keyword.value, ast.Constant) and keyword.value.value is True
            if on and keyword.arg in ("allow_pickle", "shell"):
                yield f"line {node.lineno} sets {keyword.arg}"


def hides_errors(module: Module) -> Iterator[str]:
    """Broad handlers that do nothing."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            kind = ast.unparse(node.type) if node.type else "BaseException"
            nothing = all(isinstance(step, (ast.Pass, ast.Continue)) for step in node.body)
            if nothing and kind in ("Exception", "BaseException"):
                yield f"line {node.lineno} swallows {kind}"


def speaks_out_of_turn(module: Module) -> Iterator[str]:
    """Printing, asserting and stubs in library code."""
    if module.name.startswith("lerobot_core.testing"):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and called(node) == "print" and "file" not in {k.arg for k in node.keywords}:
            yield f"line {node.lineno} prints; commands use click.echo, libraries use logging"
        elif isinstance(node, ast.Assert):
            yield f"line {node.lineno} asserts; raise an error with a hint"
        elif isinstance(node, ast.Raise) and node.exc is not None and "NotImplementedError" in ast.unparse(node.exc):
            yield f"line {node.lineno} raises NotImplementedError"


def too_long(module: Module) -> Iterator[str]:
    """What does not fit a screen or a head."""
    lines = module.text.count("\n")
    if lines > LONGEST_MODULE:
        yield f"has {lines} lines, more than {LONGEST_MODULE}"
    for name, length in functions(module):
        if length > LONGEST_FUNCTION:
            yield f"function {name} has {length} lines, more than {LONGEST_FUNCTION}"


def unnamed(module: Module) -> Iterator[str]:
    """Modules without a sentence, or with a name that says nothing."""
    if not ast.get_docstring(module.tree):
        yield "has no docstring"
    if module.name.rpartition(".")[2] in {"utils", "util", "common", "base", "helpers", "misc"}:
        yield "has a name that says nothing"


def leftovers(module: Module) -> Iterator[str]:
    """Marks of unfinished work."""
    for number, line in enumerate(module.text.splitlines(), 1):
        if re.search(r"#.*\b(TODO|FIXME|XXX|HACK)\b", line):
            yield f"line {number}: {line.strip()}"


RULES = (
    crossing,
    torch_outside,
    heavy_manifest,
    runs_data,
    hides_errors,
    speaks_out_of_turn,
    too_long,
    unnamed,
    leftovers,
)

BROKEN = {
    crossing: ("lerobot_serve.queue", "def f():\n    import lerobot_motors.robots"),
    torch_outside: ("lerobot_core.loop", "from importlib import import_module\nimport_module('torch.nn')"),
    heavy_manifest: ("lerobot_motors.plugin", "from lerobot_core.registry import resolve"),
    runs_data: ("lerobot_policies.policy", "import torch\ntorch.load('x')"),
    hides_errors: ("lerobot_core.loop", "try:\n    f()\nexcept Exception:\n    pass"),
    speaks_out_of_turn: ("lerobot_core.loop", "print('x')"),
    too_long: ("lerobot_core.loop", "def f():\n" + "    x = 1\n" * 71),
    unnamed: ("lerobot_core.utils", "'''Doc.'''"),
    leftovers: ("lerobot_core.loop", "x = 1  # TODO: later"),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Callable[[Module], Iterator[str]]) -> None:
    found = [f"{module.path}: {problem}" for module in modules() for problem in rule(module)]
    assert not found, "\n".join([rule.__doc__ or "", *found])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_can_fail(rule: Callable[[Module], Iterator[str]]) -> None:
    name, text = BROKEN[rule]
    assert list(rule(Module(name, "x.py", text, ast.parse(text))))


def test_relative_imports_are_followed() -> None:
    text = "from ..buses import feetech\nfrom . import tables"
    module = Module("lerobot_motors.robots.so101", "x.py", text, ast.parse(text))
    assert [name for name, _ in imports(module)] == ["lerobot_motors.buses.feetech", "lerobot_motors.robots.tables"]


def test_core_stays_small() -> None:
    lines = sum(
        module.text.count("\n")
        for module in modules()
        if module.name.startswith("lerobot_core") and ".testing" not in module.name
    )
    assert lines <= CORE_LINES


DISTRIBUTIONS = ("core", "motors", "datasets", "policies", "serve")


def project(name: str) -> dict[str, Any]:
    """The [project] table of a distribution."""
    found: dict[str, Any] = tomllib.loads((source.ROOT / f"lerobot-{name}" / "pyproject.toml").read_text())["project"]
    return found


def test_core_needs_little() -> None:
    assert len(project("core")["dependencies"]) <= CORE_DEPENDENCIES


@pytest.mark.parametrize("name", DISTRIBUTIONS[1:])
def test_a_plugin_and_its_package_ask_for_the_same_core(name: str) -> None:
    plugin = import_module(f"lerobot_{name}.plugin")
    assert f"lerobot-core{plugin.LR_CORE}" in project(name)["dependencies"]


def test_no_path_of_a_developers_machine() -> None:
    machine = re.compile(r"(?<![\w.~])/(?:" + "|".join(("work", "root", "opt/venv", "Users/\\w+")) + ")/")
    found = [
        f"{file.relative_to(source.ROOT)}: {line.strip()}"
        for file in source.texts()
        for line in file.read_text(errors="replace").splitlines()
        if machine.search(line)
    ]
    assert not found, "\n".join(found)
