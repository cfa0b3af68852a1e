"""The emulator's own process: a pty, a chain on it, and the time the bytes take.

A reply is handed over when its last byte would have arrived at the set baud rate: long waits sleep, the last fraction of a
millisecond spins, because the scheduler alone is late by a byte or two. Ends when its standard input closes or its parent is
gone. Imports nothing heavy, so that it starts in a fraction of a second.
"""

from __future__ import annotations

import argparse
import math
import os
import select
import signal
import sys
import termios
import time
import tty
from collections import deque
from pathlib import Path

from lerobot_core.priority import real_time
from lerobot_motors.emulators import profiles
from lerobot_motors.emulators.chain import Chain, Faults, Reply, split
from lerobot_motors.emulators.memory import Memory

#: Longest the shared state goes without being written [s].
REFRESH = 0.004
#: Part of a wait that spins instead of sleeping [s].
SPIN = 0.0003
#: How much later a late reply comes [s].
LATE = 0.02
#: Standard speeds of a terminal → bits per second.
SPEEDS = {getattr(termios, f"B{baud}"): baud for baud in (19200, 38400, 57600, 115200, 500_000, 1_000_000)}


class Line:
    """A chain on a pty.

    Args:
        chain: the servos.
        memory: where their state is shown.
        options: the command line.
    """

    def __init__(self, chain: Chain, memory: Memory, options: argparse.Namespace) -> None:
        self._chain, self._memory, self._options = chain, memory, options
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._buffer = bytearray()
        self._due: deque[tuple[float, bytes]] = deque()
        self._wire_free = 0.0
        self._started = self._refreshed = time.monotonic()
        self._blocks = {name: memory.block(name) for name in ("positions", "goals", "torque", "hand")}
        for index in range(len(self._blocks["hand"])):
            self._blocks["hand"][index] = math.nan
        memory.device = os.ttyname(self._slave)
        memory.set_word("pid", os.getpid())
        memory.set_word("motors", len(chain.servos))
        self._update(self._started)

    def serve(self) -> None:
        """Answer until nobody wants it any more."""
        parent = os.getppid()
        while os.getppid() == parent:
            wait = self._deliver()
            readable, _, _ = select.select([self._master, sys.stdin], [], [], wait)
            now = time.monotonic()
            if sys.stdin in readable and not os.read(sys.stdin.fileno(), 64):
                return
            if self._master in readable:
                self._receive(now)
            elif now - self._refreshed >= REFRESH / 2:
                self._update(now)

    def _deliver(self) -> float:
        """Hand over the replies that are due or nearly so; returns how long to sleep at most [s]."""
        while self._due:
            when, packet = self._due[0]
            left = when - time.monotonic()
            if left > SPIN:
                return min(left - SPIN, REFRESH)
            while time.monotonic() < when:
                pass
            os.write(self._master, packet)
            self._due.popleft()
        return REFRESH

    def _receive(self, now: float) -> None:
        self._buffer += os.read(self._master, 4096)
        baud = SPEEDS.get(termios.tcgetattr(self._slave)[4], 0)
        byte = 10 / baud if baud else 0.0
        for packet in split(self._buffer):
            self._wire_free = max(now, self._wire_free) + len(packet) * byte
            self._update(now)
            for reply in self._chain.handle(packet, baud):
                self._schedule(reply, byte)

    def _schedule(self, reply: Reply, byte: float) -> None:
        self._wire_free += reply.delay + len(reply.packet) * byte
        self._due.append((self._wire_free + (LATE if reply.late else 0.0), reply.packet))

    def _update(self, now: float) -> None:
        """Move every servo to where it is now and show it."""
        hands = [None if math.isnan(value) else value for value in self._blocks["hand"]]
        if self._options.motion == "sine":
            ghost = profiles.sine(self._chain.servos, self._options.seed, now - self._started)
            hands = [place if hand is None else hand for hand, place in zip(hands, ghost, strict=False)]
        for index, servo in enumerate(self._chain.servos):
            servo.update(now, hands[index])
            self._blocks["positions"][index] = servo.position
            self._blocks["goals"][index] = servo.get("Goal_Position")
            self._blocks["torque"][index] = servo.torque
        self._memory.set_word("stamp", int(now * 1e9))
        self._refreshed = now


def main() -> None:
    """Serve one chain; the parent reads `ready` from standard output."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    faults = Faults(options.drop, options.corrupt, options.late, tuple(options.dead))
    chain = Chain(profiles.servos(options.chain, options.seed), faults)
    memory = Memory(options.state, create=True)
    try:
        line = Line(chain, memory, options)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        with real_time():  # a servo does not wait for the machine's other work
            line.serve()
    finally:
        options.state.unlink(missing_ok=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lerobot_motors.emulators", description=__doc__)
    parser.add_argument("chain", choices=sorted(profiles.CHAINS))
    parser.add_argument("--state", type=Path, required=True, help="state file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--motion", choices=("none", "sine"), default="none")
    parser.add_argument("--dead", type=int, nargs="*", default=[])
    for fault in ("drop", "corrupt", "late"):
        parser.add_argument(f"--{fault}", type=int, default=0)
    return parser
