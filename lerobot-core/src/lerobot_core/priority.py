"""Real-time priority for the thread that runs the loop, where the system grants it.

On a busy machine an ordinary thread wakes up milliseconds late; with it the period error stays in the hundredths. Linux
grants it to root and to users with an `rtprio` limit (limits.conf(5)); elsewhere nothing changes. Source: sched(7).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def real_time() -> Iterator[bool]:
    """Run the block before every ordinary thread of the machine; gives whether the system granted it.

    Threads and processes started inside stay ordinary: encoders and camera readers must not compete with the loop.
    """
    if not hasattr(os, "SCHED_RESET_ON_FORK"):
        yield False
        return
    former, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except OSError:
        yield False
        return
    try:
        yield True
    finally:  # the flag stays: only root may take it back
        os.sched_setscheduler(0, former | os.SCHED_RESET_ON_FORK, parameters)
