"""What the serial bus costs and what faults do to it: `python tests/benchmarks/bus.py [--only TABLE] [--cycles N] [--lerobot PYTHON]`

Six STS3215 in a process of their own (`servo_line.py`). Three tables:

- host cost: time of a sync read of six positions beyond that of the same bytes through `os.write` and `os.read`, servos answering
  at once; ours, the vendor's SDK, and lerobot where its interpreter is given. CPU while one servo is silent.
- wire: rates on an emulated SO-101 at 1 Mbaud, where every byte takes its time, beside what the wire allows.
- faults: 1 % of the replies damaged, 0.5 % lost, one servo dead. A value that answers an older question is stale.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import select
import statistics
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scservo_sdk import GroupSyncRead, PacketHandler, PortHandler
from servo_line import COUNTED

from lerobot_core.priority import real_time
from lerobot_motors import emulators
from lerobot_motors.buses.choose import bus_for
from lerobot_motors.buses.feetech.codec import CODECS
from lerobot_motors.buses.serial_bus import SerialBus
from lerobot_motors.calibration import Motor

IDS = tuple(range(1, 7))
DEAD = 4
POSITION = 56
#: Bytes of one cycle, at 10 bits each: 14 + 6·8 for reading positions, 26 more for writing goals.
READ_SECONDS, WRITE_SECONDS = 62e-5, 26e-5
#: Cycles of each in a row.
BLOCK = 50
#: How often each of the rates is measured, in turns.
TURNS = 5
#: Where deadlines are not what is measured: a pty hands bytes over when the machine has time [ms].
PTY_SLACK = 100.0

#: The other's public API, run by its own interpreter.
LEROBOT = """
import os, select, statistics, sys, time
from lerobot.motors import Motor, MotorNormMode
from lerobot.motors.feetech import FeetechMotorsBus
port, cycles, packet = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
bus = FeetechMotorsBus(port, {f"m{n}": Motor(n, "sts3215", MotorNormMode.RANGE_M100_100) for n in range(1, 7)})
bus.connect(handshake=False)
file = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
def floor():
    os.write(file, packet)
    left = 48
    while left > 0:
        select.select([file], [], [], 1.0)
        left -= len(os.read(file, 4096))
def theirs():
    bus.sync_read("Present_Position", normalize=False)
