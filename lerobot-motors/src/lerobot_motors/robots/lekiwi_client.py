"""A LeKiwi that another computer drives, as a robot: actions go there, observations come from there. Knows no servos.

Transport: ZeroMQ PUSH to PULL in both directions; only the newest action is kept, and of the observations the newest is taken.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from lerobot_core.errors import DeviceError, DeviceTimeout, NotConnected, WireError
from lerobot_core.guard import check_action, check_connected
from lerobot_core.roles import Action
from lerobot_motors import catalogue
from lerobot_motors.robots import lekiwi, lekiwi_wire
from lerobot_motors.robots.configs import LekiwiClientConfig

#: Observations waiting on either side.
WAITING = 2

logger = logging.getLogger(__name__)


class LekiwiClient:
    """The far end of `lr lekiwi-host`.

    Attributes:
        name: class of robot, as datasets have it.
        on_stop: the base stands still, by the host's watchdog; the arm is held by the host until it ends itself.
    """

    name = "lekiwi_client"
    on_stop = "hold"

    def __init__(self, config: LekiwiClientConfig) -> None:
        self.config = config
        self._row = catalogue.LEKIWI.in_units(config.use_degrees)
        self._sockets: tuple[Any, Any] | None = None
        self._numbers: dict[str, float] = {}
        self._pictures: dict[str, np.ndarray] = {}
        self._stamps: dict[str, int] = {}
        self._device = f"{config.remote_ip}:{config.port_zmq_observations}"

    @property
    def observation_features(self) -> Mapping[str, Any]:
        cameras = {name: choice.config for name, choice in self.config.cameras.items()}
        return {**self.action_features, **{name: (camera.height, camera.width, 3) for name, camera in cameras.items()}}

    @property
    def action_features(self) -> Mapping[str, Any]:
        return lekiwi.features(self._row)

    @property
    def is_connected(self) -> bool:
        return self._sockets is not None

    def connect(self, calibrate: bool = True) -> None:
        """Wait for the first observation. The host is calibrated where it is.

        Raises:
            DeviceTimeout: none came.
            DeviceError: connected already, or the host has other joints or cameras.
        """
        if self.is_connected:
            raise DeviceError(f"'{self._device}' is connected already", device=self._device)
        self._open()
        try:
            deadline = time.monotonic() + self.config.connect_timeout_s
            while not self._take(20) or len(self._stamps) < len(self.observation_features):
                if time.monotonic() > deadline:
                    raise DeviceTimeout(
                        f"no whole observation from '{self._device}' within {self.config.connect_timeout_s:g} s",
                        device=self._device,
                        hint="is `lr lekiwi-host` running there, with --host.address set to an address you can reach?",
                    )
        except BaseException:
            self.disconnect()
            raise

    def get_observation(self) -> dict[str, Any]:
        """The newest observation: numbers, pictures (H, W, 3) uint8, and `stamps`: key → when it arrived, monotonic [ns].

        Without a newer one the last is given with its own stamps, for `patience_s`.

        Raises:
            NotConnected: not connected.
            DeviceTimeout: nothing new for too long; names the camera where it is one.
        """
        check_connected(self)
        self._take(self.config.polling_timeout_ms)
        now = time.monotonic_ns()
        for key, stamp in self._stamps.items():
            if now - stamp > self.config.patience_s * 1e9:
                what = f"picture of camera '{key}'" if key in self._pictures else "observation"
                raise DeviceTimeout(
                    f"no new {what} from '{self._device}' for {(now - stamp) / 1e9:.1f} s",
                    device=self._device,
                    hint="check the network, and what `lr lekiwi-host` says there",
                )
        pictures = {key: picture.copy() for key, picture in self._pictures.items()}
        return {**self._numbers, **pictures, "stamps": dict(self._stamps)}

    def send_action(self, action: Action) -> dict[str, float]:
        """Send the action to the host, which keeps its limits.

        Raises:
            DeviceError: an unknown key, NaN or infinity; nothing is sent then.
            NotConnected: not connected.
        """
        check_action(action, self)
        sent = {key: float(value) for key, value in action.items()}
        self._send(sent)
        return sent

    def disconnect(self) -> None:
        """Stop the base and close the sockets. Idempotent."""
        if self._sockets is None:
            return
        try:
            if self._stamps:
                self._send(dict.fromkeys(lekiwi.BASE, 0.0))
        finally:
            for socket in self._sockets:
                socket.close()
            self._sockets = None
            self._numbers, self._pictures, self._stamps = {}, {}, {}

    def _open(self) -> None:
        import zmq  # optional: extra [lekiwi]

        context = zmq.Context.instance()
        actions, observations = context.socket(zmq.PUSH), context.socket(zmq.PULL)
        self._sockets = actions, observations
        actions.setsockopt(zmq.CONFLATE, 1)
        actions.setsockopt(zmq.LINGER, 200)  # the last action stops the base
        actions.connect(f"tcp://{self.config.remote_ip}:{self.config.port_zmq_cmd}")
        observations.setsockopt(zmq.RCVHWM, WAITING)
        observations.setsockopt(zmq.MAXMSGSIZE, lekiwi_wire.LARGEST_PICTURE)
        observations.setsockopt(zmq.LINGER, 0)
        observations.connect(f"tcp://{self.config.remote_ip}:{self.config.port_zmq_observations}")

    def _send(self, action: Mapping[str, float]) -> None:
        import zmq

        if self._sockets is None:
            raise NotConnected(f"'{self._device}' is not connected", device=self._device, hint="call connect() first")
        try:
            self._sockets[0].send(lekiwi_wire.pack_numbers(action), zmq.NOBLOCK)
        except zmq.Again as full:
            raise NotConnected(f"'{self._device}' takes no actions", device=self._device) from full

    def _take(self, timeout_ms: int) -> bool:
        """Wait for an observation and take the newest; whether there was one that can be used."""
        import zmq

        if self._sockets is None:
            return False
        source, newest = self._sockets[1], None
        while source.poll(0 if newest else timeout_ms):
            newest = source.recv_multipart(zmq.NOBLOCK)
        if newest is None:
            return False
        stamp = time.monotonic_ns()
        try:
            numbers, pictures = lekiwi_wire.unpack_observation(newest)
        except WireError as problem:
            logger.warning("'%s': an observation was dropped: %s", self._device, problem)
            return False
        self._check(numbers, pictures)
        self._numbers = {key: numbers[key] for key in self.action_features}
        self._pictures |= {key: picture for key, picture in pictures.items() if key in self.config.cameras}
        self._stamps |= dict.fromkeys([*self._numbers, *(key for key in pictures if key in self._pictures)], stamp)
        return True

    def _check(self, numbers: Mapping[str, float], pictures: Mapping[str, np.ndarray]) -> None:
        """The host has the joints and pictures this robot has promised."""
        wanted = self.observation_features
        for key in self.action_features:
            if key not in numbers:
                raise DeviceError(f"'{self._device}' gives no '{key}'", device=self._device, hint="is it a LeKiwi?")
        for key, picture in pictures.items():
            if key in wanted and picture.shape != wanted[key]:
                raise DeviceError(
                    f"camera '{key}' of '{self._device}' gives pictures of {picture.shape}, expected are {wanted[key]}",
                    device=self._device,
                    hint="give --robot.cameras the same width and height as at the host",
                )
