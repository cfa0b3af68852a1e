"""The scripted picker: a teleoperator that brings the cube to the zone by itself, over and over.

It alternates two phases. RESET takes the arm to the next start; TRY puts the cube somewhere new and brings it to the zone. In
`lr record` it drives both, and each ends with a `terminate_episode` event. In `lr run` a policy drives the tries (`drives:
resets`): the picker only says when one has succeeded. It knows where the cube is; the policy that learns from it has to look.
"""

from __future__ import annotations

import enum
import math
import time
from typing import Any, Literal

import attrs
import numpy as np

from lerobot_core.errors import NotConnected
from lerobot_core.roles import Action
from lerobot_motors import emulators
from lerobot_motors.demo.scene import approach
from lerobot_motors.envs import scene, so101
from lerobot_motors.envs.view import OpenWorld, WorldState, open_world, state

#: A waypoint is reached when every joint of the arm is this near [deg, %]; the gripper is not asked, it may hold something.
_NEAR = 2.0
#: Share of the way left that is made good per second near a waypoint [1/s].
_GAIN = 12.0
#: Heights of the tip over the table: carrying, gripping, letting go [m].
_HIGH, _LOW, _DROP = 0.06, 0.006, 0.010
#: Room between the fixed jaw and the cube before gripping, and between the jaws [m].
_ROOM, _OPEN = 0.005, 0.05
#: How long the gripper takes to close or open [s], and the cube to lie still in the zone [s].
_GRIP, _REST = 0.4, 0.3
#: Where the arm starts: the tip's middle, and how far from it a start may be [m].
_HOME, _SPREAD = (0.20, 0.0, 0.065), (0.02, 0.04, 0.01)


@attrs.frozen(kw_only=True)
class ScriptedPickerConfig:
    """A leader without hardware that brings the simulated cube to its zone.

    Attributes:
        name: of the emulated arm, as in the port emulated://so101?name=NAME.
        seed: of the first start and place of the cube; each try takes the next.
        drives: everything, as in `lr record`, or only the resets between a policy's tries.
        fps: rate at which it is asked for actions [Hz].
        speed: of its fastest joint [deg/s].
    """

    name: str = "so101"
    seed: int = 0
    drives: Literal["everything", "resets"] = "everything"
    fps: float = 30.0
    speed: float = 90.0

    def __attrs_post_init__(self) -> None:
        for field in ("fps", "speed"):
            if getattr(self, field) <= 0:
                raise ValueError(f"{field} is above 0, got {getattr(self, field)}")
        if self.seed < 0:
            raise ValueError(f"seed is 0 or more, got {self.seed}")


class Phase(enum.Enum):
    """What is going on at the arm."""

    TRY = "try"
    RESET = "reset"


@attrs.frozen(eq=False)
class Waypoint:
    """Joints (6,) in user units, and how long to stay there [s]."""

    joints: np.ndarray
    stay: float = 0.0


def start(seed: int) -> np.ndarray:
    """Where the arm is at the start of the try of that seed (6,) [user units]."""
    away = np.random.default_rng([seed, 1]).uniform(-1, 1, 3) * _SPREAD
    place = np.array(_HOME) + away
    return so101.user(so101.joints_above(place, _outwards(place), so101.opening(_OPEN)))


def plan(cube: np.ndarray, turn: float) -> list[Waypoint]:
    """The way that brings a cube from `cube` (3,) [m], turned by `turn` [rad], to the zone.

    Raises:
        ValueError: the cube is out of reach.
    """
    outwards = _outwards(cube)
    heading = (
        turn + round((outwards - turn) / (math.pi / 2)) * math.pi / 2
    )  # square to the sides that need the least roll
    to_zone = _outwards(np.array(scene.ZONE))
    at_cube = _beside(cube, heading, scene.HALF + _ROOM)
    at_zone = _beside(np.array(scene.ZONE), to_zone, scene.HALF)
    opened, closed = so101.opening(_OPEN), math.radians(so101.RANGES[5][0])

    def point(place: np.ndarray, height: float, heading: float, opening: float, stay: float = 0.0) -> Waypoint:
        return Waypoint(so101.user(so101.joints_above(np.append(place, height), heading, opening)), stay)

    return [
        point(at_cube, _HIGH, heading, opened),
        point(at_cube, _LOW, heading, opened),
        point(at_cube, _LOW, heading, closed, _GRIP),
        point(at_cube, _HIGH, heading, closed),
        point(at_zone, _HIGH, to_zone, closed),
        point(at_zone, _DROP, to_zone, closed),
        point(at_zone, _DROP, to_zone, opened, _GRIP),
        point(at_zone, _HIGH, to_zone, opened, _REST),
    ]


