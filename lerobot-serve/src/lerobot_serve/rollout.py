"""Episodes of a policy on a robot: reset phase, episode, result. Knows no network, no format and no terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs

from lerobot_core.guard import Guard
from lerobot_core.loop import DatasetSink, LoopHealth, TeleoperatorSource, Tick, run_loop
from lerobot_core.roles import Action, DatasetWriter, Observation, Robot, Sink, Teleoperator
from lerobot_core.steps import Steps

_ENDS = ("terminate_episode", "success", "failure", "rerecord_episode")


class EpisodeSource(Protocol):
    """A Source that can begin an episode anew and tell how it went: a policy client."""

    def act(self, observation: Observation) -> tuple[Action | None, Mapping[str, Any]]: ...

    def reset(self) -> None: ...

    def health(self) -> Mapping[str, Any]: ...


@attrs.frozen(kw_only=True)
class Phases:
    """How long what lasts.

    Attributes:
        fps: control rate [Hz].
        episode_time_s: longest time of an episode [s]; None for no end.
        reset_time_s: longest time of the reset before an episode [s].
        task: recorded with every frame.
    """

    fps: float
    episode_time_s: float | None
    reset_time_s: float
    task: str


class Events:
    """What the teleoperator says of the present phase. Sink and stop of the loop.

    An event counts when it begins: a button still held from the last phase says nothing about this one.
    """

    def __init__(self, teleop: Teleoperator | None) -> None:
        self._read: Callable[[], Mapping[str, Any]] | None = getattr(teleop, "get_events", None)
        self._held: dict[str, bool] = {}
        self._seen: set[str] = set()

    def begin(self) -> None:
        self._seen = set()

    def poll(self) -> bool:
        """Ask the teleoperator; whether the phase is over."""
        if self._read is not None:
            self._note(self._read())
        return self.ended()

    def add(self, tick: Tick) -> None:
        """The events that come with a teleoperator's own ticks."""
        self._note(tick.info)

    def add_sample(self, key: str, value: Any, stamp: int) -> None:
        """Samples between ticks are no events."""

    def ended(self) -> bool:
        return bool(self._seen)

    @property
    def rerecord(self) -> bool:
        return "rerecord_episode" in self._seen

    @property
    def success(self) -> bool | None:
        """What was said of the episode; None when nothing was."""
        return None if not self._seen & {"success", "failure"} else "success" in self._seen

    def _note(self, events: Mapping[str, Any]) -> None:
        for name in _ENDS:
            now = bool(events.get(name, False))
            if now and not self._held.get(name, False):
                self._seen.add(name)
            self._held[name] = now


class Still:
    """A Source with nothing to send: the robot stays where it is while a person sets the scene."""

    def act(self, observation: Observation) -> tuple[None, Mapping[str, Any]]:
        return None, {}


class Rollout:
    """Runs episodes one after the other.

    Args:
        robot: connected.
        source: connected.
        phases: their times.
        teleop: connected; drives the reset phases and says how episodes end.
        writer: where episodes are recorded.
        steps: on observations and actions.
        guard: between source and robot.
        watcher: sees every tick of every phase.
    """

    def __init__(
        self,
        robot: Robot,
        source: EpisodeSource,
        phases: Phases,
        *,
        teleop: Teleoperator | None = None,
        writer: DatasetWriter | None = None,
        steps: Steps | None = None,
        guard: Guard | None = None,
        watcher: Sink | None = None,
    ) -> None:
        self._robot = robot
        self._source = source
        self._phases = phases
        self._teleop = teleop
        self._writer = writer
        self._steps = steps or Steps()
        self._guard = guard
        self._events = Events(teleop)
        self._watchers = [] if watcher is None else [watcher]
        self.results: list[dict[str, Any]] = []

    def reset_phase(self) -> None:
        """Let the teleoperator set the scene; without one the robot waits, except before the first episode."""
        if self._phases.reset_time_s <= 0 or (self._teleop is None and not self.results):
            return
        self._events.begin()
        source = Still() if self._teleop is None else TeleoperatorSource(self._teleop)
        self._loop(source, self._phases.reset_time_s, self._events.ended, self._events)

    def episode(self) -> dict[str, Any]:
        """One episode; its result is also kept in `results`. One that was called off is not recorded."""
        self._events.begin()
        self._source.reset()
        sinks = [] if self._writer is None else [DatasetSink(self._writer, self._writer.features, self._phases.task)]
        health = self._loop(self._source, self._phases.episode_time_s, self._events.poll, *sinks)
        result: dict[str, Any] = {"episode": len(self.results), "success": self._events.success}
        result |= health.to_data() | dict(self._source.health())
        if self._writer is not None:
            result["recorded"] = self._keep(health)
        self.results.append(result)
        return result

    def _keep(self, health: LoopHealth) -> int | None:
        """Index of the episode in the dataset; None for one without an action or that is to be done again."""
        if self._writer is None:
            return None
        if self._events.rerecord or health.idle == health.ticks:
            self._writer.discard()
            return None
        return self._writer.save_episode()

    def _loop(self, source: Any, seconds: float | None, stop: Callable[[], bool], *sinks: Sink) -> LoopHealth:
        if self._guard is not None:
            self._guard.reset()
        return run_loop(
            self._robot,
            source,
            fps=self._phases.fps,
            sinks=[*sinks, *self._watchers],
            observation_steps=self._steps.observation,
            action_steps=self._steps.action,
            guard=self._guard,
            duration=seconds,
            stop=stop,
        )
