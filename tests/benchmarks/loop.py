"""Teleoperation of the emulated pair at 60 Hz: period errors and bus errors. `python tests/benchmarks/loop.py [--seconds 60]`"""

from __future__ import annotations

import argparse
import json

from lerobot_core.config import choose
from lerobot_core.loop import TeleoperatorSource, connected, run_loop
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--fps", type=float, default=60.0)
    options = parser.parse_args()
    robot = choose(Robot, "so101_follower", port="emulated://so101?name=bench").build()
    leader = choose(Teleoperator, "so101_leader", port="emulated://so101-leader?name=bench-leader&motion=sine").build()
    nothing = Nothing()
    floor = run_loop(nothing, TeleoperatorSource(nothing), fps=options.fps, duration=options.seconds / 4)
    with connected(robot, leader):
        health = run_loop(robot, TeleoperatorSource(leader), fps=options.fps, duration=options.seconds)
    print(health.line())
    ratio = health.period_error_p99_ms / max(floor.period_error_p99_ms, 1e-6)
    print(f"{'':12}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}")
    for name, found in (("emulated", health), ("empty loop", floor)):
        print(
            f"{name:12}{found.period_error_p50_ms:9.3f}{found.period_error_p99_ms:9.3f}{found.period_error_max_ms:9.3f}"
        )
    print(json.dumps({"loop": health.to_data(), "empty_loop": floor.to_data(), "p99_ratio": round(ratio, 2)}))


if __name__ == "__main__":
    main()
