"""What happens, said aloud by the system's own program. Knows nothing of robots."""

from __future__ import annotations

import logging
import shutil
import subprocess
import threading
from collections import deque

from lerobot_core.errors import LeRobotError

#: Programs that say their last argument and end when it is said, best first.
PROGRAMS = (("spd-say", "--wait"), ("espeak-ng",), ("espeak",), ("say",))
#: Sentences that may wait while one is said; older ones are no news any more.
_WAITING = 2
#: How long one may take [s].
_LONGEST = 10.0

logger = logging.getLogger(__name__)


class Speaker:
    """Says sentences one after the other, inside its `with`, in a thread of its own.

    Raises:
        LeRobotError: the system has no program that speaks.
    """

    def __init__(self) -> None:
        found = [program for program in PROGRAMS if shutil.which(program[0])]
        if not found:
            raise LeRobotError(
                f"--play_sounds needs a program that speaks, found none of {', '.join(name for name, *_ in PROGRAMS)}",
                hint="`apt install speech-dispatcher` or `apt install espeak-ng`, or leave out --play_sounds",
            )
        self._program = found[0]
        self._waiting: deque[str] = deque(maxlen=_WAITING)
        self._stirred = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="speech")

    def __enter__(self) -> Speaker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """What is still to be said is said while the program ends: no robot waits for it to be stopped."""
        self._ended = True
        self._stirred.set()

    def say(self, text: str) -> None:
        """Say it after what is being said; waits for nothing."""
        self._waiting.append(text)
        self._stirred.set()

    def _run(self) -> None:
        while not self._ended or self._waiting:
            if self._waiting:
                self._speak(self._waiting.popleft())
            else:
                self._stirred.wait()
            self._stirred.clear()

    def _speak(self, text: str) -> None:
        quiet = subprocess.DEVNULL  # it must not take the keys
        try:
            subprocess.run(
                [*self._program, text], stdin=quiet, stdout=quiet, stderr=quiet, timeout=_LONGEST, check=True
            )
        except (OSError, subprocess.SubprocessError) as problem:
            logger.warning("'%s' was not said: %s", text, problem)
