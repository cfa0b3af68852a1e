"""Recording and reading of a dataset: `python tests/benchmarks/datasets.py [--seconds 4] [--episodes 5]`.

Recording: two pictures of 480x640 and six joints offered at 30 Hz like a robot's loop does; time of `add` and of
`save_episode`, frames dropped. Reading: items with windows of two pictures and 16 actions in random order, against decoding
one file from front to back in the same run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from lerobot_core.clock import Rate
from lerobot_core.config import choose
from lerobot_core.features import Feature
from lerobot_core.roles import DatasetBackend

FPS, CAMERAS = 30, ("front", "wrist")


def features() -> dict[str, Feature]:
    vector = Feature(dtype="float32", shape=(6,), names=[f"joint_{i}.pos" for i in range(6)])
    picture = Feature(dtype="video", shape=(480, 640, 3), names=["height", "width", "channels"])
    cameras = {f"observation.images.{name}": picture for name in CAMERAS}
    return {"observation.state": vector, **cameras, "action": vector}


def picture(step: int) -> np.ndarray:
    """A smooth picture (480, 640, 3) that moves a little with every step."""
    y, x = np.mgrid[0:480, 0:640]
    return np.stack([(x + 3 * step) % 256, (y + 2 * step) % 256, (x + y) // 5 % 256], axis=-1).astype(np.uint8)


def record(root: Path, vcodec: str, seconds: float, episodes: int) -> dict[str, float]:
    """Record episodes paced at 30 Hz."""
    backend = choose(DatasetBackend, "lerobot", repo_id="bench/set", root=str(root), vcodec=vcodec).build()
    writer = backend.create(features(), FPS, robot_type="bench")
    pictures = [picture(step) for step in range(30)]
    times, saves = [], []
    for _ in range(episodes):
        rate = Rate(FPS)
        for step in range(round(seconds * FPS)):
            state = np.full(6, step, np.float32)
            seen = {f"observation.images.{name}": pictures[step % 30] for name in CAMERAS}
            start = time.perf_counter()
            writer.add({"observation.state": state, "action": state, **seen}, task="bench")
            times.append((time.perf_counter() - start) * 1e3)
            rate.wait()
        start = time.perf_counter()
        writer.save_episode()
        saves.append((time.perf_counter() - start) * 1e3)
    dropped = sum(writer.dropped.values())
    writer.finalize()
    figures = {"add": times, "save": saves}
    found = {f"{key}_p{p}_ms": round(np.percentile(ms, p), 3) for key, ms in figures.items() for p in (50, 99)}
    return found | {"dropped": dropped}


def read(root: Path) -> dict[str, float]:
    """Random items with windows, and the sequential decoding of one camera as the limit."""
    from lerobot_datasets import LeRobotDataset

    windows = {f"observation.images.{name}": [-0.1, 0.0] for name in CAMERAS} | {"action": [i / FPS for i in range(16)]}
    dataset = LeRobotDataset("bench/set", root=root, delta_timestamps=windows, return_uint8=True)
    order = np.random.default_rng(0).permutation(len(dataset))[:96]
    start = time.perf_counter()
    for begin in range(0, len(order), 8):
        dataset.__getitems__([int(index) for index in order[begin : begin + 8]])
    items = len(order) / (time.perf_counter() - start)
    reader = choose(DatasetBackend, "lerobot", repo_id="bench/set", root=str(root)).build().open()
    start = time.perf_counter()
    frames = sum(1 for _ in reader.frames(0, f"observation.images.{CAMERAS[0]}"))
    limit = frames / (time.perf_counter() - start)
    return {
        "items_per_s": round(items, 1),
        "sequential_frames_per_s": round(limit, 1),
        "ratio": round(4 * items / limit, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--episodes", type=int, default=5)
    options = parser.parse_args()
    report = {}
    names = ("add p50 ms", "add p99 ms", "save p50 ms", "save p99 ms", "dropped", "items/s", "of limit")
    print(f"{'':12}" + "".join(f"{name:>12}" for name in names))
    for vcodec in ("libsvtav1", "h264"):
        with tempfile.TemporaryDirectory() as folder:
            found = record(Path(folder) / "set", vcodec, options.seconds, options.episodes) | read(Path(folder) / "set")
        report[vcodec] = found
        print(
            f"{vcodec:12}{found['add_p50_ms']:12.3f}{found['add_p99_ms']:12.3f}{found['save_p50_ms']:12.1f}"
            f"{found['save_p99_ms']:12.1f}{found['dropped']:12}{found['items_per_s']:12.1f}{found['ratio']:12.2f}"
        )
    print(json.dumps(report))


if __name__ == "__main__":
    main()
