"""Checks around the release of one distribution; the nox session `release` runs them.

`python release.py ready lerobot-serve` tells whether version, changelog and tag agree; `python release.py built FOLDER` checks
the sdists and wheels in a folder. Each prints what it found and ends with status 1 where something is wrong.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.metadata import Metadata
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
IN_SDIST = ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "PKG-INFO")


def project(folder: Path) -> dict[str, Any]:
    """What a distribution's pyproject.toml says of it."""
    found: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return found


def ready(folder: Path) -> Iterator[str]:
    """What keeps a distribution from being released as the version it has: one sentence each."""
    name, version = project(folder)["name"], project(folder)["version"]
    init = folder / "src" / name.replace("-", "_") / "__init__.py"
    if f'__version__ = "{version}"' not in init.read_text():
        yield f"{init.name} of {name} has another __version__ than pyproject.toml, which says {version}"
    changes = (folder / "CHANGELOG.md").read_text()
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changes, re.M):
        yield f"CHANGELOG.md of {name} has no heading '## [{version}] - YYYY-MM-DD'"
    waiting = re.search(r"^## \[Unreleased\]\n(.*?)(?=^## |\Z)", changes, re.M | re.S)
    if waiting is not None and waiting[1].strip():
        yield f"CHANGELOG.md of {name} still has entries under [Unreleased]; move them under [{version}]"
    tag = f"{name}-v{version}"
    here = _git(folder, "tag", "--points-at", "HEAD")
    if tag in _git(folder, "tag", "--list", tag) and tag not in here:
        yield f"{tag} is the tag of another commit: {version} was released already, raise the version"
    for other in here:
        if other.startswith(f"{name}-v") and other != tag:
            yield f"this commit is tagged {other}, the version is {version}"


def _git(folder: Path, *words: str) -> list[str]:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.split()


def wheel(file: Path, folder: Path) -> Iterator[str]:
    """What is wrong with a wheel of the distribution in `folder`: one sentence each."""
    told, package = project(folder), project(folder)["name"].replace("-", "_")
    info = f"{package}-{told['version']}.dist-info"
    with zipfile.ZipFile(file) as opened:
        names = opened.namelist()
        metadata = Metadata.from_email(opened.read(f"{info}/METADATA"), validate=True)
        entries = opened.read(f"{info}/entry_points.txt").decode()
    wanted = {*_sources(folder / "src"), f"{package}/py.typed", f"{info}/licenses/LICENSE"}
    yield from (f"{name} is not there" for name in sorted(wanted - set(names)))
    strangers = {name.split("/")[0] for name in names} - {package, info}
    yield from (f"'{name}' does not belong there" for name in sorted(strangers))
    if (metadata.name, str(metadata.version)) != (told["name"], told["version"]):
        yield f"it says it is {metadata.name} {metadata.version}"
    if metadata.license_expression != "Apache-2.0" or not metadata.description:
        yield "its metadata lack the license or the description"
    if any(f"{key} = {target}" not in entries for key, target in told["entry-points"]["lerobot"].items()):
        yield "its entry points lack the plugin"


def _sources(folder: Path) -> Iterator[str]:
    """Files below a folder, those that links lead to as well, but what Python leaves there."""
    for where, inner, files in os.walk(folder, followlinks=True):
        inner[:] = [name for name in inner if name != "__pycache__"]
        for name in files:
            yield Path(where, name).relative_to(folder).as_posix()


def sdist(file: Path) -> Iterator[str]:
    """Files a source distribution lacks, or has as links to somewhere else."""
    with tarfile.open(file) as opened:
        files = {member.name.partition("/")[2] for member in opened.getmembers() if member.isfile()}
    yield from (f"{name} is not there" for name in IN_SDIST if name not in files)


def fits(folders: list[Path]) -> Iterator[str]:
    """Siblings whose range does not hold the lerobot-core beside them."""
    core = next(project(folder)["version"] for folder in folders if folder.name == "lerobot-core")
    for folder in folders:
        for need in project(folder)["dependencies"]:
            if need.startswith("lerobot-core") and core not in SpecifierSet(need.removeprefix("lerobot-core")):
                yield f"{folder.name} needs {need}, this one is {core}"


def built(dist: Path) -> Iterator[str]:
    """What is wrong with the sdists and wheels of all distributions in a folder."""
    folders = sorted(ROOT.glob("lerobot-*"))
    for folder in folders:
        stem = f"{folder.name.replace('-', '_')}-{project(folder)['version']}"
        checks = {f"{stem}.tar.gz": sdist, f"{stem}-py3-none-any.whl": lambda file, of=folder: wheel(file, of)}
        for name, check in checks.items():
            found = check(dist / name) if (dist / name).is_file() else ["was not built"]
            yield from (f"{name}: {problem}" for problem in found)
    yield from fits(folders)


def main(what: str, *names: str) -> None:
    if what == "built":
        problems = list(built(Path(names[0])))
    else:
        problems = [problem for name in names for problem in ready(ROOT / name)]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print(f"{what} {' '.join(names)}: {len(problems)} problems")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main(*sys.argv[1:])
