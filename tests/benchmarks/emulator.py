"""How true an emulator is to its wire, and how fast without one. `python tests/benchmarks/emulator.py [--cycles 2000]`

A cycle is a sync read of the positions of all servos through plain `os.write` and `os.read`, return delays 0.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import time

import numpy as np
import serial

from lerobot_motors import emulators
from lerobot_motors.emulators.profiles import CHAINS
from lerobot_motors.emulators.wires import BROADCAST, SYNC_READ, SYNC_WRITE, checksum, crc16

BAUD = 1_000_000


def feetech(instruction: int, data: bytes) -> bytes:
    body = bytes([BROADCAST, len(data) + 2, instruction]) + data
    return b"\xff\xff" + body + bytes([checksum(body)])


def dynamixel(instruction: int, data: bytes) -> bytes:
    body = (
        b"\xff\xff\xfd\x00" + bytes([BROADCAST]) + (len(data) + 3).to_bytes(2, "little") + bytes([instruction]) + data
    )
    return body + crc16(body).to_bytes(2, "little")


def packets(chain: str) -> tuple[bytes, bytes, int]:
    """(writes the return delays, asks for the positions, bytes of all replies)."""
    ids = bytes(joint.id for joint in CHAINS[chain])
    if CHAINS[chain][0].model.startswith("x"):
        quick = dynamixel(SYNC_WRITE, b"\x09\x00\x01\x00" + b"".join(bytes([number, 0]) for number in ids))
        return quick, dynamixel(SYNC_READ, b"\x84\x00\x04\x00" + ids), 15 * len(ids)
    unlock = feetech(SYNC_WRITE, b"\x37\x01" + b"".join(bytes([number, 0]) for number in ids))
    quick = feetech(SYNC_WRITE, b"\x07\x01" + b"".join(bytes([number, 0]) for number in ids))
    return unlock + quick, feetech(SYNC_READ, b"\x38\x02" + ids), 8 * len(ids)


def cycles(chain: str, pace: float, count: int) -> tuple[np.ndarray, float]:
    """How long each cycle took (count,) [s], and what it takes on the wire [s]."""
    emulator = emulators.open_port(f"emulated://{chain}?name=bench-{chain}-{pace:g}&pace={pace}")
    quick, ask, size = packets(chain)
    taken = []
    with serial.Serial(emulator.path, BAUD, timeout=0) as port:
        file = port.fileno()
        os.write(file, quick)
        time.sleep(0.1)
        for _ in range(count):
            start, left = time.perf_counter(), size
            os.write(file, ask)
            while left:
                if not select.select([file], [], [], 1.0)[0]:
                    raise TimeoutError(f"{chain}: {left} bytes did not come")
                left -= len(os.read(file, left))
            taken.append(time.perf_counter() - start)
    emulator.close()
    return np.array(taken), (len(ask) + size) * 10 / BAUD


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=2000)
    options = parser.parse_args()
    found = {}
    print(f"{'sync read':20}{'wire µs':>9}{'min':>9}{'p50':>9}{'p99':>9}{'p50/wire':>10}")
    for chain in ("so101", "lekiwi", "koch", "viperx"):
        for pace in (1.0, 0.0):
            taken, wire = cycles(chain, pace, options.cycles)
            low, middle, high = (float(part) * 1e6 for part in np.percentile(taken, (0, 50, 99)))
            label = chain if pace else f"{chain}, unpaced"
            ratio = middle / wire / 1e6
            print(f"{label:20}{wire * 1e6:9.0f}{low:9.0f}{middle:9.0f}{high:9.0f}" + (f"{ratio:10.3f}" if pace else ""))
            found[label] = {"wire_us": wire * 1e6, "min_us": low, "p50_us": middle, "p99_us": high}
    print(json.dumps({"emulator": found}))


if __name__ == "__main__":
    main()
