"""The last replies of servos to a question that is asked again and again. Knows ids and bytes, no names and no units.

A servo that does not answer keeps its last bytes with their stamp; the others are fresh. One that stays silent is asked again
only now and then, so that waiting for it does not slow the others down.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import attrs

from lerobot_motors.buses.family import Codec, Status
from lerobot_motors.buses.wire import Wire

#: A servo that was silent this often in a row is asked after SOON [s], and after twice as long each time, up to PROBE [s].
SILENT_OFTEN, SOON, PROBE = 3, 0.005, 0.05
#: Time that asking again may take beyond the deadline of the first question [s]: one servo answers in a third of it, and with the
#: 2 ms of a serial port no cycle takes 3 ms longer than its wire.
AGAIN = 0.0007
#: How often a servo that never answered is asked before it is an error.
FIRST_TRIES = 3


#: The last reply of a servo, when the transaction that brought it began (monotonic [ns]), and how often it missed since. A plain
#: tuple, as six of them are made in each cycle of a loop.
Seen = tuple[Status, int, int]


@attrs.define
class Silence:
    """Since when a servo has not answered.

    Attributes:
        since: when it was first asked in vain [s, monotonic].
        times: questions in vain.
        damaged: whether something came the last time.
        again: when to ask it next [s, monotonic].
    """

    since: float
    times: int = 0
    damaged: bool = False
    again: float = 0.0


class Recent:
    """What was last seen of the memories of servos.

    Attributes:
        silent: id → the silence of servos that did not answer the last time they were asked.
        faulty: whether a reply of the last question reported a fault.
    """

    def __init__(self) -> None:
        self.silent: dict[int, Silence] = {}
        self.faulty = False
        self._seen: dict[tuple[int, int], dict[int, Seen]] = {}

    def ask(
        self, wire: Wire, codec: Codec, servos: Sequence[int], address: int, size: int, num_retry: int
    ) -> dict[int, Seen]:
        """The last reply of every servo that ever gave one, with at least the bytes asked for.

        Args:
            num_retry: how often those that are missing are asked again, within `AGAIN`.

        Raises:
            NotConnected: the port is gone.
        """
        seen = self._seen.setdefault((address, size), {})
        stamp = time.monotonic_ns()
        asked = servos
        if self.silent:  # where all are, nobody is slowed down
            asked = [servo for servo in servos if self._due(servo, stamp / 1e9)] or servos
        replies, damaged = wire.sync_read(codec, asked, address, size)
        self.faulty = False
        for servo, status in replies.items():
            seen[servo] = status, stamp, 0
            if status.error:
                self.faulty = True
        if len(replies) < len(asked):
            live = [s for s in asked if s not in self.silent or self.silent[s].times < SILENT_OFTEN]
            self._ask_again(wire, codec, live, address, size, num_retry, stamp)
        elif not self.silent:
            return seen
        self._note(servos, asked, damaged, seen, stamp)
        return seen

    def _ask_again(
        self,
        wire: Wire,
        codec: Codec,
        asked: Sequence[int],
        address: int,
        size: int,
        num_retry: int,
        stamp: int,
    ) -> None:
        seen = self._seen[address, size]
        until = stamp / 1e9 + wire.seconds(codec, asked, size, len(asked) + codec.overhead) + wire.slack + AGAIN
        for turn in range(max(num_retry, FIRST_TRIES)):
            missing = [s for s in asked if s not in seen or (turn < num_retry and seen[s][1] < stamp)]
            began = time.monotonic_ns()
            never = any(servo not in seen for servo in missing)
            if not missing or (not never and began / 1e9 >= until):
                return
            found = wire.sync_read(codec, missing, address, size, None if never else until)
            for servo, status in found.replies.items():
                seen[servo] = status, began, 0
                self.faulty = self.faulty or status.error != 0

    def _due(self, servo: int, now: float) -> bool:
        silence = self.silent.get(servo)
        return silence is None or silence.times < SILENT_OFTEN or now >= silence.again

    def _note(
        self, servos: Sequence[int], asked: Sequence[int], damaged: set[int], seen: dict[int, Seen], stamp: int
    ) -> None:
        for servo in servos:
            if servo in seen and seen[servo][1] >= stamp:
                self.silent.pop(servo, None)
                continue
            if servo in seen:
                status, when, missed = seen[servo]
                seen[servo] = status, when, missed + 1
            silence = self.silent.setdefault(servo, Silence(since=stamp / 1e9))
            if servo in asked:
                silence.times += 1
                silence.damaged = servo in damaged
                pause = SOON * 2 ** min(silence.times - SILENT_OFTEN, 8)
                silence.again = time.monotonic() + min(pause, PROBE)
