"""Recording and reading of a dataset: `python tests/benchmarks/datasets.py [--seconds 4] [--episodes 5]`.

Recording: pictures of 480x640 of two cameras (three for the second h264 row) and six joints offered at 30 Hz like a
robot's loop does; time of `add` and of `save_episode`, how late the loop began its turns, frames dropped, what encoding
costs. Reading: items with windows of two pictures and 16 actions in random order, against decoding
one file from front to back in the same run.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lerobot_core.clock import Rate
from lerobot_core.config import choose
from lerobot_core.features import Feature
from lerobot_core.roles import DatasetBackend

FPS, CAMERAS = 30, ("front", "wrist")


def features(cameras: Sequence[str] = CAMERAS) -> dict[str, Feature]:
    vector = Feature(dtype="float32", shape=(6,), names=[f"joint_{i}.pos" for i in range(6)])
    picture = Feature(dtype="video", shape=(480, 640, 3), names=["height", "width", "channels"])
    seen = {f"observation.images.{name}": picture for name in cameras}
    return {"observation.state": vector, **seen, "action": vector}


def picture(step: int) -> np.ndarray:
    """A smooth picture (480, 640, 3) that moves a little with every step."""
    y, x = np.mgrid[0:480, 0:640]
    return np.stack([(x + 3 * step) % 256, (y + 2 * step) % 256, (x + y) // 5 % 256], axis=-1).astype(np.uint8)


def record(
    root: Path, vcodec: str, seconds: float, episodes: int, cameras: Sequence[str] = CAMERAS
) -> dict[str, float]:
    """Record episodes paced at 30 Hz; what adding, saving and keeping the pace took."""
    backend = choose(DatasetBackend, "lerobot", repo_id="bench/set", root=str(root), vcodec=vcodec).build()
    writer = backend.create(features(cameras), FPS, robot_type="bench")
    pictures = [picture(step) for step in range(30)]
    times, saves, late = [], [], []
    spent, before = time.process_time(), sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    for _ in range(episodes):
        rate = Rate(FPS)
        deadline = None
        for step in range(round(seconds * FPS)):
            if deadline is not None:
                late.append((time.monotonic_ns() - deadline) / 1e6)
            state = np.full(6, step, np.float32)
            seen = {f"observation.images.{name}": pictures[step % 30] for name in cameras}
            start = time.perf_counter()
            writer.add({"observation.state": state, "action": state, **seen}, task="bench")
            times.append((time.perf_counter() - start) * 1e3)
            deadline = rate.wait()
        start = time.perf_counter()
        writer.save_episode()
        saves.append((time.perf_counter() - start) * 1e3)
    spent = time.process_time() - spent
    dropped, delay = sum(writer.dropped.values()), max(writer.delay.values())
    start = time.perf_counter()
    writer.finalize()
    encoders = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before
    figures = {"add": times, "save": saves, "late": late}
    found = {f"{key}_p{p}_ms": round(float(np.percentile(ms, p)), 3) for key, ms in figures.items() for p in (50, 99)}
    frames = len(times)
    return found | {
        "dropped": dropped,
        "delay_frames": delay,
        "finalize_ms": round((time.perf_counter() - start) * 1e3, 1),
        "own_cpu_ms_per_frame": round(spent * 1e3 / frames, 2),
        "encoder_cpu_ms_per_picture": round(encoders * 1e3 / frames / len(cameras), 2),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "encoder_rss_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 1),
    }


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
    names = ("add p50 ms", "add p99 ms", "save p50 ms", "save p99 ms", "late p99 ms", "dropped", "items/s", "of limit")
    print(f"{'':14}" + "".join(f"{name:>12}" for name in names))
    for vcodec, cameras in (("libsvtav1", CAMERAS), ("h264", CAMERAS), ("h264", (*CAMERAS, "side"))):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "set"
            found = record(root, vcodec, options.seconds, options.episodes, cameras) | read(root)
        report[f"{vcodec} x{len(cameras)}"] = found
        print(
            f"{vcodec + f' x{len(cameras)}':14}{found['add_p50_ms']:12.3f}{found['add_p99_ms']:12.3f}"
            f"{found['save_p50_ms']:12.1f}{found['save_p99_ms']:12.1f}{found['late_p99_ms']:12.3f}"
            f"{found['dropped']:12}{found['items_per_s']:12.1f}{found['ratio']:12.2f}"
        )
    print(json.dumps(report))


if __name__ == "__main__":
    main()
