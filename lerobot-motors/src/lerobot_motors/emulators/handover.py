"""What a pty takes to hand over a request and its reply, which a wire would not. Knows no servos and no packets.

The kernel moves the bytes of a pty in a worker of its own, and whoever waits for them has to be woken: 15 µs on one core, 100 µs
where a virtual machine has to wake another one. So it is measured where an emulator runs, against a host of its own: on another
core, as an emulator and its host are when both are busy.
"""

from __future__ import annotations

import os
import select
import statistics
import struct
import time
import tty
from collections.abc import Collection

from lerobot_core.priority import real_time

#: Round trips that are measured, in a few hundredths of a second.
ROUNDS = 40
#: What is sent and what comes back [bytes]: a sync read of six positions.
REQUEST, REPLY = 14, 48
#: How long the answering side is awake before it replies, as an emulator is [s].
AWAKE = 300e-6
#: More is a machine that is busy with something else [s].
LONGEST = 150e-6
#: Longest the other side is waited for [s].
PATIENCE = 0.05
_TIMES = struct.Struct(f"{ROUNDS}d")


def measure() -> float:
    """Time between a host's write and the last byte of the reply to it, beyond what the reply was held back [s]; 0 where the
    machine stood still."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    master, slave = os.openpty()
    tty.setraw(slave)
    reading, writing = os.pipe()
    host = os.fork()
    if host == 0:
        try:
            _stay_on(cores[1:])
            with real_time():
                os.write(writing, _TIMES.pack(*(_round_trip(slave) for _ in range(ROUNDS))))
        finally:
            os._exit(0)  # whatever happens: the rest of the program is the emulator's
    os.close(writing)
    _stay_on(cores[:1])
    try:
        _answer(master)
        found = os.read(reading, _TIMES.size)
    finally:
        os.waitpid(host, 0)
        _stay_on(cores)
        for file in (master, slave, reading):
            os.close(file)
    return min(statistics.median(_TIMES.unpack(found)), LONGEST) if found else 0.0


def _stay_on(cores: Collection[int]) -> None:
    if cores:
        os.sched_setaffinity(0, cores)


def _answer(master: int) -> None:
    for _ in range(ROUNDS):
        if not select.select([master], [], [], PATIENCE)[0]:
            return
        due = time.monotonic() + AWAKE
        os.read(master, REQUEST)
        while time.monotonic() < due:
            pass
        os.write(master, bytes(REPLY))


def _round_trip(slave: int) -> float:
    left, began = REPLY, time.monotonic()
    os.write(slave, bytes(REQUEST))
    while left:
        if not select.select([slave], [], [], PATIENCE)[0]:
            raise TimeoutError("nobody answers")
        left -= len(os.read(slave, left))
    return time.monotonic() - began - AWAKE
