"""The source tree as the house tests see it: every module parsed once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("core", "motors", "datasets", "policies", "serve")
_SKIPPED = {"__pycache__", ".git", ".nox", ".venv", "build", "dist", "data", "outputs"}


class Module(NamedTuple):
    """One source file: dotted name, path below the repository, text and syntax tree."""

    name: str
    path: str
    text: str
    tree: ast.Module


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the five distributions."""
    found = []
    for package in PACKAGES:
        source = ROOT / f"lerobot-{package}" / "src"
        for file in sorted(source.rglob("*.py")):
            name = ".".join(file.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
            text = file.read_text()
            found.append(Module(name, str(file.relative_to(ROOT)), text, ast.parse(text)))
    return tuple(found)


def imports(module: Module) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of everything a module imports, also inside functions and through `import_module("…")`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((".".join([*_start(module, node), alias.name]), node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and called(node).endswith("import_module"):
            yield from ((str(name.value), node.lineno) for name in node.args[:1] if isinstance(name, ast.Constant))


def _start(module: Module, node: ast.ImportFrom) -> list[str]:
    """What stands between `from` and `import`, made absolute."""
    words = [node.module] if node.module else []
    if not node.level:
        return words
    package = module.name.split(".") if module.path.endswith("__init__.py") else module.name.split(".")[:-1]
    return [*package[: len(package) + 1 - node.level], *words]


def called(node: ast.Call) -> str:
    """Dotted name of what a call calls, as `torch.load`; empty when it is an expression."""
    return ast.unparse(node.func) if isinstance(node.func, (ast.Name, ast.Attribute)) else ""


def functions(module: Module) -> Iterator[tuple[str, int]]:
    """(name, lines without the docstring) of every function."""
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = node.end_lineno - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node) is not None:
                lines -= first.end_lineno - first.lineno + 1
            yield node.name, lines


def documents() -> list[Path]:
    """Every Markdown file a reader of the repository finds."""
    return [file for file in _files() if file.suffix == ".md"]


def texts() -> list[Path]:
    """Every file a person wrote."""
    return [file for file in _files() if file.suffix in (".py", ".md", ".toml", ".yaml", ".yml", ".json", ".txt")]


@cache
def _files() -> tuple[Path, ...]:
    found: list[Path] = []
    folders = [ROOT]
    while folders:
        for entry in sorted(folders.pop().iterdir()):
            if entry.is_symlink():  # what it leads to is read where it lies
                continue
            if entry.is_dir() and entry.name not in _SKIPPED:
                folders.append(entry)
            elif entry.is_file():
                found.append(entry)
    return tuple(found)
