"""Round trip of an observation and its actions through a policy server with a policy that costs nothing.

Two pictures of 480x640 and six joints go there, 100 actions come back. `python tests/benchmarks/serving.py [--seconds 20]`.
The reference of the same run is one copy of the observation's bytes in memory.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from lerobot_core.config import choose
from lerobot_core.loop import run_loop
from lerobot_core.roles import Aggregator, Policy
from lerobot_serve.client import ClientOptions, PolicyClient
from lerobot_serve.local import local_server

JOINTS = [f"joint_{i}.pos" for i in range(6)]
CAMERAS = {"front": (480, 640), "top": (480, 640)}


class Desk:
    """A robot that is always in the same place and sees the same pictures."""

    name = "desk"

    def __init__(self) -> None:
        cameras = {name: (*size, 3) for name, size in CAMERAS.items()}
        self.observation_features = {**dict.fromkeys(JOINTS, float), **cameras}
        self.action_features = dict.fromkeys(JOINTS, float)
        random = np.random.default_rng(0)
        self._seen: dict[str, Any] = dict.fromkeys(JOINTS, 0.0)
        self._seen |= {name: random.integers(0, 255, (*size, 3), np.uint8) for name, size in CAMERAS.items()}

    def get_observation(self) -> dict[str, Any]:
        return self._seen

    def send_action(self, action: dict[str, float]) -> dict[str, float]:
        return action


def copy_ms(observation: dict[str, Any]) -> float:
    """Median time to copy the pictures once in memory [ms]."""
    times = []
    for _ in range(50):
        start = time.perf_counter()
        for name in CAMERAS:
            observation[name].copy()
        times.append((time.perf_counter() - start) * 1e3)
    return float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    seconds = parser.parse_args().seconds
    robot = Desk()
    merge = choose(Aggregator, "latest_only").build()
    with local_server(choose(Policy, "hold", cameras=CAMERAS, chunk_size=100)) as address:
        client = PolicyClient(
            address, robot.observation_features, robot.action_features, merge, ClientOptions(chunk_size_threshold=1.0)
        )
        client.connect()
        try:
            run_loop(robot, client, fps=30, duration=seconds)
            health = client.health
        finally:
            client.disconnect()
    copy = copy_ms(robot.get_observation())
    p50, p99 = health["latency_p50_ms"], health["latency_p99_ms"]
    print(
        f"round trip: p50 {p50:.2f} ms, p99 {p99:.2f} ms; one copy of the pictures {copy:.2f} ms, ratio {p50 / copy:.1f}"
    )
    print(json.dumps({"p50_ms": round(p50, 2), "p99_ms": round(p99, 2), "copy_ms": round(copy, 2)}))


if __name__ == "__main__":
    main()
