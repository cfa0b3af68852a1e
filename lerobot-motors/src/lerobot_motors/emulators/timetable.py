"""When the bytes on a wire are there. *Pure*: time is given, nothing is sent and nobody waits."""

from __future__ import annotations

from lerobot_motors.emulators.chain import Reply

#: Bits of a byte on the wire: start, eight, stop.
BITS = 10


class Timetable:
    """One line that carries one byte after the other.

    Args:
        pace: time that bytes and pauses take, 1 as on a wire, 0 none.
        handover: what a request and its reply take on their way to and from here, which a wire would not [s].
    """

    def __init__(self, pace: float, handover: float = 0.0) -> None:
        self._pace, self._handover = pace, handover
        self._free = 0.0

    def request(self, size: int, now: float, baud: int) -> None:
        """A packet of so many bytes has come, sent at once but for what is still on the line."""
        self._free = max(now - self._handover, self._free) + size * self._byte(baud)

    def reply(self, reply: Reply, baud: int) -> float:
        """When the next reply has to leave for its last byte to be there in time [s]."""
        if not reply.echo:
            self._free += self._pace * reply.delay + len(reply.packet) * self._byte(baud)
        return self._free + reply.late

    def _byte(self, baud: int) -> float:
        return self._pace * BITS / baud if baud else 0.0