times = {floor: [], theirs: []}
for _ in range(cycles // 50):
    for cycle, found in times.items():
        for _ in range(50):
            start = time.perf_counter()
            cycle()
            found.append(time.perf_counter() - start)
print((statistics.median(times[theirs]) - statistics.median(times[floor])) * 1e6)
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


def each(cycle: Callable[[], object], cycles: int) -> list[float]:
    """Time of every cycle [s]."""
    times = [time.perf_counter()]
    for _ in range(cycles):
        cycle()
        times.append(time.perf_counter())
    return [end - start for start, end in itertools.pairwise(times)]


def raw(path: str, then: bytes = b"") -> tuple[Callable[[], object], Callable[[], None]]:
    """The floor: the bytes of the same question and answer, unread; `then` is written after them."""
    file, packet = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK), CODECS[0].sync_read(IDS, POSITION, 2)

    termios.tcflush(file, termios.TCIOFLUSH)  # a reply left by another would be one question ahead

    def cycle() -> None:
        os.write(file, packet)
        left = 48
        while left > 0:
            select.select([file], [], [], 1.0)
            left -= len(os.read(file, 4096))
        if then:
            os.write(file, then)

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
    """Median time of a sync read beyond the floor's [µs]; in turns, on one line and one core, which nobody has to wake."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    times: dict[str, list[float]] = {}
    with line() as path, connected(path, slack_ms=PTY_SLACK) as bus:
        floor, close_floor = raw(path)
        theirs, close_sdk = sdk(path)
        cycle_of = {
            "floor": floor,
            "ours, latest": lambda: bus.latest("Present_Position", normalize=False),
            "ours, sync_read": lambda: bus.sync_read("Present_Position", normalize=False),
            "vendor's SDK": theirs,
        }
        for _ in range(cycles // BLOCK):
            for name, cycle in cycle_of.items():
                for _ in range(BLOCK):
                    start = time.perf_counter()
                    cycle()
                    times.setdefault(name, []).append(time.perf_counter() - start)
        close_floor()
        close_sdk()
    found = {name: statistics.median(spent) * 1e6 for name, spent in times.items()}
    found = {name: spent - found["floor"] if name != "floor" else spent for name, spent in found.items()}
    if lerobot:
        with line() as path:
            command = [lerobot, "-c", LEROBOT, path, str(cycles), CODECS[0].sync_read(IDS, POSITION, 2).hex()]
            own = {**os.environ, "PYTHONPATH": ""}
            found["lerobot"] = float(
                subprocess.run(command, capture_output=True, text=True, check=True, env=own).stdout
            )
    os.sched_setaffinity(0, cores)
    return found


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
    """Rates at the pace of the wire [Hz]: of the median cycle, and all cycles by their time, in which the machine stood still, too;
    beside those of the wire and of the raw bytes, which are read and written in turns with ours."""
    goals = dict.fromkeys((f"m{number}" for number in IDS), 2048)
    packet = CODECS[0].sync_write(42, {number: (2048).to_bytes(2, "little") for number in IDS})
    emulator = emulators.open_port("emulated://so101?name=wire-rates")
    times: dict[str, list[float]] = {}
    with connected(emulator.path, slack_ms=PTY_SLACK) as bus, real_time():
        for name in bus.motors:
            bus.write("Lock", name, 0)
            bus.write("Return_Delay_Time", name, 0)

        def both() -> None:
            bus.latest("Present_Position", normalize=False)
            bus.sync_write("Goal_Position", goals, normalize=False)

        raw_read, close_read = raw(emulator.path)
        raw_both, close_both = raw(emulator.path, packet)
        cycle_of = {
            "read": lambda: bus.latest("Present_Position", normalize=False),
            "raw read": raw_read,
            "read and write": both,
            "raw read and write": raw_both,
        }
        for _ in range(TURNS):
            for name, cycle in cycle_of.items():
                times.setdefault(name, []).extend(each(cycle, cycles // TURNS))
        close_read()
        close_both()
    emulator.close()
    wire = {"read": READ_SECONDS, "read and write": READ_SECONDS + WRITE_SECONDS}
    return {
        name: {
            "ours": 1 / statistics.median(times[name]),
            "all": 1 / statistics.fmean(times[name]),
            "wire": 1 / seconds,
            "raw bytes": 1 / statistics.median(times[f"raw {name}"]),
        }
        for name, seconds in wire.items()
    }


#: Only sleeps, on one core and before everything else: when it wakes up late, the machine stood still, not the bus. Gives its
#: pauses when it is told to end.
PROBE = """
import contextlib, os, select, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
with contextlib.suppress(PermissionError):
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(2))
last = time.monotonic()
while not select.select([sys.stdin], [], [], 0.001)[0]:
    now = time.monotonic()
    if now - last > 0.0015:
        print(last, now)
    last = now
"""


class Probes:
    """One on each core, in processes of their own: what holds up this one is the bus's.

    Attributes:
        pauses: (beginning, end) of each pause of the machine [s, monotonic], in order; when it is over.
    """

    def __enter__(self) -> Probes:
        self._running = [
            subprocess.Popen(
                [sys.executable, "-c", PROBE, str(core)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for core in os.sched_getaffinity(0)
        ]
        return self

    def __exit__(self, *_: object) -> None:
        said = "".join(probe.communicate()[0] for probe in self._running)
        self.pauses = sorted((float(start), float(end)) for start, end in map(str.split, said.splitlines()))

    def seen(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Which of the time spans (N,), in order, a pause overlaps (N,)."""
        overlapping = np.zeros(len(starts), bool)
        for start, end in self.pauses:
            overlapping[np.searchsorted(ends, start) : np.searchsorted(starts, end)] = True
        return overlapping


