"""Lets torchcodec find the FFmpeg that PyAV brings: `export LD_LIBRARY_PATH=$(python -m lerobot_datasets.video.links)`.

torchcodec looks for the names of FFmpeg's own builds; PyAV's wheel has the same libraries under names of its own. Links by
the names looked for lead to them. The variable is read when a process starts, so it is set before Python is.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

from lerobot_core.errors import DataError

#: libavcodec-5e6b81c2.so.62.28.102 is looked for as libavcodec.so.62.
_NAME = re.compile(r"(lib(?:av|sw)[a-z]+)-[0-9a-f]+\.so\.(\d+)(?:\.\d+)*")


def link(libraries: Path, folder: Path) -> list[str]:
    """Make the links of a folder, anew where they lead elsewhere; gives their names.

    Args:
        libraries: where PyAV's wheel keeps FFmpeg.
        folder: where the links go; it is made.

    Raises:
        DataError: there are no such libraries.
    """
    found = {f"{name[1]}.so.{name[2]}": path for path in libraries.glob("*") if (name := _NAME.fullmatch(path.name))}
    if not found:
        raise DataError(
            f"no libraries of FFmpeg in '{libraries}'",
            path=libraries,
            hint="PyAV's wheel for Linux has them; elsewhere install FFmpeg 4 to 8 for torchcodec",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in found.items():
        place = folder / name
        if not (place.is_symlink() and place.readlink() == path):
            place.unlink(missing_ok=True)
            place.symlink_to(path)
    return sorted(found)


def search_path() -> str:
    """What $LD_LIBRARY_PATH has to be, with the links made in this environment.

    Raises:
        DataError: PyAV has no libraries of its own here.
    """
    spec = find_spec("av")
    libraries = Path(spec.origin or "").parents[1] / "av.libs" if spec else Path("av.libs")
    folder = Path(sys.prefix) / "share" / "lerobot-datasets" / "ffmpeg"
    link(libraries, folder)
    return os.pathsep.join([str(folder), str(libraries), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{search_path()}\n")
    except DataError as problem:
        sys.exit(f"error: {problem.message}\nhint: {problem.hint}")
