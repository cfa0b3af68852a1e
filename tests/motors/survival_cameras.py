"""Cameras and what is at the other end of a network, played by a few lines each, with what can go wrong there."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from lerobot_core import roles
from lerobot_core.components import Component
from lerobot_core.config import choose
from lerobot_motors.cameras import identity
from lerobot_motors.cameras.pattern import draw
from motors.survival_benches import FPS, LASTS, Bench, Watched

WIDTH, HEIGHT = 64, 48


class Scene:
    """Pictures of a source, one each `period`, and what is wrong with it now."""

    def __init__(self) -> None:
        self.fault, self.until, self.count = "", 0.0, 0
        self._shown = 0

    def begin(self, fault: str, lasts: float = float("inf")) -> None:
        self.fault, self.until = fault, time.monotonic() + lasts

    @property
    def now(self) -> str:
        if time.monotonic() > self.until:
            self.fault = ""
        return self.fault

    def next(self, period: float = 1 / FPS) -> np.ndarray | None:
        """The next picture; None where there is none."""
        time.sleep(0.1 if self.now == "slow" else period)
        if self.now == "silent":
            return None
        self.count += 1
        if self.now != "frozen":
            self._shown = self.count
        size = (WIDTH // 2, HEIGHT // 2) if self.now.startswith("another size") else (WIDTH, HEIGHT)
        return draw(self._shown, *size)


#: Faults that are over after a while; the others stay.
PASSING = ("slow", "silent", "late", "broken messages")


class Camera(Bench):
    """A camera that is played by `scene`."""

    faults = ("frozen", "unplugged", "silent", "slow", "another size", "another size from now on")
    ends = frozenset({"frozen", "unplugged", "another size", "another size from now on"})
    age_ms = 200.0

    def __init__(self, role: type, component: Component) -> None:
        super().__init__(role, component)
        self.scene = Scene()

    def build(self, fault: str = "") -> Any:
        self.scene.begin("")
        if fault == "another size":
            self.scene.begin(fault)
        return Watched(self.camera())

    def camera(self) -> Any:
        return choose(roles.Camera, self.component.name, **self.options).build()

    def strike(self, fault: str) -> None:
        self.scene.begin(fault, LASTS if fault in PASSING else float("inf"))


class Pattern(Camera):
    """The pattern has faults of its own, which begin with a picture's number."""

    faults = ("frozen", "unplugged", "slow", "dropped")
    ends = frozenset({"frozen", "unplugged"})
    given = {  # noqa: RUF012
        "": {},
        "frozen": {"freeze": 12},
        "unplugged": {"unplug": 12},
        "slow": {"slow_s": 0.1, "max_age_s": 0.3},
        "dropped": {"drop": 3},
    }

    def build(self, fault: str = "") -> Any:
        self.options = {**self.component.example, **self.given[fault]}
        return Watched(self.camera())

    def strike(self, fault: str) -> None:
        """It was built with it."""


class Capture:
    """A `cv2.VideoCapture` of a scene."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def isOpened(self) -> bool:
        return True

    def get(self, key: int) -> float:
        import cv2

        wide = WIDTH // 2 if self._scene.now == "another size" else WIDTH
        return {cv2.CAP_PROP_FRAME_WIDTH: wide, cv2.CAP_PROP_FRAME_HEIGHT: HEIGHT, cv2.CAP_PROP_FPS: FPS}.get(key, 0)

    def set(self, key: int, value: float) -> bool:
        return True

    def read(self) -> tuple[bool, np.ndarray | None]:
        picture = None if self._scene.now in ("unplugged", "another camera") else self._scene.next()
        return picture is not None, picture

    def release(self) -> None:
        """Nothing is held."""


class Usb(Camera):
    """A camera on a node, told by its serial number."""

    faults = (*Camera.faults, "another camera")
    ends = Camera.ends | {"another camera"}

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        from lerobot_motors.cameras import opencv

        with tempfile.TemporaryDirectory() as folder:
            self._node = Path(folder, "video0")
            self._node.touch()

            def names(device: Path) -> list[str]:
                return ["OTHER"] if self.scene.now == "another camera" else ["MINE"]

            with (
                patch.object(opencv.cv2, "VideoCapture", lambda *_: Capture(self.scene)),
                patch.object(identity, "device_of", lambda source: self._node),
                patch.object(identity, "names_of", names),
            ):
                self.options = {"index_or_path": 0, "identity": "MINE", "fps": FPS, "width": WIDTH, "height": HEIGHT,
                    "warmup_s": 0.0}  # fmt: skip
                yield

    def build(self, fault: str = "") -> Any:
        self._node.touch()
        return super().build(fault)

    def strike(self, fault: str) -> None:
        super().strike(fault)
        if fault == "unplugged":
            self._node.unlink()


class Depth(Camera):
    """A camera behind the seam to Intel's library."""

    faults = (*Camera.faults, "without depth")
    ends = Camera.ends | {"without depth"}

    def camera(self) -> Any:
        from lerobot_motors.cameras.configs import RealsenseConfig
        from lerobot_motors.cameras.realsense import RealsenseCamera

        config = RealsenseConfig(
            serial_number_or_name="0", warmup_s=0.0, use_depth=True, fps=FPS, width=WIDTH, height=HEIGHT
        )
        return RealsenseCamera(config, start=lambda config: Pipeline(self.scene))


