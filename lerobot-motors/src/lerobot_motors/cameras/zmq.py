"""A camera of another machine, over ZeroMQ.

Each message is a JSON object `{"timestamps": {camera: seconds}, "images": {camera: base64 JPEG}}`, sent by a publisher. The
network is not trusted: messages have a size limit, and what is not such a message is an error.
"""

from __future__ import annotations

import base64
import binascii
import json
import math

import cv2
import numpy as np
import zmq

from lerobot_core.errors import BadReply
from lerobot_motors.cameras.configs import ZmqConfig
from lerobot_motors.cameras.live import LiveCamera

#: Largest message taken [bytes]: four uncompressed full-HD pictures.
LARGEST = 32 << 20
#: Longest wait for a message before the reader looks whether it is to stop [ms].
WAIT_MS = 100


def encode(pictures: dict[str, tuple[float, np.ndarray]], quality: int) -> bytes:
    """The message for pictures (H, W, 3) RGB with the time of each [s]."""
    images = {}
    for name, (_, picture) in pictures.items():
        _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
        images[name] = base64.b64encode(jpeg).decode()
    return json.dumps({"timestamps": {name: time for name, (time, _) in pictures.items()}, "images": images}).encode()


def decode(message: bytes, camera: str) -> tuple[float, np.ndarray]:
    """Time [s] and picture (H, W, 3) RGB of one camera in a message.

    Raises:
        BadReply: it is no such message, or has no such camera.
    """
    try:
        content = json.loads(message)
        images, times = content["images"], content["timestamps"]
        if camera not in images:
            there = ", ".join(f"'{name}'" for name in images) or "none"
            raise BadReply(f"the server has no camera '{camera}' (there: {there})", hint="set camera_name")
        jpeg, time = base64.b64decode(images[camera], validate=True), float(times[camera])
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error, cv2.error) as error:
        raise BadReply(f"what came is no message with pictures: {type(error).__name__} {error}") from error
    if picture is None or not math.isfinite(time):
        raise BadReply(f"the picture of '{camera}' is no JPEG, or its time no number")
    return time, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


class ZmqCamera(LiveCamera):
    """The newest picture of a camera server. A picture whose time does not change is not new, so that it ages here too."""

    def __init__(self, config: ZmqConfig) -> None:
        super().__init__(config, f"{config.camera_name} at {config.server_address}:{config.port}")
        self.config = config
        self.max_failures = max(1, config.timeout_ms // WAIT_MS)
        self._context: zmq.Context | None = None
        self._socket: zmq.Socket | None = None
        self._time = math.nan

    def _open(self) -> None:
        self._time = math.nan
        self._context = zmq.Context()  # of its own: ending it waits until the connection is closed
        self._socket = socket = self._context.socket(zmq.SUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.CONFLATE, 1)  # only the newest message is kept
        socket.setsockopt(zmq.MAXMSGSIZE, LARGEST)
        socket.setsockopt(zmq.SUBSCRIBE, b"")
        socket.connect(f"tcp://{self.config.server_address}:{self.config.port}")

    def _grab(self) -> np.ndarray | None:
        socket = self._socket
        if socket is None or not socket.poll(WAIT_MS):
            return None
        time, picture = decode(socket.recv(), self.config.camera_name)
        if time == self._time:
            return None
        self._time = time
        return picture if self.config.color_mode == "rgb" else np.ascontiguousarray(picture[..., ::-1])

    def _close(self, stopped: bool) -> None:
        socket, self._socket = self._socket, None
        context, self._context = self._context, None
        if socket is not None and context is not None and stopped:  # a socket belongs to one thread at a time
            socket.close(0)
            context.term()