def _outwards(place: np.ndarray) -> float:
    """Direction away from the arm's pan axis [rad]."""
    return math.atan2(place[1], place[0] - so101.OFFSETS[0][0])


def _beside(place: np.ndarray, heading: float, distance: float) -> np.ndarray:
    """Where the fixed jaw is for something at `place`, (2,) [m]."""
    return np.asarray(place[:2] - distance * np.array([math.cos(heading), math.sin(heading)]))


class ScriptedPicker:
    """Brings the cube to the zone, and goes to the next start in between."""

    def __init__(self, config: ScriptedPickerConfig) -> None:
        self.config = config
        self.name = "scripted_picker"
        self.phase = Phase.RESET
        self._leads = config.drives == "everything"
        self._seed = config.seed
        self._open: OpenWorld | None = None
        self._world: WorldState | None = None
        self._arm: emulators.EmulatorState | None = None
        self._command = start(config.seed)
        self._way: list[Waypoint] = []
        self._since: float | None = None

    @property
    def action_features(self) -> dict[str, type]:
        return {f"{joint}.pos": float for joint in so101.JOINTS}

    @property
    def is_connected(self) -> bool:
        return self._world is not None

    def connect(self, calibrate: bool = True) -> None:
        """Start the world or attach to it. `lr record` begins with a try, from wherever the arm is; `lr run` with a reset.

        Raises:
            NotConnected: no such arm runs, or the world does not start.
        """
        self.disconnect()
        try:
            self._arm = emulators.state(self.config.name)
            self._open = open_world(self.config.name, self.config.seed)
            self._world = state(self.config.name)
        except BaseException:
            self.disconnect()
            raise
        self._begin(Phase.TRY if self._leads else Phase.RESET)

    def get_action(self) -> Action:
        """The next joint targets, in user units."""
        self._running()
        if self.phase is Phase.TRY and not self._leads:  # the policy's time was up, and the arm is the picker's again
            self._end_try()
        if self._way:
            config = self.config
            self._command = approach(
                self._command, self._way[0].joints, speed=config.speed, gain=_GAIN, period=1 / config.fps
            )
        return {f"{joint}.pos": float(value) for joint, value in zip(so101.JOINTS, self._command, strict=True)}

    def get_events(self) -> dict[str, Any]:
        """`terminate_episode` at the end of a phase, with `success` where that was a try; the next phase begins with it."""
        world = self._running()
        phase, success = self.phase, False
        self._go_on()
        if phase is Phase.RESET:
            ended = not self._way
        elif self._leads:
            ended, success = not self._way, not self._way and world.in_zone
        else:
            ended = success = self._for(world.in_zone, _REST)
        if ended and phase is Phase.TRY:
            self._end_try()
        elif ended:
            self._begin(Phase.TRY)
        return {"terminate_episode": ended, "success": success}

    def send_feedback(self, feedback: Any) -> None:
        """Nothing to feel."""

    def disconnect(self) -> None:
        for part in (self._world, self._open, self._arm):
            if part is not None:
                part.close()
        self._world = self._open = self._arm = None

    def _go_on(self) -> None:
        """On to the next waypoint, where this one is reached and stayed at for its time."""
        if self._way:
            away = np.abs(self._joints() - self._way[0].joints)[:5].max()
            at_rest = np.abs(self._command - self._way[0].joints).max() < _NEAR
            if self._for(bool(away < _NEAR and at_rest), self._way[0].stay):
                self._since = None
                self._way.pop(0)

    def _for(self, holds: bool, seconds: float) -> bool:
        """Whether something has held for so long [s] without a break."""
        if not holds:
            self._since = None
            return False
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        return now - self._since >= seconds

    def _end_try(self) -> None:
        self._seed += 1
        self._begin(Phase.RESET)

    def _begin(self, phase: Phase) -> None:
        world = self._running()
        self.phase, self._since, self._command = phase, None, self._joints()
        if phase is Phase.RESET:
            self._way = [Waypoint(start(self._seed))]
            return
        world.reset(self._seed)
        self._way = plan(world.cube, scene.placement(self._seed).turn) if self._leads else []

    def _joints(self) -> np.ndarray:
        """Where the emulated arm is (6,) [user units]."""
        if self._arm is None:
            raise self._not_connected()
        return so101.user(so101.angles(self._arm.positions))

    def _running(self) -> WorldState:
        if self._world is None:
            raise self._not_connected()
        if not self._world.running:
            raise NotConnected(f"the world of '{self.name}' has ended", device=self.name, hint="start it again")
        return self._world

    def _not_connected(self) -> NotConnected:
        return NotConnected(
            f"teleoperator '{self.name}' is not connected", device=self.name, hint="call connect() first"
        )
