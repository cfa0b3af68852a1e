"""What a teleoperator must do: actions that a robot can be sent."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from lerobot_core import features
from lerobot_core.errors import NotConnected
from lerobot_core.roles import Teleoperator
from lerobot_core.testing.devices import DeviceSuite, check_values
from lerobot_core.testing.suite import needs, until

_EVENTS = {"success", "failure", "rerecord_episode", "is_intervention", "terminate_episode"}


class TeleoperatorSuite(DeviceSuite):
    """Subclass it and give the fixture `teleoperator`: a new one for each check, not connected.

    Attributes:
        moves: its action changes by itself, as that of an emulator does.
        feedback: what a robot may tell it.
    """

    role: ClassVar[type] = Teleoperator
    moves: ClassVar[bool] = False
    feedback: ClassVar[Mapping[str, float]] = {}

    @pytest.fixture
    def teleoperator(self) -> Any:
        return self.part()

    @pytest.fixture
    def device(self, teleoperator: Any) -> Any:
        return teleoperator

    def read(self, device: Any) -> Mapping[str, Any]:
        action: Mapping[str, Any] = device.get_action()
        return action

    def test_it_has_the_role(self, teleoperator: Any) -> None:
        """The loop uses every method of the role. Fix: add the one that isinstance(x, Teleoperator) misses."""
        assert isinstance(teleoperator, Teleoperator)

    def test_features_are_known_before_connecting_and_stay(self, teleoperator: Any) -> None:
        """Leader and follower are matched before anything moves. Fix: derive features from the config alone."""
        before = dict(teleoperator.action_features)
        assert before
        assert all(features.of(value).shape == () for value in before.values()), "actions are scalars"
        teleoperator.connect(calibrate=False)
        assert list(teleoperator.action_features.items()) == list(before.items())
        teleoperator.disconnect()

    def test_an_action_matches_its_features(self, connected: Any) -> None:
        """The follower sends what it is given. Fix: one finite number for each key of action_features."""
        for _ in range(3):
            check_values(connected.get_action(), connected.action_features)

    def test_actions_are_the_callers_own(self, connected: Any) -> None:
        """Steps change actions in place. Fix: return a new dict each time."""
        first = connected.get_action()
        kept = dict(first)
        for key in first:
            first[key] = math.inf
        second = connected.get_action()
        assert second is not first
        check_values(second, kept | dict(connected.action_features))
        first.clear()
        assert set(connected.get_action()) == set(kept)

    def test_actions_follow_the_hand(self, connected: Any) -> None:
        """An action read once and given for ever leaves the arm where it was. Fix: ask the hardware each time."""
        needs(self.moves, "moves")
        first = dict(connected.get_action())
        assert until(lambda: all(connected.get_action()[key] != at for key, at in first.items()), 1.0)

    def test_events_are_known_ones(self, connected: Any) -> None:
        """The recording loop acts on these names. Fix: use the names listed in the role, with booleans."""
        needs(hasattr(connected, "get_events"), "get_events()")
        events = connected.get_events()
        assert set(events) <= _EVENTS
        assert all(isinstance(value, bool) for value in events.values())

    def test_events_are_the_callers_own(self, connected: Any) -> None:
        """A success that somebody else cleared is lost. Fix: return a new dict each time."""
        needs(hasattr(connected, "get_events"), "get_events()")
        first = connected.get_events()
        kept = set(first)
        first.clear()
        assert set(connected.get_events()) == kept

    def test_feedback_is_taken_and_left_alone(self, connected: Any) -> None:
        """The loop hands out one dict to everybody. Fix: accept it, also when there is nothing to feel, and copy it."""
        for feedback in ({}, dict(self.feedback)):
            kept = dict(feedback)
            connected.send_feedback(feedback)
            assert feedback == kept
        self.read(connected)

    def test_feedback_needs_a_connection_or_does_nothing(self, teleoperator: Any) -> None:
        """The last tick may come after the cable was pulled. Fix: raise NotConnected, or do nothing."""
        with contextlib.suppress(NotConnected):
            teleoperator.send_feedback(dict(self.feedback))
