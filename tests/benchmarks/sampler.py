"""The order of an epoch: `python tests/benchmarks/sampler.py [--frames 1000000000 --episodes 50000 --repeat 50]`.

Medians for the order `feistel`, over frames in one piece and with the last frames of each episode left out: making the sampler
(the ends of the episodes are there as arrays), memory it keeps and memory at most while it is made and begun, the first row of an
epoch begun in the middle, 1,024 rows anywhere, rows per second in a row. Then `permutation`, of fewer frames: it makes the whole
order when an epoch begins, in torch's memory, which is not counted here.
"""

from __future__ import annotations

import argparse
import json
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from lerobot_datasets import EpisodeAwareSampler


def median_us(action: Callable[[], Any], repeat: int) -> float:
    """Median time of an action [µs]; the first call does not count."""
    action()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return round(float(np.median(times)) * 1e6, 1)


def memory_kb(make: Callable[[], EpisodeAwareSampler]) -> tuple[float, float]:
    """What a sampler keeps, and the most that was held until its first row [KB]."""
    tracemalloc.start()
    sampler = make()
    kept, _ = tracemalloc.get_traced_memory()
    next(iter(sampler))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return round(kept / 1e3, 1), round(peak / 1e3, 1)


def measure(frames: int, episodes: int, drop: int, order: str, repeat: int) -> dict[str, float]:
    ends = np.linspace(0, frames, episodes + 1).astype(np.int64)
    make = partial(EpisodeAwareSampler, ends[:-1], ends[1:], drop_n_last_frames=drop, shuffle=True, seed=1, order=order)
    sampler, (kept, peak) = make(), memory_kb(make)
    anywhere = np.random.default_rng(0).integers(0, sampler.num_rows, 1024)

    def begun() -> int:
        sampler.load_state_dict({"epoch": 3, "start_index": sampler.num_rows // 2})
        return next(iter(sampler))

    def block() -> list[int]:
        return sampler.rows_at(anywhere, epoch=3).tolist()

    count = min(200_000, len(sampler))
    start = time.perf_counter()
    for _ in islice(iter(sampler), count):
        pass
    return {
        "frames": frames,
        "make_us": median_us(make, repeat),
        "kept_kb": kept,
        "peak_kb": peak,
        "first_us": median_us(begun, repeat),
        "rows_1024_us": median_us(block, repeat),
        "rows_per_s": round(count / (time.perf_counter() - start)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10**9)
    parser.add_argument("--episodes", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, default=50)
    options = parser.parse_args()
    cases = {
        "feistel": (options.frames, 0, "feistel", options.repeat),
        "feistel, drops": (options.frames, 7, "feistel", options.repeat),
        "permutation": (min(options.frames, 10**7), 0, "permutation", 5),
    }
    report = {}
    print(
        f"{'':16}{'frames':>12}{'make µs':>10}{'kept KB':>10}{'peak KB':>10}{'first µs':>12}{'1024 µs':>12}{'rows/s':>12}"
    )
    for name, (frames, drop, order, repeat) in cases.items():
        found = report[name] = measure(frames, options.episodes, drop, order, repeat)
        print(
            f"{name:16}{frames:12}{found['make_us']:10.1f}{found['kept_kb']:10.1f}{found['peak_kb']:10.1f}"
            f"{found['first_us']:12.1f}{found['rows_1024_us']:12.1f}{found['rows_per_s']:12}"
        )
    print(json.dumps(report))


if __name__ == "__main__":
    main()
