"""The emulator's own process: a pty, a chain on it, and the time the bytes take.

A reply is handed over such that the host has its last byte when it would have arrived at the set baud rate: sooner by what the
pty itself takes, and never before the request. Long waits sleep, the last fraction of a millisecond spins, because the scheduler
alone is late by a byte or two. Ends when its standard input closes or its parent is
gone. Imports nothing heavy, so that it starts in a fraction of a second.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import heapq
import math
import os
import select
import signal
import struct
import sys
import termios
import time
import tty
from pathlib import Path

from lerobot_core.errors import ConfigError
from lerobot_core.priority import real_time
from lerobot_motors.emulators import faults, handover, profiles
from lerobot_motors.emulators.chain import Chain
from lerobot_motors.emulators.memory import Memory
from lerobot_motors.emulators.timetable import Timetable

#: Longest the shared state goes without being written [s].
REFRESH = 0.004
#: How old a place may be that an unpaced chain gives [s].
STALE = 0.001
#: Part of a wait that spins instead of sleeping [s].
SPIN = 0.0003
#: Standard speeds of a terminal → bits per second.
SPEEDS = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name[0] == "B" and name[1:].isdigit()}
#: Asks Linux for a speed that has no name (ioctl_tty(2)); the answer ends in the output speed.
TCGETS2, TERMIOS2 = 0x802C542A, struct.Struct("4IB19s2I")


class Line:
    """A chain on a pty.

    Args:
        chain: the servos.
        memory: where their state is shown.
        options: the command line.
        handover: what the pty takes of the time of a request and its reply [s].
    """

    def __init__(self, chain: Chain, memory: Memory, options: argparse.Namespace, handover: float) -> None:
        self._chain, self._memory, self._options = chain, memory, options
        self._master = self._slave = -1
        self._buffer = bytearray()
        self._due: list[tuple[float, int, bytes]] = []
        self._sent = 0
        self._started = self._moved = time.monotonic()
        self._refreshed = 0.0
        self._timetable = Timetable(options.pace, handover)
        self._blocks = {
            name: memory.block(name) for name in ("positions", "goals", "torque", "loads", "status", "hand")
        }
        for index in range(len(self._blocks["hand"])):
            self._blocks["hand"][index] = math.nan
        memory.set_word("pid", os.getpid())
        memory.set_word("motors", len(chain.servos))
        self._plug_in()
        self._update(self._started)

    def serve(self) -> None:
        """Answer until nobody wants it any more."""
        parent, ended = os.getppid(), sys.stdin.fileno()
        while os.getppid() == parent:
            wait = self._deliver()
            listened = [ended] if self._master < 0 else [ended, self._master]
            readable, _, _ = select.select(listened, [], [], wait)
            now = time.monotonic()
            if ended in readable and not os.read(ended, 64):
                return
            if self._master in readable:
                self._receive(now)
                if not self._options.pace:
                    self._deliver()
                if not all(servo.resting for servo in self._chain.servos):
                    self._show()  # what was written is to be seen no later than the reply to it
            if now - self._refreshed >= REFRESH / 2:
                self._update(now)

    def _plug_in(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._memory.device = os.ttyname(self._slave)

    def _unplug(self) -> None:
        """Whoever has the port open gets an error from now on."""
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1
        self._memory.device = ""
        self._buffer.clear()
        self._due.clear()

    def _deliver(self) -> float:
        """Hand over the replies that are due or nearly so; returns how long to sleep at most [s]."""
        while self._due:
            left = self._due[0][0] - time.monotonic()
            if left > SPIN:
                return min(left - SPIN, REFRESH)
            when, _, packet = heapq.heappop(self._due)
            while self._due and self._due[0][0] <= when:
                packet += heapq.heappop(self._due)[2]
            with contextlib.suppress(BlockingIOError):  # nobody reads: the bytes are gone, as on a wire
                while time.monotonic() < when:
                    pass
                os.write(self._master, packet)
        return REFRESH

    def _receive(self, now: float) -> None:
        self._buffer += os.read(self._master, 4096)
        baud = _baud(self._slave)
        for packet in self._chain.wire.split(self._buffer):
            self._timetable.request(len(packet), now, baud)
            if self._options.pace or self._chain.faults.any or now - self._moved >= STALE:
                self._move(now)
            for reply in self._chain.handle(packet, baud):
                self._sent += 1
                heapq.heappush(self._due, (self._timetable.reply(reply, baud), self._sent, reply.packet))

    def _move(self, now: float) -> None:
        """Move every servo to where it is now."""
        hands = [None if math.isnan(value) else value for value in self._blocks["hand"]]
        if self._options.motion == "sine":
            ghost = profiles.sine(self._chain.servos, self._options.seed, now - self._started)
            hands = [place if hand is None else hand for hand, place in zip(hands, ghost, strict=False)]
        self._chain.update(now - self._started, hands[: len(self._chain.servos)])
        self._moved = now

    def _update(self, now: float) -> None:
        """Do what was ordered, move every servo to where it is now, and show it."""
        orders = self._memory.word("orders")
        if orders != self._memory.word("obeyed"):
            with contextlib.suppress(ConfigError):  # was refused where it was given
                for fault in faults.parse(self._memory.order):
                    self._chain.faults.add(fault, now - self._started, self._chain.heard)
        self._move(now)
        if self._chain.faults.line("unplug") != (self._master < 0):
            if self._master < 0:
                self._plug_in()
            else:
                self._unplug()
        self._show()
        self._memory.set_word("obeyed", orders)
        self._memory.set_word("stamp", int(now * 1e9))
        self._refreshed = now

    def _show(self) -> None:
        blocks = self._blocks
        for index, servo in enumerate(self._chain.servos):
            blocks["positions"][index] = servo.position
            blocks["goals"][index] = servo.get("Goal_Position")
            blocks["torque"][index] = servo.torque
            blocks["loads"][index] = servo.load
            blocks["status"][index] = servo.alarms
        self._memory.set_word("heard", self._chain.heard)


def _baud(terminal: int) -> int:
    """Speed a terminal is set to [bits per second]; 0: none that is known."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return TERMIOS2.unpack(fcntl.ioctl(terminal, TCGETS2, bytes(TERMIOS2.size)))[-1]
    speed = termios.tcgetattr(terminal)[4]
    return SPEEDS.get(speed, speed)


def main() -> None:
    """Serve one chain; the parent reads `ready` from standard output."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    wrong = faults.Faults(faults.parse(options.faults), options.seed)
    chain = Chain(profiles.servos(options.chain, options.seed, options.gravity), wrong)
    memory = Memory(options.state, create=True)
    try:
        with real_time():  # a servo does not wait for the machine's other work
            line = Line(chain, memory, options, handover.measure() if options.pace else 0.0)
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            line.serve()
    finally:
        options.state.unlink(missing_ok=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lerobot_motors.emulators", description=__doc__)
    parser.add_argument("chain", choices=sorted(profiles.CHAINS))
    parser.add_argument("--state", type=Path, required=True, help="state file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--motion", choices=("none", "sine"), default="none")
    parser.add_argument("--gravity", type=float, default=0.0)
    parser.add_argument("--pace", type=float, default=1.0)
    parser.add_argument("--faults", default="")
    return parser
