"""The simulated world around an emulated arm: what its cameras reach, and what it takes of the machine.

`python tests/benchmarks/simulation.py [--seconds 5]`. Needs the extra lerobot-motors[sim].
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from lerobot_core.config import choose
from lerobot_core.roles import Camera
from lerobot_motors import emulators, envs

NAME = f"bench-{os.getpid()}"
SETUPS = (((160, 120), ("front", "wrist")), ((320, 240), ("front", "wrist")), ((640, 480), ("front", "wrist")))


def processor_time(pid: int) -> float:
    """What a process has taken of the processors so far [s]."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def watch(camera: Any, seconds: float, ages: list[float]) -> None:
    """Take every new picture for a time; how old it is when it arrives [ms]."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        camera.async_read(1000)
        ages.append((time.monotonic_ns() - camera.stamp) / 1e6)


def measure(size: tuple[int, int], views: tuple[str, ...], seconds: float) -> dict[str, Any]:
    options = {"name": NAME, "width": size[0], "height": size[1], "fps": 30.0}
    cameras = [choose(Camera, "simulated", view=view, **options).build() for view in views]
    began = time.monotonic()
    for camera in cameras:
        camera.connect()
    started = time.monotonic() - began
    world, ages = envs.state(NAME), [[] for _ in cameras]
    before, counted = processor_time(world.pid), [camera.health for camera in cameras]
    threads = [
        threading.Thread(target=watch, args=(camera, seconds, age)) for camera, age in zip(cameras, ages, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = processor_time(world.pid) - before
    dropped = sum(camera.health.dropped - was.dropped for camera, was in zip(cameras, counted, strict=True))
    skipped = world.skipped
    world.close()
    for camera in cameras:
        camera.disconnect()
    every = np.concatenate(ages)
    return {
        "size": f"{size[0]}x{size[1]}", "cameras": len(views), "start_s": round(started, 2),
        "fps": round(len(every) / seconds / len(views), 1), "dropped": dropped,
        "age_p50_ms": round(float(np.percentile(every, 50)), 1), "age_p99_ms": round(float(np.percentile(every, 99)), 1),
        "processor": round(took / seconds, 2), "skipped_s": round(skipped, 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    port = emulators.open_port(f"emulated://so101?name={NAME}")
    found = [measure(size, views, options.seconds) for size, views in SETUPS]
    port.close()
    print("  ".join(f"{key:>10}" for key in found[0]))
    for row in found:
        print("  ".join(f"{value!s:>10}" for value in row.values()))
    print(json.dumps({"simulation": found}))


if __name__ == "__main__":
    main()
