"""Entry points of installed distributions, read from the metadata folders on `sys.path`.

Own code, since importing importlib.metadata costs a third of `lr --help`. Metadata that is damaged gives an entry point that
cannot be loaded, so that its distribution is named and nobody else's suffers.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from lerobot_core.components import PROJECT
from lerobot_core.errors import printable
from lerobot_core.imports import import_target

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
        return import_target(self.target)


def canonical(distribution: str) -> str:
    """The name of a distribution in the one spelling that installers compare: `My_Arm` is `my-arm`."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def entry_points(paths: Iterable[str] | None = None) -> list[EntryPoint]:
    """Every entry point of the group `lerobot` in the distributions installed on `sys.path`, by name.

    Of two installations of a distribution the one found first counts, as for imports.
    """
    found: dict[tuple[str, str], EntryPoint] = {}
    for folder in dict.fromkeys(sys.path if paths is None else paths):
        for metadata, head in _metadata_folders(folder or "."):
            for name, target in _plugins(f"{metadata}/entry_points.txt"):
                distribution, version = _name_and_version(f"{metadata}/{head}")
                entry = EntryPoint(printable(name), target, printable(distribution), printable(version))
                found.setdefault((canonical(distribution), name), entry)
    return sorted(found.values(), key=lambda entry: (entry.name, entry.distribution))


def _metadata_folders(folder: str) -> Iterator[tuple[str, str]]:
    """(metadata folder, name of the file with name and version) of every distribution in a folder."""
    try:
        names = os.listdir(folder)
    except OSError:  # sys.path may name what is not there, or an archive
        return
    for name in names:
        if (head := _METADATA.get(name[-10:]) or _METADATA.get(name[-9:])) is not None:
            yield f"{folder}/{name}", head


def _plugins(file: str) -> Iterator[tuple[str, str]]:
    """(name, target) of each line in the plugin group of an entry_points.txt; a line that names no module has no target."""
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            text = opened.read()
    except OSError:  # most distributions have none
        return
    if f"[{PROJECT}" not in text:
        return
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == PROJECT and line and line[0] not in "#;":
            name, _, target = line.partition("=")
            yield name.strip(), target.strip()


def _name_and_version(metadata: str) -> tuple[str, str]:
    """Name and version of a distribution from the head of its metadata file, or from the folder when there is none."""
    name, _, version = os.path.basename(os.path.dirname(metadata)).rpartition(".")[0].partition("-")
    head: dict[str, str] = {}
    try:
        with open(metadata, encoding="utf-8", errors="replace") as opened:
            for line in opened:
                key, colon, value = line.partition(":")
                if not colon:
                    break
                head.setdefault(key.lower(), value.strip())
    except OSError:  # damaged: the folder still says which distribution that is
        return name, version
    return head.get("name", name), head.get("version", version)
