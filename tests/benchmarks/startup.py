"""Start-up of the command line: median wall time of a few calls, and their ratio to an empty Python in the same run.

`python tests/benchmarks/startup.py [--runs 15]`. Each call is made as things are, and with 300 more distributions installed,
50 of them plugins whose implementations end the process when they are imported. Everything is byte-compiled by a first call
that is not counted; calls take turns, so that a busy machine slows all of them alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from house.distributions import LR, environment, install_many

#: call → its budget with the distributions installed [ms]
CALLS = {("--help",): 100, ("plugins",): 150, ("train", "--policy.type=act", "--help"): 400}
MORE = " +300"


def seconds(call: tuple[str, ...], variables: Mapping[str, str]) -> float:
    """Wall time of one call [s]."""
    start = time.perf_counter()
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL, env=variables)
    return time.perf_counter() - start


def measure(runs: int, folder: Path) -> dict[str, list[float]]:
    """Name of each call → its wall times [ms]."""
    plain, full = folder / "plain", folder / "full"
    plain.mkdir()
    install_many(full)
    calls = {"python -c pass": ((sys.executable, "-c", "pass"), environment(plain))}
    for args in CALLS:
        calls[f"lr {' '.join(args)}"] = ((*LR, *args), environment(plain))
        calls[f"lr {' '.join(args)}{MORE}"] = ((*LR, *args), environment(full))
    for call in calls.values():
        seconds(*call)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(runs):
        for name, call in calls.items():
            times[name].append(seconds(*call) * 1e3)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        times = measure(runs, Path(folder))
    empty = statistics.median(times["python -c pass"])
    report = {}
    budgets = {f"lr {' '.join(args)}{MORE}": budget for args, budget in CALLS.items()}
    print(f"{'':42}{'median ms':>10}{'min ms':>9}{'ratio':>7}{'budget':>8}")
    for name, found in times.items():
        median = statistics.median(found)
        report[name] = {
            "median_ms": round(median, 1),
            "min_ms": round(min(found), 1),
            "ratio": round(median / empty, 2),
        }
        print(f"{name:42}{median:10.1f}{min(found):9.1f}{median / empty:7.2f}{budgets.get(name, ''):>8}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
