"""The end of a LeKiwi that has the servos: actions of a client come in, observations go out. Knows no loop and no robot.

Nobody is asked who they are: whoever reaches the ports drives the robot, so they are bound to this computer alone unless told
otherwise.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import attrs

from lerobot_core.errors import DeviceError, WireError
from lerobot_core.guard import is_position
from lerobot_core.roles import Action, Observation
from lerobot_motors.robots import lekiwi_wire
from lerobot_motors.robots.lekiwi_client import WAITING

logger = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class HostConfig:
    """Where a client reaches the robot.

    Attributes:
        address: of the network it listens on: 127.0.0.1 is this computer alone, 0.0.0.0 every network. There is no password.
        port_zmq_cmd: port of the actions.
        port_zmq_observations: port of the observations.
        connection_time_s: when to end [s]; empty goes on until Ctrl-C.
        watchdog_timeout_ms: time without an action after which the base stops and the arm holds [ms].
        max_loop_freq_hz: rate of the loop [Hz].
    """

    address: str = "127.0.0.1"
    port_zmq_cmd: int = 5555
    port_zmq_observations: int = 5556
    connection_time_s: float | None = None
    watchdog_timeout_ms: float = 500.0
    max_loop_freq_hz: float = 30.0

    def __attrs_post_init__(self) -> None:
        if self.watchdog_timeout_ms <= 0 or self.max_loop_freq_hz <= 0:
            raise ValueError("watchdog_timeout_ms and max_loop_freq_hz are above 0")


class Host:
    """The loop's source and its sink: actions of a client, observations for it.

    Args:
        config: where to listen.
        features: action features of the robot.

    Raises:
        DeviceError: a port is taken.
    """

    def __init__(self, config: HostConfig, features: Mapping[str, Any]) -> None:
        import zmq  # optional: extra [lekiwi]

        self._zmq = zmq
        self._features = features
        self._patience = int(config.watchdog_timeout_ms * 1e6)
        self._last: dict[str, float] | None = None
        self._heard = 0
        context = zmq.Context.instance()
        self._actions, self._observations = context.socket(zmq.PULL), context.socket(zmq.PUSH)
        self._actions.setsockopt(zmq.CONFLATE, 1)
        self._actions.setsockopt(zmq.MAXMSGSIZE, lekiwi_wire.LARGEST_TEXT)
        self._observations.setsockopt(zmq.SNDHWM, WAITING)
        self._observations.setsockopt(zmq.LINGER, 0)
        try:
            self._actions.bind(f"tcp://{config.address}:{config.port_zmq_cmd}")
            self._observations.bind(f"tcp://{config.address}:{config.port_zmq_observations}")
        except zmq.ZMQError as failure:
            self.close()
            raise DeviceError(
                f"cannot listen on '{config.address}', ports {config.port_zmq_cmd} and {config.port_zmq_observations}: {failure}",
                hint="give other ports, or end what has these",
            ) from failure

    def close(self) -> None:
        """Give the ports back. Idempotent."""
        self._actions.close()
        self._observations.close()

    def act(self, observation: Observation) -> tuple[Action | None, Mapping[str, Any]]:
        """The newest action of the client, for as long as it is fresh; None while nobody drives."""
        now = time.monotonic_ns()
        if (action := self._newest()) is not None:
            if self._last is None:
                logger.info("a client drives")
            self._last, self._heard = action, now
        elif self._last is not None and now - self._heard > self._patience:
            logger.warning("no action for %.1f s: the base stops, the arm holds", (now - self._heard) / 1e9)
            self._last = None
        return self._last, {}

    def add(self, tick: Any) -> None:
        """Give the observation to the client, if one takes it."""
        if self._observations.getsockopt(self._zmq.EVENTS) & self._zmq.POLLOUT:
            try:
                self._observations.send_multipart(lekiwi_wire.pack_observation(tick.observation), self._zmq.NOBLOCK)
            except self._zmq.Again:
                logger.debug("the client did not take an observation")

    def add_sample(self, key: str, value: Any, stamp: int) -> None:
        """Samples between ticks are not sent."""

    def _newest(self) -> dict[str, float] | None:
        """The action that came last; velocities it does not give are 0, so that none goes on for ever."""
        try:
            data = self._actions.recv(self._zmq.NOBLOCK)
        except self._zmq.Again:
            return None
        try:
            given, _ = lekiwi_wire.unpack_numbers(data)
        except WireError as problem:
            logger.warning("an action was dropped: %s", problem)
            return None
        if unknown := [key for key in given if key not in self._features]:
            logger.warning("an action was dropped: the robot has no '%s'", unknown[0])
            return None
        return dict.fromkeys([key for key in self._features if not is_position(key)], 0.0) | given
