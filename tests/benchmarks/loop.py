"""Teleoperation of the emulated pair: period errors, drift and bus errors.

`python tests/benchmarks/loop.py [--seconds 60] [--fps 60] [--encode libsvtav1]`

With `--encode` two cameras of 480x640 at 30 Hz are recorded and encoded in the same process and on the same cores.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from lerobot_core.config import choose
from lerobot_core.loop import LoopHealth, TeleoperatorSource, Tick, connected, run_loop
from lerobot_core.roles import Robot, Teleoperator


class Nothing:
    """A robot and leader that do nothing: what the same loop reaches on this machine without a bus."""

    name = "nothing"

    def __init__(self) -> None:
        self.action_features: dict[str, type] = {}

    def get_observation(self) -> dict[str, float]:
        return {}

    def send_action(self, action: dict[str, float]) -> dict[str, float]:
        return action

    def get_action(self) -> dict[str, float]:
        return {}


class Cameras:
    """A sink that records a picture of two cameras at 30 Hz, whatever the rate of the loop."""

    def __init__(self, root: Path, vcodec: str) -> None:
        from lerobot_core.features import Feature
        from lerobot_datasets.config import EncoderConfig
        from lerobot_datasets.v3.writer import Writer

        picture = Feature(dtype="video", shape=(480, 640, 3), names=["height", "width", "channels"])
        self.keys = [f"observation.images.{name}" for name in ("front", "wrist")]
        self.writer = Writer.create(root, dict.fromkeys(self.keys, picture), 30, encoder=EncoderConfig(vcodec=vcodec))
        y, x = np.mgrid[0:480, 0:640]
        self._pictures = [
            np.stack([(x + 3 * i) % 256, (y + 2 * i) % 256, (x + y) // 5 % 256], axis=-1).astype(np.uint8)
            for i in range(30)
        ]
        self._next = self._count = 0

    def add(self, tick: Tick) -> None:
        if tick.time >= self._next:
            self._next = max(self._next, tick.time - 10**9) + 10**9 // 30
            self.writer.add(dict.fromkeys(self.keys, self._pictures[self._count % 30]), task="bench")
            self._count += 1

    def add_sample(self, key: str, value: Any, stamp: int) -> None:
        """There are none."""


def drift_ms(health: LoopHealth) -> float:
    """How far the last turn is from its place on the grid that began with the first [ms]."""
    turns = health.ticks - 1 + health.skipped
    return 1e3 * ((health.ticks - 1) / health.rate_hz - turns / health.fps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--fps", type=float, default=60.0)
    parser.add_argument("--encode", default="", metavar="CODEC", help="record two cameras with this encoder meanwhile")
    options = parser.parse_args()
    robot = choose(Robot, "so101_follower", port="emulated://so101?name=bench").build()
    leader = choose(Teleoperator, "so101_leader", port="emulated://so101-leader?name=bench-leader&motion=sine").build()
    nothing = Nothing()
    floor = run_loop(nothing, TeleoperatorSource(nothing), fps=options.fps, duration=options.seconds / 4)
    with connected(robot, leader), tempfile.TemporaryDirectory() as folder:
        cameras = [Cameras(Path(folder) / "set", options.encode)] if options.encode else []
        source = TeleoperatorSource(leader)
        health = run_loop(robot, source, fps=options.fps, duration=options.seconds, sinks=cameras)
        dropped = sum(sum(camera.writer.dropped.values()) for camera in cameras)
        for camera in cameras:
            camera.writer.discard()
            camera.writer.finalize()
    print(health.line())
    print(f"drift {drift_ms(health):.3f} ms, {dropped} pictures dropped")
    ratio = health.period_error_p99_ms / max(floor.period_error_p99_ms, 1e-6)
    print(f"{'':12}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}")
    for name, found in (("emulated", health), ("empty loop", floor)):
        print(
            f"{name:12}{found.period_error_p50_ms:9.3f}{found.period_error_p99_ms:9.3f}{found.period_error_max_ms:9.3f}"
        )
    found = {"loop": health.to_data(), "empty_loop": floor.to_data(), "p99_ratio": round(ratio, 2)}
    print(json.dumps({**found, "drift_ms": drift_ms(health), "dropped": dropped}))


if __name__ == "__main__":
    main()
