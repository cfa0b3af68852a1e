"""Cameras given to other machines, over ZeroMQ: what `lr camera-server` runs, and the other end of the `zmq` camera."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import zmq

from lerobot_core.clock import MonotonicClock, Rate
from lerobot_core.errors import DeviceError
from lerobot_core.roles import Camera
from lerobot_motors.cameras.rig import look
from lerobot_motors.cameras.zmq import encode

#: Messages kept for a client that is slow; it gets the rest never.
QUEUE = 20


def serve(
    cameras: Mapping[str, Camera],
    *,
    address: str,
    port: int,
    fps: float,
    quality: int,
    stop: Callable[[], bool],
    ready: Callable[[int], object] = lambda port: None,
) -> int:
    """Publish the newest picture of every camera `fps` times a second until told to stop; returns how often.

    Args:
        cameras: connected cameras.
        address: of the network this is offered on; `*` is every one.
        port: 0 takes a free one.
        quality: of the JPEGs, 1 to 100.
        ready: told the port.

    Raises:
        DeviceError: the port is taken, or a camera gives no new picture.
    """
    socket = zmq.Context.instance().socket(zmq.PUB)
    socket.setsockopt(zmq.SNDHWM, QUEUE)
    socket.setsockopt(zmq.LINGER, 0)
    try:
        try:
            socket.bind(f"tcp://{address}:{port or '*'}")
        except zmq.ZMQError as error:
            raise DeviceError(
                f"cameras cannot be offered on {address}:{port}: {error}", hint="pick another --port or --address"
            ) from error
        ready(int(socket.getsockopt(zmq.LAST_ENDPOINT).rpartition(b":")[2]))
        rate, sent = Rate(fps, MonotonicClock(spin=0.0)), 0
        while not stop():
            pictures, stamps = look(cameras)
            since = time.time() - time.monotonic()  # clients know the wall clock only
            socket.send(
                encode({name: (since + stamps[name] / 1e9, picture) for name, picture in pictures.items()}, quality)
            )
            sent += 1
            rate.wait()
        return sent
    finally:
        socket.close(0)
