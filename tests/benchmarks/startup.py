"""Start-up of the command line: median wall time of a few calls, and their ratio to an empty Python in the same run.

`python tests/benchmarks/startup.py [--runs 15]`. Everything is byte-compiled by a first call that is not counted; calls
take turns, so that a busy machine slows all of them alike.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

LR = [sys.executable, "-c", "from lerobot_core.cli import main; main()"]
CALLS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "lr --help": [*LR, "--help"],
    "lr plugins": [*LR, "plugins"],
    "lr train --policy.type=act --help": [*LR, "train", "--policy.type=act", "--help"],
}


def seconds(call: list[str]) -> float:
    """Wall time of one call [s]."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    for call in CALLS.values():
        seconds(call)
    times: dict[str, list[float]] = {name: [] for name in CALLS}
    for _ in range(runs):
        for name, call in CALLS.items():
            times[name].append(seconds(call) * 1e3)
    empty = statistics.median(times["python -c pass"])
    report = {}
    print(f"{'':36}{'median ms':>10}{'min ms':>9}{'ratio':>7}")
    for name, found in times.items():
        median = statistics.median(found)
        report[name] = {
            "median_ms": round(median, 1),
            "min_ms": round(min(found), 1),
            "ratio": round(median / empty, 2),
        }
        print(f"{name:36}{median:10.1f}{min(found):9.1f}{median / empty:7.2f}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
