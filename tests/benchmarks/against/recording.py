"""The recording that both sides make: smooth pictures and six joints, offered at 30 Hz like a robot's loop does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from measure import FPS

JOINTS = [f"joint_{i}.pos" for i in range(6)]


def features(cameras: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Features as info.json has them."""
    vector = {"dtype": "float32", "shape": (6,), "names": JOINTS}
    picture = {"dtype": "video", "shape": (480, 640, 3), "names": ["height", "width", "channels"]}
    return {"observation.state": vector, **dict.fromkeys(cameras, picture), "action": vector}


def picture(step: int) -> np.ndarray:
    """A smooth picture (480, 640, 3) uint8 that moves a little with every step."""
    y, x = np.mgrid[0:480, 0:640]
    return np.stack([(x + 3 * step) % 256, (y + 2 * step) % 256, (x + y) // 5 % 256], axis=-1).astype(np.uint8)


def paced(
    cameras: Sequence[str],
    add: Callable[[dict[str, Any]], None],
    save: Callable[[], Any],
    seconds: float,
    episodes: int,
) -> dict[str, float]:
    """Record episodes; times of `add` and `save` [ms], how late ticks began [ms], and ticks that missed their slot."""
    pictures = [picture(step) for step in range(30)]
    adds, saves, lates = [], [], []
    for _ in range(episodes):
        begin = time.perf_counter() + 0.1
        for step in range(round(seconds * FPS)):
            due = begin + step / FPS
            time.sleep(max(due - time.perf_counter(), 0))
            start = time.perf_counter()
            state = np.full(6, step, np.float32)
            add({"observation.state": state, "action": state, **dict.fromkeys(cameras, pictures[step % 30])})
            adds.append(time.perf_counter() - start)
            lates.append(start - due)
        start = time.perf_counter()
        save()
        saves.append(time.perf_counter() - start)
    milliseconds = {"add": adds, "save": saves, "late": lates}
    found = {f"{k}_p{p}_ms": float(np.percentile(v, p)) * 1e3 for k, v in milliseconds.items() for p in (50, 99)}
    return found | {"missed": float(sum(late > 1 / FPS for late in lates))}
