"""Which keys are held down, from a terminal, a display or a script. What they mean is up to the caller."""

from __future__ import annotations

import contextlib
import importlib.util
import time
from collections.abc import Callable
from typing import Any, Protocol

from lerobot_core.errors import DeviceError, NotConnected
from lerobot_motors.keyboard import Keyboard, driving
from lerobot_motors.teleoperators import script


class HeldConfig(Protocol):
    """The options of every keyboard."""

    listener: str
    hold_s: float
    script: str | None


class HeldKeys(Protocol):
    """Something that knows which keys are held."""

    def held(self) -> set[str]:
        """Names of the keys held down now; asked once per action."""
        ...

    def close(self) -> None: ...


def listen(config: HeldConfig, name: str) -> HeldKeys:
    """The keys a config asks for.

    Raises:
        DeviceError: there is no terminal, or it is read already; the display's library is missing.
    """
    if config.script is not None:
        return ScriptedKeys(config.script)
    if config.listener == "display":
        return DisplayKeys(name)
    return TerminalKeys(name, config.hold_s)


class ScriptedKeys:
    """Keys by a script; none after its end."""

    def __init__(self, text: str) -> None:
        self._steps = iter(script.parse(text))

    def held(self) -> set[str]:
        return set(next(self._steps, {}))

    def close(self) -> None:
        """There is nothing to close."""


class TerminalKeys:
    """Keys of the terminal the program runs in: each is held until it has not been heard for a time.

    Args:
        name: the teleoperator, for messages.
        hold_s: that time [s].
        descriptor: file descriptor of the terminal; the standard input when left out.
        clock: seconds that only go up.
    """

    def __init__(
        self, name: str, hold_s: float, descriptor: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name, self._hold, self._clock = name, hold_s, clock
        self._heard: dict[str, float] = {}
        self._open = contextlib.ExitStack()
        self._keyboard: Keyboard[str] = self._open.enter_context(Keyboard(descriptor, driving()))
        if not self._keyboard.enabled:
            raise DeviceError(
                f"'{name}' needs a terminal, and the standard input is none or is read already",
                device=name,
                hint="run it in a terminal, give --teleop.listener=display where there is a display, or --teleop.script",
            )

    def held(self) -> set[str]:
        """
        Raises:
            NotConnected: the terminal was closed.
        """
        now = self._clock()
        self._heard |= dict.fromkeys(self._keyboard.poll(), now)
        if not self._keyboard.enabled:
            raise NotConnected(
                f"the terminal of '{self._name}' is gone", device=self._name, hint="start it again in one"
            )
        self._heard = {key: heard for key, heard in self._heard.items() if now - heard <= self._hold}
        return set(self._heard)

    def close(self) -> None:
        self._open.close()


class DisplayKeys:
    """Keys of the whole display, by pynput: it hears every program's keys and needs X11, Windows or a Mac's permission."""

    def __init__(self, name: str) -> None:
        if importlib.util.find_spec("pynput") is None:
            raise DeviceError(
                f"'{name}' listens to the display with the library 'pynput', which is not installed",
                device=name,
                hint='pip install "lerobot-motors[keyboard]", or leave out --teleop.listener for the terminal',
            )
        from pynput import keyboard  # optional; without a display its import fails

        self._held: set[str] = set()
        self._listener = keyboard.Listener(on_press=self._press, on_release=self._release)
        self._listener.start()

    def held(self) -> set[str]:
        return set(self._held)

    def close(self) -> None:
        self._listener.stop()
        self._listener.join()

    def _press(self, key: Any) -> None:
        self._held.add(named(key))

    def _release(self, key: Any) -> None:
        self._held.discard(named(key))


def named(key: Any) -> str:
    """What a key of pynput is called here: its letter, or its name, as in `Key.page_up`."""
    letter = getattr(key, "char", None)
    return letter.lower() if letter else str(getattr(key, "name", key))
