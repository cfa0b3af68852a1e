"""The scripted leader: a teleoperator that does the demo's task by itself, over and over.

It alternates two phases, each ended by a `terminate_episode` event: REACH drives the tool tip to the goal and ends when the
rule of success has been met with time to spare; RESET draws the next goal, moves to the next random start and ends there. `lr record` records the
first and waits through the second. It knows the goal and the emulated arm's pose; the policy that learns from it does not.
"""

from __future__ import annotations

import enum
from typing import Any

import attrs
import numpy as np

from lerobot_core.errors import NotConnected
from lerobot_core.roles import Action
from lerobot_motors.demo import scene
from lerobot_motors.demo.stage import Stage

#: A reach counts for the leader when the tip is this near [m] ...
_NEAR = 0.010
#: ... and a start when every joint is this near [user units].
_AT_START = 3.0


@attrs.frozen(kw_only=True)
class ScriptedLeaderConfig:
    """A leader without hardware that reaches for the demo's goals.

    Attributes:
        name: of the emulated arm, as in the port emulated://so101?name=NAME.
        seed: of the starts and goals.
        fps: rate at which it is asked for actions [Hz].
        speed: of its fastest joint [deg/s].
        gain: share of the remaining way per second near the target [1/s].
        hold_s: time it stays at the goal before an episode ends [s].
    """

    name: str
    seed: int = 0
    fps: float = 30.0
    speed: float = 80.0
    gain: float = 6.0
    hold_s: float = 0.6

    def __attrs_post_init__(self) -> None:
        for field in ("fps", "speed", "gain"):
            if getattr(self, field) <= 0:
                raise ValueError(f"{field} is above 0, got {getattr(self, field)}")


class Phase(enum.Enum):
    """What the leader is doing."""

    REACH = "reach"
    RESET = "reset"


class ScriptedLeader:
    """Reaches for goals on the board, then moves to the next start."""

    def __init__(self, config: ScriptedLeaderConfig) -> None:
        self.config = config
        self.name = "scripted_leader"
        self.phase = Phase.REACH
        self._stage: Stage | None = None
        self._draws = scene.draws(config.seed)
        self._command = np.zeros(len(scene.JOINTS))
        self._target = self._command
        self._rule = scene.ReachRule(_NEAR, config.hold_s)
        self._asked = 0
        self._done = False

    @property
    def action_features(self) -> dict[str, type]:
        return {f"{joint}.pos": float for joint in scene.JOINTS}

    @property
    def is_connected(self) -> bool:
        return self._stage is not None

    @property
    def is_calibrated(self) -> bool:
        return True

    def calibrate(self) -> None:
        """Nothing to calibrate."""

    def configure(self) -> None:
        """Nothing to configure."""

    def connect(self, calibrate: bool = True) -> None:
        """Take hold of the arm where it is; the first episode reaches from there."""
        self._stage = Stage(self.config.name)
        self._command = self._stage.joints()
        self._reach(next(self._draws).goal)

    def get_action(self) -> Action:
        """The next joint targets, in user units."""
        stage = self._running()
        self._asked += 1
        self._command = scene.approach(
            self._command, self._target, speed=self.config.speed, gain=self.config.gain, period=1 / self.config.fps
        )
        self._done = self._done or self._arrived(stage)
        return {f"{joint}.pos": float(value) for joint, value in zip(scene.JOINTS, self._command, strict=True)}

    def get_events(self) -> dict[str, Any]:
        """`terminate_episode` once at the end of each phase; the next phase begins with it."""
        ended, self._done = self._done, False
        if ended:
            self._next_phase()
        return {"terminate_episode": ended}

    def send_feedback(self, feedback: Any) -> None:
        """Nothing to feel."""

    def disconnect(self) -> None:
        self._stage = None

    def _arrived(self, stage: Stage) -> bool:
        if self.phase is Phase.RESET:
            return bool(np.abs(stage.joints() - self._target).max() < _AT_START)
        distance = float(np.linalg.norm(scene.tip(stage.joints()) - self._goal))
        return self._rule.add(self._asked / self.config.fps, distance)

    def _next_phase(self) -> None:
        if self.phase is Phase.REACH:
            draw = next(self._draws)
            self.phase, self._target = Phase.RESET, draw.start
            self._goal = self._running().goal = draw.goal
        else:
            self._reach(self._goal)

    def _reach(self, goal: np.ndarray) -> None:
        self.phase, self._goal, self._target = Phase.REACH, goal, scene.joints_at(goal)
        self._running().goal = goal
        self._rule.reset()

    def _running(self) -> Stage:
        if self._stage is None:
            raise NotConnected(
                f"teleoperator '{self.name}' is not connected", device=self.name, hint="call connect() first"
            )
        return self._stage
