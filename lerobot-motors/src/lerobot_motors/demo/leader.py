"""The scripted leader: a teleoperator that does the demo's task by itself, over and over.

It alternates two phases. RESET moves the arm to the next random start and shows the next goal; TRY drives the tool tip there.
In `lr record` it drives both, and each ends with a `terminate_episode` event. In `lr run` a policy drives the tries
(`drives: resets`): the leader only says when one has succeeded. It knows the goal and the emulated arm's pose; the policy
that learns from it knows neither.
"""

from __future__ import annotations

import enum
import time
from typing import Any, Literal

import attrs
import numpy as np

from lerobot_core.errors import NotConnected
from lerobot_core.roles import Action
from lerobot_motors.demo import scene
from lerobot_motors.demo.stage import Stage

#: The leader's own reaches count when the tip is this near [m], a start when every joint is this near [user units].
_NEAR, _AT_START = 0.010, 3.0
#: The leader says that a policy succeeded this long after the rule was met [s], so that a judge has seen it too.
_GRACE = 0.05


@attrs.frozen(kw_only=True)
class ScriptedLeaderConfig:
    """A leader without hardware that reaches for the demo's goals.

    Attributes:
        name: of the emulated arm, as in the port emulated://so101?name=NAME.
        seed: of the starts and goals.
        unseen: take the starts and goals that are kept for runs instead of those for recording.
        drives: everything, as in `lr record`, or only the resets between a policy's tries.
        fps: rate at which it is asked for actions [Hz].
        speed: of its fastest joint [deg/s].
        gain: share of the remaining way per second near the target [1/s].
        hold_s: time it stays at a goal [s].
    """

    name: str
    seed: int = 0
    unseen: bool = False
    drives: Literal["everything", "resets"] = "everything"
    fps: float = 30.0
    speed: float = 80.0
    gain: float = 6.0
    hold_s: float = 0.4

    def __attrs_post_init__(self) -> None:
        for field in ("fps", "speed", "gain"):
            if getattr(self, field) <= 0:
                raise ValueError(f"{field} is above 0, got {getattr(self, field)}")


class Phase(enum.Enum):
    """What is going on at the arm."""

    TRY = "try"
    RESET = "reset"


class ScriptedLeader:
    """Reaches for goals on the board, and moves to the next start in between."""

    def __init__(self, config: ScriptedLeaderConfig) -> None:
        self.config = config
        self.name = "scripted_leader"
        self.phase = Phase.RESET
        self._leads = config.drives == "everything"
        self._stage: Stage | None = None
        self._draws = scene.draws(config.seed, unseen=config.unseen)
        self._draw = next(self._draws)
        self._command = self._target = self._draw.start
        self._rule = scene.ReachRule(_NEAR, config.hold_s) if self._leads else scene.ReachRule(hold=scene.HOLD + _GRACE)

    @property
    def action_features(self) -> dict[str, type]:
        return {f"{joint}.pos": float for joint in scene.JOINTS}

    @property
    def is_connected(self) -> bool:
        return self._stage is not None

    def connect(self, calibrate: bool = True) -> None:
        """Show the first goal. `lr record` begins with a try, from wherever the arm is; `lr run` with a reset."""
        self._stage = Stage(self.config.name)
        self._begin(Phase.TRY if self._leads else Phase.RESET)

    def get_action(self) -> Action:
        """The next joint targets, in user units."""
        self._running()
        if self.phase is Phase.TRY and not self._leads:  # the policy's time was up, and the arm is the leader's again
            self._end_try()
        self._command = scene.approach(
            self._command, self._target, speed=self.config.speed, gain=self.config.gain, period=1 / self.config.fps
        )
        return {f"{joint}.pos": float(value) for joint, value in zip(scene.JOINTS, self._command, strict=True)}

    def get_events(self) -> dict[str, Any]:
        """`terminate_episode` at the end of a phase, with `success` where that was a try; the next phase begins with it."""
        stage = self._running()
        ended, phase = self._ended(stage.joints()), self.phase
        if ended and phase is Phase.TRY:
            self._end_try()
        elif ended:
            self._begin(Phase.TRY)
        return {"terminate_episode": ended, "success": ended and phase is Phase.TRY}

    def send_feedback(self, feedback: Any) -> None:
        """Nothing to feel."""

    def disconnect(self) -> None:
        if self._stage is not None:
            self._stage.close()
            self._stage = None

    def _ended(self, joints: np.ndarray) -> bool:
        if self.phase is Phase.RESET:
            return bool(np.abs(joints - self._draw.start).max() < _AT_START)
        return self._rule.add(time.monotonic(), float(np.linalg.norm(scene.tip(joints) - self._draw.goal)))

    def _end_try(self) -> None:
        self._draw = next(self._draws)
        self._begin(Phase.RESET)

    def _begin(self, phase: Phase) -> None:
        stage = self._running()
        self.phase, stage.goal = phase, self._draw.goal
        self._command = stage.joints()
        if phase is Phase.TRY:
            self._target = scene.joints_at(self._draw.goal)
            self._rule.reset()
            stage.begin_try()
        else:
            self._target = self._draw.start

    def _running(self) -> Stage:
        if self._stage is None:
            raise NotConnected(
                f"teleoperator '{self.name}' is not connected", device=self.name, hint="call connect() first"
            )
        return self._stage
