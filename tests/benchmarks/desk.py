"""How soon a camera's fault is noticed, and what kinematics cost: `python tests/benchmarks/desk.py [--rounds 10]`.

Bound: two periods from the last picture that was right, and the time of one look.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np

from lerobot_core.errors import DeviceError
from lerobot_motors.cameras.configs import PatternConfig
from lerobot_motors.cameras.pattern import FaultyPattern
from lerobot_motors.processors.chain import load

FPS = 30.0
FAULTS = {"freezes": {"freeze": 5}, "is unplugged": {"unplug": 5}, "falls behind": {"slow_s": 0.2}}


def noticed(fault: dict[str, float]) -> float:
    """Periods from when the last picture came that was right to when the loop is refused the next."""
    camera = FaultyPattern(PatternConfig(fps=FPS, width=64, height=48, **fault))
    camera.connect()
    last, seen = time.monotonic_ns(), b""
    try:
        while True:
            picture = camera.read_latest().tobytes()
            last, seen = (camera.stamp, picture) if picture != seen else (last, seen)
            time.sleep(0.001)
    except DeviceError:
        return (time.monotonic_ns() - last) * FPS / 1e9
    finally:
        camera.disconnect()


def inverse_us(rounds: int) -> tuple[float, float, float]:
    """Median and 99 % of the time for one turn of the loop [µs], and the worst place [µm], along a path of 5 mm steps."""
    arm, rng = load("so101", "gripper_frame_link"), np.random.default_rng(0)
    took, missed = [], []
    for _ in range(rounds):
        joints = rng.uniform(-0.6, 0.6, 5)
        pose = arm.forward(joints)
        for _ in range(20):
            pose[:3, 3] += rng.uniform(-0.003, 0.003, 3)
            began = time.perf_counter()
            found = arm.inverse(pose, joints)
            took.append((time.perf_counter() - began) * 1e6)
            missed.append(found.distance * 1e6)
            joints = found.joints
    return statistics.median(took), float(np.percentile(took, 99)), max(missed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    report = {}
    for what, fault in FAULTS.items():
        periods = [noticed(fault) for _ in range(rounds)]
        report[what] = {"median_periods": statistics.median(periods), "max_periods": max(periods)}
    median, late, missed = inverse_us(10 * rounds)
    report["joints for a pose"] = {"median_us": median, "p99_us": late, "worst_place_um": missed}
    for name, values in report.items():
        print(f"{name:20}" + "  ".join(f"{key} {value:.2f}" for key, value in values.items()))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
