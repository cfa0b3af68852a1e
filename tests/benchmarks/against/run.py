"""Reading, streaming and recording against the published lerobot package, and against decoding alone, in one run.

`python tests/benchmarks/against/run.py --lerobot PYTHON [--repeats 5] [--only video] [--folder FOLDER]`

PYTHON is that of an environment with `lerobot[dataset]`; without it, only ours and the limits are measured. Every case runs
in a fresh process, the sides of a case turn by turn; the table has medians. Both sides decode with torchcodec where it
loads; it is linked to the FFmpeg libraries that PyAV brings.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
OURS, THEIRS, LIMIT = "ours", "theirs", "limit"

Result = dict[str, float]


class Case(NamedTuple):
    """One line of the table.

    Attributes:
        row: what it belongs to.
        name: what is measured.
        figure: which figure of the result.
        arguments: side → script's case and arguments; {f} is the folder, {s} the seconds.
        of_theirs: goal as a multiple of theirs; below 1 where less is better.
        of_limit: goal as a share of decoding alone.
        at_most: goal in the figure's own unit.
        per: cameras that an item of ours has for one frame of the limit, divided by the processes that decode.
    """

    row: int
    name: str
    figure: str
    arguments: dict[str, str]
    of_theirs: float | None = None
    of_limit: float | None = None
    at_most: float | None = None
    per: float = 1.0
    processes: int = 1


def both(arguments: str, limit: str | None = None) -> dict[str, str]:
    sides = {OURS: arguments, THEIRS: arguments}
    return sides | ({LIMIT: limit} if limit else {})


ITEMS = "items_per_s"
CASES = [
    Case(2, "chunks of 100 actions, 0 workers", ITEMS, both("loader {f} chunk 0 uint8 {s}"), of_theirs=100),
    Case(2, "chunks of 100 actions, 2 workers", ITEMS, both("loader {f} chunk 2 uint8 {s}"), of_theirs=100),
    Case(3, "2 cameras, shuffled, 2 workers", ITEMS, both("loader {f} video 2 uint8 {s}", "random {f} {s}"), 3.5, 0.85, per=2, processes=2),
    Case(4, "2 steps of 2 cameras, 2 workers", ITEMS, both("loader {f} diffusion 2 uint8 {s}", "pairs {f} {s}"), None, 0.9, per=2, processes=2),
    Case(4, "the same as floats", ITEMS, both("loader {f} diffusion 2 float {s}"), of_theirs=6),
    Case(4, "one by one in order", ITEMS, both("sequential {f} video uint8 {s}", "sequential {f} {s}"), None, 0.9, per=2),
    Case(4, "the same as floats", ITEMS, both("sequential {f} video float {s}"), of_theirs=6),
    Case(5, "imports [MB]", "imports_mb", both("first {f} state pyav"), of_theirs=0.5),
    Case(6, "open 50,000 episodes [s]", "open_s", both("large {f}"), at_most=0.15),
    Case(6, "memory it takes [MB]", "open_mb", {OURS: "large {f}"}, at_most=150),
    Case(7, "first item, state [s]", "process_s", both("first {f} state any"), of_theirs=1 / 3.5),
    Case(7, "first item, video by pyav [s]", "process_s", both("first {f} video pyav"), of_theirs=1 / 3.5),
    Case(8, "streaming, state", ITEMS, both("streaming {f} state {s}"), of_theirs=20),
    Case(8, "streaming, 2 cameras", ITEMS, both("streaming {f} video {s}"), of_theirs=2),
    Case(8, "streaming, 2 steps of 2 cameras", ITEMS, both("streaming {f} diffusion {s}"), of_theirs=10),
]  # fmt: skip


def recordings(seconds: float, episodes: int) -> list[Case]:
    out = []
    for cameras, vcodec in ((2, "libsvtav1"), (3, "h264")):
        sides = both(f"record {{t}} {cameras} {vcodec} {seconds} {episodes}")
        name = f"{cameras} cameras {vcodec}"
        goals = (("save_p99_ms", 100), ("add_p99_ms", 2), ("late_p99_ms", 1), ("dropped", 0))
        out += [Case(9, f"{name}: {figure}", figure, sides, at_most=goal) for figure, goal in goals]
    return out


class Bench:
    """Runs cases; processes that several cases share run once for all of them in a round.

    Args:
        pythons: side → its interpreter.
        folder: where the datasets are.
        seconds: how long a rate is taken.
    """

    def __init__(self, pythons: dict[str, str], folder: Path, seconds: float) -> None:
        self._pythons, self._folder, self._seconds = pythons, folder, seconds
        self._linked = {side: linked(python, folder / f"ffmpeg-{side}") for side, python in pythons.items()}
        self._done: dict[tuple[int, str, str], Result] = {}

    def run(self, side: str, arguments: str, processes: int, round_: int) -> Result:
        """The result of a side; of several processes at once the rates are added."""
        key = (round_, side, arguments)
        if key not in self._done:
            self._done[key] = self._run(side, arguments, processes)
        return self._done[key]

    def _run(self, side: str, arguments: str, processes: int) -> Result:
        scratch = self._folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        words = arguments.format(f=self._folder, t=scratch, s=self._seconds).split()
        command = [self._pythons[side], str(HERE / f"{side}.py"), *words]
        begin = time.perf_counter()
        running = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self._linked[side])
            for _ in range(processes if side == LIMIT else 1)
        ]
        results = []
        for process in running:
            out, err = process.communicate()
            if process.returncode:
                raise SystemExit(f"{' '.join(command)}\n{err}")
            results.append(json.loads(out.splitlines()[-1]))
        total = results[0] | {"process_s": time.perf_counter() - begin}
        return total | ({ITEMS: sum(result[ITEMS] for result in results)} if ITEMS in total else {})


def linked(python: str, folder: Path) -> dict[str, str]:
    """The environment in which torchcodec finds the FFmpeg libraries of PyAV."""
    ask = "import av, pathlib; print(pathlib.Path(av.__file__).parents[1] / 'av.libs')"
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME")}
    libraries = Path(subprocess.check_output([python, "-c", ask], text=True, env=environment).strip())
    folder.mkdir(parents=True, exist_ok=True)
    for path in libraries.glob("lib*"):
        if found := re.match(r"(lib(?:av|sw)[a-z]+)-[0-9a-f]+(\.so\.\d+)", path.name):
            link = folder / (found[1] + found[2])
            link.unlink(missing_ok=True)
            link.symlink_to(path)
    return environment | {"LD_LIBRARY_PATH": f"{folder}:{libraries}"}


def verdict(case: Case, medians: Result) -> tuple[str, bool]:
    """The ratios of a case and whether its goals are met."""
    ours, parts, good = medians[OURS], [], True
    if THEIRS in medians:
        ratio = ours / medians[THEIRS] if medians[THEIRS] else float("nan")
        goal = f" (goal {case.of_theirs:.3g})" if case.of_theirs else ""
        parts.append(f"{ratio:.3g} × theirs{goal}")
        if case.of_theirs:
            good &= ratio >= case.of_theirs if case.of_theirs > 1 else ratio <= case.of_theirs
    if LIMIT in medians:
        ratio = ours / (medians[LIMIT] / case.per)
        parts.append(f"{ratio:.2f} of decoding (goal {case.of_limit})")
        good &= ratio >= (case.of_limit or 0)
    if case.at_most is not None:
        parts.append(f"goal ≤ {case.at_most:g}")
        good &= ours <= case.at_most
    return ", ".join(parts), good


def measured(bench: Bench, cases: list[Case], repeats: int, sides: set[str], say: Callable[[str], None]) -> list[dict]:
    """Medians of every case."""
    report = []
    for case in cases:
        found: dict[str, list[float]] = {}
        for round_ in range(repeats):
            for side in sorted(sides & case.arguments.keys(), key=lambda side: (round_ % 2) ^ (side == OURS)):
                result = bench.run(side, case.arguments[side], case.processes, round_)
                if case.figure in result:
                    found.setdefault(side, []).append(result[case.figure])
        medians = {side: statistics.median(values) for side, values in found.items()}
        text, good = verdict(case, medians)
        theirs, limit = (f"{medians[s]:12.4g}" if s in medians else f"{'':12}" for s in (THEIRS, LIMIT))
        say(f"{case.row:3} {case.name:38}{medians[OURS]:12.4g}{theirs}{limit}  {'✓' if good else '✗'} {text}")
        report.append({"row": case.row, "case": case.name, "figure": case.figure, "good": good, "runs": found})
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lerobot", metavar="PYTHON", help="interpreter of an environment with lerobot[dataset]")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="how long a rate is taken")
    parser.add_argument("--only", default="", help="cases whose row or name holds this")
    parser.add_argument("--folder", type=Path, default=Path("outputs/against"), help="where the datasets are made")
    parser.add_argument("--record_seconds", type=float, default=12.0)
    parser.add_argument("--record_episodes", type=int, default=5)
    options = parser.parse_args()
    folder = options.folder.resolve()
    subprocess.run([sys.executable, str(HERE / "make.py"), str(folder)], check=True)
    pythons = {OURS: sys.executable, LIMIT: sys.executable} | ({THEIRS: options.lerobot} if options.lerobot else {})
    cases = [*CASES, *recordings(options.record_seconds, options.record_episodes)]
    only = options.only
    cases = [case for case in cases if (only == str(case.row) if only.isdigit() else only in case.name)]
    print(f"row {'':38}{'ours':>12}{'theirs':>12}{'decoding':>12}")
    bench = Bench(pythons, folder, options.seconds)
    report = measured(bench, cases, options.repeats, set(pythons), lambda line: print(line, flush=True))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
