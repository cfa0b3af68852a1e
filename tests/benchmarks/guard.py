"""What the motion guard costs per tick for six joints: `python tests/benchmarks/guard.py [--calls 20000]`. Bound: 10 µs."""

from __future__ import annotations

import argparse
import json
import time

from lerobot_core.guard import Guard, GuardConfig

#: Every kind of limit, joint by joint.
ALL = GuardConfig(
    max_speed={f"joint{number}": 90.0 for number in range(6)},
    max_acceleration=500.0,
    min_position=-100.0,
    max_position=100.0,
)


def microseconds(calls: int, jump: float, config: GuardConfig) -> float:
    """Mean cost of one call [µs] while every joint is `jump` away from where it was."""
    guard = Guard(60, config)
    observation = {f"joint{number}.pos": 0.0 for number in range(6)}
    actions = [dict.fromkeys(observation, value) for value in (jump, -jump)]
    start = time.perf_counter()
    for call in range(calls):
        guard(actions[call % 2], observation)
    return (time.perf_counter() - start) / calls * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20000)
    calls = parser.parse_args().calls
    speed = GuardConfig(max_speed=90)
    report = {
        "free_us": microseconds(calls, 0.1, speed),
        "limited_us": microseconds(calls, 50.0, speed),
        "every_limit_us": microseconds(calls, 50.0, ALL),
    }
    for name, value in report.items():
        print(f"{name:16}{value:8.2f} µs")
    print(json.dumps({name: round(value, 2) for name, value in report.items()}))


if __name__ == "__main__":
    main()
