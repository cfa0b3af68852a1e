"""What the serial bus costs and what faults do to it: `python tests/benchmarks/bus.py [--cycles N] [--lerobot PYTHON]`

Six STS3215 in a process of their own (`servo_line.py`). Three tables:

- host cost: time of a sync read of six positions beyond that of the same bytes through `os.write` and `os.read`, servos answering
  at once; ours, the vendor's SDK, and lerobot where its interpreter is given. CPU while one servo is silent.
- wire: rates at 1 Mbaud where every byte takes its time, beside what the wire allows.
- faults: 1 % of the replies damaged, 0.5 % lost, one servo dead. A value that answers an older question is stale.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import statistics
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scservo_sdk import GroupSyncRead, PacketHandler, PortHandler
from servo_line import COUNTED

from lerobot_core.priority import real_time
from lerobot_motors.buses.choose import bus_for
from lerobot_motors.buses.feetech.codec import CODECS
from lerobot_motors.buses.serial_bus import SerialBus
from lerobot_motors.calibration import Motor

IDS = tuple(range(1, 7))
DEAD = 4
POSITION = 56
#: Bytes of one cycle, at 10 bits each: 14 + 6·8 for reading positions, 26 more for writing goals.
READ_SECONDS, WRITE_SECONDS = 62e-5, 26e-5
ROUNDS = 5
#: Where deadlines are not what is measured: a pty hands bytes over when the machine has time [ms].
PTY_SLACK = 100.0

#: The other's public API, run by its own interpreter.
LEROBOT = """
import sys, time
from lerobot.motors import Motor, MotorNormMode
from lerobot.motors.feetech import FeetechMotorsBus
port, cycles = sys.argv[1], int(sys.argv[2])
bus = FeetechMotorsBus(port, {f"m{n}": Motor(n, "sts3215", MotorNormMode.RANGE_M100_100) for n in range(1, 7)})
bus.connect(handshake=False)
for count in (100, cycles):
    start = time.perf_counter()
    for _ in range(count):
        bus.sync_read("Present_Position", normalize=False)
    spent = (time.perf_counter() - start) / count