class Pipeline:
    """A pipeline of a scene."""

    def __init__(self, scene: Scene) -> None:
        from lerobot_motors.cameras.realsense_sdk import Given

        self._scene, self.given = scene, Given(width=WIDTH, height=HEIGHT, fps=FPS, depth_step_mm=1.0)

    def wait(self, timeout_ms: int) -> tuple[np.ndarray, np.ndarray | None] | None:
        if self._scene.now == "unplugged":
            raise OSError("it was unplugged")
        picture = self._scene.next()
        if picture is None:
            return None
        return picture, None if self._scene.now == "without depth" else np.ones(picture.shape[:2], np.uint16)

    def stop(self) -> None:
        """Nothing is held."""


# --- networks ---------------------------------------------------------------------------------------------------------


class Published(Camera):
    """A camera server that this plays."""

    faults = (
        "frozen", "unplugged", "silent", "late", "another size", "another size from now on", "broken messages", "another camera",
        "restarted",
    )  # fmt: skip
    ends = Camera.ends | {"another camera"}

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        self._over = threading.Event()
        ready = threading.Event()
        server = threading.Thread(target=self._serve, args=(ready,))
        server.start()
        ready.wait()
        self.options = {"server_address": "127.0.0.1", "port": self._port, "camera_name": "front", "fps": FPS,
            "width": WIDTH, "height": HEIGHT, "timeout_ms": 500, "warmup_s": 0.0, "max_age_s": 0.2}  # fmt: skip
        yield
        self._over.set()
        server.join()

    def _serve(self, ready: threading.Event) -> None:
        import zmq

        from lerobot_motors.cameras.zmq import encode

        context = zmq.Context()
        socket = context.socket(zmq.PUB)
        self._port = socket.bind_to_random_port("tcp://127.0.0.1")
        ready.set()
        while not self._over.is_set():
            picture, fault = self.scene.next(), self.scene.now
            if fault == "restarted" and socket is not None:
                socket.close(0)
                time.sleep(LASTS)
                socket = context.socket(zmq.PUB)
                socket.setsockopt(zmq.LINGER, 0)
                socket.bind(f"tcp://127.0.0.1:{self._port}")
                self.scene.begin("")
            elif picture is not None and fault != "unplugged":
                name = "rear" if fault == "another camera" else "front"
                message = encode({name: (time.time(), picture)}, 90)
                time.sleep(0.1 if fault == "late" else 0.0)
                socket.send(b'{"images": 7' if fault == "broken messages" else message)
        socket.close(0)
        context.term()


class Remote(Bench):
    """A LeKiwi and its host, with all that goes between it and its client passing through here."""

    faults = ("silent", "unplugged", "late", "twice", "broken messages", "restarted", "another robot")
    ends = frozenset({"unplugged", "another robot"})
    age_ms = 100.0

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        from lerobot_motors.conformance import hosted

        self.scene, self._over, ready = Scene(), threading.Event(), threading.Event()
        with hosted(port="emulated://lekiwi", cameras={}) as ports:
            between = threading.Thread(target=self._pass_on, args=(ports, ready))
            between.start()
            ready.wait()
            try:
                yield
            finally:
                self._over.set()
                between.join()

    def build(self, fault: str = "") -> Any:
        self.scene.begin("")
        self.options = {"remote_ip": "127.0.0.1", "port_zmq_cmd": self._ports[0],
            "port_zmq_observations": self._ports[1], "cameras": {}}  # fmt: skip
        return super().build(fault)

    def strike(self, fault: str) -> None:
        self.scene.begin(fault, float("inf") if fault in ("unplugged", "another robot", "restarted") else LASTS)

    def _pass_on(self, ports: tuple[int, int], ready: threading.Event) -> None:
        import zmq

        context = zmq.Context()
        source, to_host = context.socket(zmq.PULL), context.socket(zmq.PUSH)
        to_host.connect(f"tcp://127.0.0.1:{ports[0]}")
        source.connect(f"tcp://127.0.0.1:{ports[1]}")
        self._ports = (0, 0)

        def bound() -> tuple[Any, Any]:
            ends = context.socket(zmq.PULL), context.socket(zmq.PUSH)
            numbers = []
            for end, number in zip(ends, self._ports, strict=True):
                end.setsockopt(zmq.LINGER, 0)
                end.setsockopt(zmq.SNDHWM, 2)
                end.bind(f"tcp://127.0.0.1:{number or '*'}")
                numbers.append(int(end.getsockopt(zmq.LAST_ENDPOINT).rpartition(b":")[2]))
            self._ports = (numbers[0], numbers[1])
            return ends

        actions, observations = bound()
        ready.set()
        while not self._over.is_set():
            if self.scene.now == "restarted":
                actions.close(0), observations.close(0)
                time.sleep(LASTS)
                actions, observations = bound()
                self.scene.begin("")
            if actions.poll(0) and self.scene.now not in ("silent", "unplugged"):
                to_host.send(actions.recv())
            if source.poll(5):
                for message in self._spoilt(source.recv_multipart()):
                    with contextlib.suppress(zmq.Again):
                        observations.send_multipart(message, zmq.NOBLOCK)
        for socket in (actions, observations, source, to_host):
            socket.close(0)
        context.term()

    def _spoilt(self, message: list[bytes]) -> list[list[bytes]]:
        fault = self.scene.now
        if fault in ("silent", "unplugged"):
            return []
        time.sleep(0.05 if fault == "late" else 0.0)
        wrong = {"broken messages": [b"{"], "another robot": [b'{"wheel.vel": 0.0}']}.get(fault, message)
        return [wrong] * (2 if fault == "twice" else 1)
