"""What a person sees and hears of a run: the dashboard, and where asked for a voice and the viewer's window."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Protocol

from lerobot_core.errors import LeRobotError
from lerobot_core.roles import Sink
from lerobot_motors.commands.dashboard import Dashboard
from lerobot_motors.speech import Speaker
from lerobot_motors.viewer import Viewer


class DeskOptions(Protocol):
    """The options every such command has."""

    play_sounds: bool
    display_data: bool
    display_ip: str
    display_port: int


class Desk:
    """Dashboard, voice and viewer of one run, inside its `with`.

    Args:
        name: of the run, for the viewer.
        fps: rate asked for [Hz].
        options: of the command.
        shown: as `Dashboard` has it.

    Attributes:
        dashboard: the lines in the terminal.
        sinks: what takes the ticks of the loop.

    Raises:
        LeRobotError: what was asked for is not there.
    """

    def __init__(self, name: str, fps: float, options: DeskOptions, **shown: Any) -> None:
        self.dashboard = Dashboard(fps, **shown)
        self._speaker = Speaker() if options.play_sounds else None
        self._viewer = Viewer(name, options.display_ip, options.display_port) if options.display_data else None
        self.sinks: list[Sink] = [self.dashboard, *([self._viewer] if self._viewer else [])]
        self._open = ExitStack()

    def __enter__(self) -> Desk:
        with ExitStack() as opening:
            for part in (self._speaker, self._viewer, self.dashboard):
                if part is not None:
                    opening.enter_context(part)
            self._open = opening.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, LeRobotError):
            self.say("the run ends with an error")
        self._open.close()

    def begin(self, title: str, seconds: float | None = None, *, aloud: str = "") -> None:
        """A phase of the run begins; it ends after so many seconds, or when it does."""
        self.dashboard.begin(title, seconds)
        self.say(aloud)

    def say(self, text: str) -> None:
        """Aloud, if anything is; waits for nothing."""
        if self._speaker is not None and text:
            self._speaker.say(text)