print(spent * 1e6)
"""


@contextmanager
def line(*options: str) -> Iterator[str]:
    """Path of the pty of a new line of servos."""
    script = Path(__file__).with_name("servo_line.py")
    process = subprocess.Popen(
        [sys.executable, str(script), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("a process with pipes has none")
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


@contextmanager
def connected(path: str, **options: float) -> Iterator[SerialBus]:
    """Our bus on six servos without a return delay."""
    bus = bus_for(path, {f"m{number}": Motor(id=number, model="sts3215") for number in IDS}, **options)
    bus.connect(handshake=False)
    for number in IDS:
        bus._connected().delays[number] = 0.0
    yield bus
    bus.disconnect(disable_torque=False)


def each(cycle: Callable[[], object], cycles: int) -> float:
    """Mean time of a cycle [s]."""
    start = time.perf_counter()
    for _ in range(cycles):
        cycle()
    return (time.perf_counter() - start) / cycles


def raw(path: str, size: int = 48) -> tuple[Callable[[], object], Callable[[], None]]:
    """The floor: the bytes of the same question and answer, unread."""
    file, packet = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK), CODECS[0].sync_read(IDS, POSITION, 2)

    termios.tcflush(file, termios.TCIOFLUSH)  # a reply left by another would be one question ahead

    def cycle() -> None:
        os.write(file, packet)
        left = size
        while left > 0:
            select.select([file], [], [], 1.0)
            left -= len(os.read(file, 4096))

    return cycle, lambda: os.close(file)


def sdk(path: str) -> tuple[Callable[[], object], Callable[[], None]]:
    port = PortHandler(path)
    port.openPort()
    port.setBaudRate(1_000_000)
    reader = GroupSyncRead(port, PacketHandler(0), POSITION, 2)
    for number in IDS:
        reader.addParam(number)

    def cycle() -> list[int]:
        reader.txRxPacket()
        return [reader.getData(number, POSITION, 2) for number in IDS]

    return cycle, port.closePort


def host_cost(cycles: int, lerobot: str | None) -> dict[str, float]:
    """Median over rounds of the time of a sync read [µs]; everything in every round, on one line."""
    found: dict[str, list[float]] = {}
    with line() as path:
        for _ in range(ROUNDS):
            with connected(path, slack_ms=PTY_SLACK) as bus:
                for name, cycle in {
                    "ours, latest": lambda: bus.latest("Present_Position", normalize=False),
                    "ours, sync_read": lambda: bus.sync_read("Present_Position", normalize=False),
                }.items():
                    found.setdefault(name, []).append(each(cycle, cycles) * 1e6)
            for name, open_other in {"floor": raw, "vendor's SDK": sdk}.items():
                cycle, close = open_other(path)
                found.setdefault(name, []).append(each(cycle, cycles) * 1e6)
                close()
            if lerobot:
                ran = subprocess.run(
                    [lerobot, "-c", LEROBOT, path, str(cycles)], capture_output=True, text=True, check=True
                )
                found.setdefault("lerobot", []).append(float(ran.stdout.split()[-1]))
    return {name: statistics.median(times) for name, times in found.items()}


def silent_cpu(questions: int = 100) -> dict[str, float]:
    """CPU time spent on a question to a servo that is not there [ms]."""
    found = {}
    with line(f"--dead={DEAD}") as path:
        with connected(path) as bus:
            wire, codec = bus._connected(), bus.codec
            start = time.process_time()
            for _ in range(questions):
                wire.sync_read(codec, [DEAD], POSITION, 2)
            found["ours"] = (time.process_time() - start) / questions * 1e3
        port = PortHandler(path)
        port.openPort()
        port.setBaudRate(1_000_000)
        packets = PacketHandler(0)
        start = time.process_time()
        for _ in range(questions):
            packets.read2ByteTxRx(port, DEAD, POSITION)
        found["vendor's SDK"] = (time.process_time() - start) / questions * 1e3
        port.closePort()
    return found


def wire_rates(cycles: int) -> dict[str, dict[str, float]]:
    """Rates at the pace of the wire [Hz], beside those of the wire and of the raw bytes."""
    goals = dict.fromkeys((f"m{number}" for number in IDS), 2048)
    found: dict[str, dict[str, float]] = {}
    with line("--baud=1000000") as path, real_time():
        with connected(path, slack_ms=PTY_SLACK) as bus:

            def both() -> None:
                bus.latest("Present_Position", normalize=False)
                bus.sync_write("Goal_Position", goals, normalize=False)

            read = lambda: bus.latest("Present_Position", normalize=False)  # noqa: E731
            ours = {"read": 1 / each(read, cycles), "read and write": 1 / each(both, cycles)}
        cycle, close = raw(path)
        floor = {"read": 1 / each(cycle, cycles), "read and write": float("nan")}
        close()
    for name, seconds in {"read": READ_SECONDS, "read and write": READ_SECONDS + WRITE_SECONDS}.items():
        found[name] = {"ours": ours[name], "wire": 1 / seconds, "raw bytes": floor[name]}
    return found


class Probe:
    """A thread that only sleeps: when it wakes up late, the machine stood still, not the bus."""

    def __init__(self) -> None:
        self.pauses: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        with real_time():
            last = time.monotonic()
            while not self._stop.is_set():
                time.sleep(0.001)
                now = time.monotonic()
                if now - last > 0.0015:
                    self.pauses.append((last, now))
                last = now

    def seen(self, spans: list[tuple[float, float]]) -> list[bool]:
        """Which of the time spans, in order, a pause overlaps."""
        overlapping, index = [], 0
        for start, end in spans:
            while index < len(self.pauses) and self.pauses[index][1] < start:
                index += 1
            overlapping.append(index < len(self.pauses) and self.pauses[index][0] < end)
        return overlapping


def faults(cycles: int) -> dict[str, float]:
    """Stalls, fresh values of the live servos and stale ones, at the pace of the wire."""
    spans: list[tuple[float, float]] = []
    fresh = stale = live = 0
    options = ("--baud=1000000", "--corrupt=0.01", "--lost=0.005", f"--dead={DEAD}", "--count")
    with line(*options) as path, connected(path, patience_s=1e9) as bus, Probe() as probe, real_time():
        alive = [f"m{number}" for number in IDS if number != DEAD]
        bus.latest("Present_Position", alive, normalize=False)
        bus._recent._seen[POSITION, 2][DEAD] = bus._recent._seen[POSITION, 2][IDS[0]]._replace(stamp=0)
        for _ in range(cycles):
            asked, start = bus.health.transactions, time.monotonic()
            readings = bus.latest("Present_Position", normalize=False, num_retry=2)
            spans.append((start, time.monotonic()))
            last = bus.health.transactions
            for name in alive:
                value, _, missed = readings[name]
                live += 1
                if not missed:
                    fresh += 1
                    stale += not 0 < (value - asked) % COUNTED <= last - asked
        health = bus.health.line()
    quiet = [end - start for (start, end), seen in zip(spans, probe.seen(spans), strict=True) if not seen]
    quiet.sort()
    print(health)
    return {
        "cycles": cycles,
        "cycles in pauses of the machine": cycles - len(quiet),
        "median ms": statistics.median(quiet) * 1e3,
        "p99.99 ms": quiet[min(len(quiet) - 1, int(len(quiet) * 0.9999))] * 1e3,
        "p99.99 beyond the wire ms": (quiet[min(len(quiet) - 1, int(len(quiet) * 0.9999))] - READ_SECONDS) * 1e3,
        "live values fresh %": 100 * fresh / live,
        "stale values": stale,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=2000, help="of each measurement")
    parser.add_argument("--fault-cycles", type=int, default=10_000)
    parser.add_argument("--lerobot", help="interpreter that has lerobot")
    options = parser.parse_args()
    cost = host_cost(options.cycles, options.lerobot)
    print(f"{'sync read of 6':24}{'µs':>9}{'beyond the floor':>18}")
    for name, spent in cost.items():
        print(f"{name:24}{spent:9.1f}{spent - cost['floor']:18.1f}")
    cpu = silent_cpu()
    for name, spent in cpu.items():
        print(f"{'silent servo, ' + name:30}{spent:9.3f} ms CPU")
    rates = wire_rates(options.cycles)
    print(f"\n{'at 1 Mbaud':24}{'Hz':>9}{'of the wire':>14}{'raw bytes Hz':>14}")
    for name, rate in rates.items():
        print(f"{name:24}{rate['ours']:9.0f}{100 * rate['ours'] / rate['wire']:13.1f}%{rate['raw bytes']:14.0f}")
    print()
    spoilt = faults(options.fault_cycles)
    for name, value in spoilt.items():
        print(f"{name:34}{value:12.3f}")
    print(json.dumps({"host_us": cost, "silent_cpu_ms": cpu, "wire": rates, "faults": spoilt}))


if __name__ == "__main__":
    main()
