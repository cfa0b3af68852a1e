"""The processor steps of a run: built from what was picked, and asked for their features before anything moves.

robot → observation steps → source, sinks, dataset        source → action steps → guard → robot, dataset
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lerobot_core import features
from lerobot_core.errors import FeatureError
from lerobot_core.features import Feature
from lerobot_core.registry import Choice
from lerobot_core.roles import ProcessorStep, Robot


def through(steps: Sequence[ProcessorStep], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """An observation or an action after every step, in order."""
    for step in steps:
        values = step(values)
    return values


class Steps:
    """The steps a command was given.

    Args:
        observation: what was picked for each observation, in order.
        action: what was picked for each action, in order.
    """

    def __init__(
        self, observation: Sequence[Choice[ProcessorStep]] = (), action: Sequence[Choice[ProcessorStep]] = ()
    ) -> None:
        self.observation = [choice.build() for choice in observation]
        self.action = [choice.build() for choice in action]

    def observed(self, robot: Robot) -> Mapping[str, Any]:
        """What the robot observes, after the steps.

        Raises:
            FeatureError: a step needs what is not observed.
        """
        return _features(self.observation, robot.observation_features)

    def recorded(self, robot: Robot, *, use_videos: bool = True) -> dict[str, Feature]:
        """Dataset features of a recording: the observation after its steps, the action as sent.

        Raises:
            FeatureError: a step needs what is not observed.
        """
        observation = features.observation_features(self.observed(robot), use_videos=use_videos)
        return observation | features.action_features(robot.action_features)

    def check_actions(
        self, given: Mapping[str, Any], robot: Robot, what: str, hint: str = features.OTHER_FEATURES
    ) -> None:
        """The seam between what gives actions and the robot that takes them, with the steps in between.

        Args:
            given: features of the actions.
            robot: what takes them.
            what: gives them, for the message.
            hint: what to do where they do not fit.

        Raises:
            FeatureError: an action the robot or a step needs is not given.
        """
        after = _features(self.action, given)
        features.match(
            {name: features.of(value) for name, value in after.items()},
            {name: features.of(value) for name, value in robot.action_features.items()},
            what=what,
            hint=hint,
        )


def _features(steps: Sequence[ProcessorStep], given: Mapping[str, Any]) -> Mapping[str, Any]:
    for step in steps:
        try:
            given = step.features(given)
        except KeyError as missing:
            raise FeatureError(
                f"step {type(step).__name__} needs {missing}, found {', '.join(given) or 'nothing'}",
                hint="pick another step, or another one before it",
            ) from missing
    return given
