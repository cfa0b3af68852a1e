"""What both sides share: the cases, how a rate is taken, and the memory of a process. No package of either side."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

FPS = 30
CAMERAS = ("observation.images.front", "observation.images.wrist")
BATCH = 64

#: Batches of a loader that come before its rate is taken.
WARM = 9

#: name of a case → dataset, offsets of its windows in frames
WINDOWS: dict[str, tuple[str, dict[str, list[int]]]] = {
    "state": ("state", {}),
    "chunk": ("state", {"action": list(range(100))}),
    "video": ("video", {}),
    "diffusion": (
        "video",
        {key: [-1, 0] for key in (*CAMERAS, "observation.state")} | {"action": list(range(-1, 15))},
    ),
}


def windows(name: str) -> tuple[str, dict[str, list[float]] | None]:
    """The dataset of a case and its windows in seconds."""
    dataset, frames = WINDOWS[name]
    return dataset, {key: [frame / FPS for frame in offsets] for key, offsets in frames.items()} or None


def rate(parts: Iterable[int], seconds: float, warm: int = 1) -> dict[str, float]:
    """Items per second of an iteration, whose parts say how many items each brings. The first parts are not counted.

    Args:
        parts: items of each part.
        seconds: how long to count.
        warm: parts before counting. Batches that a loader's workers have in the making and in waiting lie in memory that
            is touched for the first time, which takes a virtual machine longer than decoding does.

    Returns:
        items_per_s, and first_s: how long the first part took.
    """
    start = time.perf_counter()
    each = iter(parts)
    next(each)
    first_s = time.perf_counter() - start
    for _ in range(warm - 1):
        next(each)
    begin = last = time.perf_counter()
    items = 0
    for count in each:
        items += count
        last = time.perf_counter()
        if last - begin > seconds:
            break
    return {"items_per_s": items / max(last - begin, 1e-9), "first_s": first_s}


def memory(peak: bool = False) -> float:
    """Resident memory of this process [MB], now or at its peak."""
    name = "VmHWM:" if peak else "VmRSS:"
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def main(cases: Mapping[str, Callable[..., dict[str, Any]]]) -> None:
    """Run the case named on the command line with its arguments; the last line printed is its result."""
    name, *arguments = sys.argv[1:]
    imported = memory()
    result = cases[name](*arguments)
    print(json.dumps({**result, "imports_mb": imported, "peak_mb": memory(peak=True)}))