def faults(cycles: int) -> dict[str, float]:
    """Stalls, fresh values of the live servos and stale ones, at the pace of the wire."""
    starts, ends = np.zeros(cycles), np.zeros(cycles)
    fresh = stale = live = 0
    options = ("--baud=1000000", "--corrupt=0.01", "--lost=0.005", f"--dead={DEAD}", "--count")
    with line(*options) as path, connected(path, patience_s=1e9) as bus, Probes() as probes, real_time():
        alive = [f"m{number}" for number in IDS if number != DEAD]
        bus.latest("Present_Position", alive, normalize=False)
        seen = bus._recent._seen[POSITION, 2]
        seen[DEAD] = seen[IDS[0]]  # as if it had died just now
        for cycle in range(cycles):
            asked, starts[cycle] = bus.health.transactions, time.monotonic()
            readings = bus.latest("Present_Position", normalize=False, num_retry=2)
            ends[cycle] = time.monotonic()
            last = bus.health.transactions
            for name in alive:
                value, _, missed = readings[name]
                live += 1
                if not missed:
                    fresh += 1
                    stale += not 0 < (value - asked) % COUNTED <= last - asked
        print(bus.health.line())
    quiet = np.sort((ends - starts)[~probes.seen(starts, ends)])
    worst = float(quiet[min(len(quiet) - 1, int(len(quiet) * 0.9999))])
    return {
        "cycles": cycles,
        "cycles in pauses of the machine": cycles - len(quiet),
        "median ms": float(np.median(quiet)) * 1e3,
        "p99.99 ms": worst * 1e3,
        "p99.99 beyond the wire ms": (worst - READ_SECONDS) * 1e3,
        "longest beyond the wire ms": (float(quiet[-1]) - READ_SECONDS) * 1e3,
        "live values fresh %": 100 * fresh / live,
        "stale values": stale,
    }


def show_host(cycles: int, lerobot: str | None) -> dict[str, object]:
    cost, cpu = host_cost(cycles, lerobot), silent_cpu()
    print(f"{'sync read of 6':24}{'µs beyond the floor':>22}")
    for name, spent in cost.items():
        print(f"{name:24}{spent:22.1f}" + (" (itself)" if name == "floor" else ""))
    for name, spent in cpu.items():
        print(f"{'silent servo, ' + name:30}{spent:9.3f} ms CPU")
    return {"host_us": cost, "silent_cpu_ms": cpu}


def show_wire(cycles: int) -> dict[str, object]:
    rates = wire_rates(cycles)
    print(f"\n{'at 1 Mbaud':24}{'Hz':>9}{'of the wire':>14}{'all cycles Hz':>16}{'raw bytes Hz':>14}")
    for name, rate in rates.items():
        part = 100 * rate["ours"] / rate["wire"]
        print(f"{name:24}{rate['ours']:9.0f}{part:13.1f}%{rate['all']:16.0f}{rate['raw bytes']:14.0f}")
    return {"wire": rates}


def show_faults(cycles: int) -> dict[str, object]:
    print()
    spoilt = faults(cycles)
    for name, value in spoilt.items():
        print(f"{name:34}{value:12.3f}")
    return {"faults": spoilt}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("host", "wire", "faults"), help="one of the tables")
    parser.add_argument("--cycles", type=int, default=2000, help="of each measurement")
    parser.add_argument("--fault-cycles", type=int, default=10_000)
    parser.add_argument("--lerobot", help="interpreter that has lerobot")
    options = parser.parse_args()
    tables: dict[str, Callable[[], dict[str, object]]] = {
        "host": lambda: show_host(options.cycles, options.lerobot),
        "wire": lambda: show_wire(options.cycles),
        "faults": lambda: show_faults(options.fault_cycles),
    }
    found: dict[str, object] = {}
    for table in [options.only] if options.only else tables:
        found |= tables[table]()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
