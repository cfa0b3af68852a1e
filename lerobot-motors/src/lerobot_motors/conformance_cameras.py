"""What the conformance suites must know of the cameras here: their scenes, and what stands in for their hardware."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lerobot_core import roles
from lerobot_core.clock import MonotonicClock, Rate
from lerobot_core.config import choose
from lerobot_core.testing import CameraSuite
from lerobot_motors import envs
from lerobot_motors.cameras.configs import RealsenseConfig
from lerobot_motors.cameras.pattern import decode, draw
from lerobot_motors.cameras.realsense import RealsenseCamera
from lerobot_motors.cameras.realsense_sdk import Given
from lerobot_motors.conformance import NAME, powered


def drawn(picture: np.ndarray) -> np.ndarray:
    """What the pattern with this picture's number looks like, (H, W, 3) int."""
    height, width, _ = picture.shape
    return draw(decode(picture), width, height).astype(int)


class PatternSuite(CameraSuite):
    """Red grows along the columns, green down the rows, but for the moving bar."""

    changes = True

    def looks_right(self, picture: Any) -> bool:
        return bool(abs(picture - drawn(picture)).max() == 0)


class OpencvSuite(CameraSuite):
    """A film of two seconds instead of a camera."""

    changes = True

    def looks_right(self, picture: Any) -> bool:
        """The film's pictures, which OpenCV took for BGR, up to what their coding loses."""
        return bool(abs(picture[..., ::-1] - drawn(picture)).mean() < 12)

    @pytest.fixture
    def camera(self, tmp_path: Path) -> Any:
        import cv2  # optional: the component says that it needs it

        film = tmp_path / "film.avi"
        writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 50, (160, 96))
        for number in range(100):
            writer.write(draw(number, 160, 96))
        writer.release()
        options = {"warmup_s": 0.0, "width": 160, "height": 96, "fps": 50.0}
        return choose(roles.Camera, "opencv", index_or_path=str(film), **options).build()


class FakePipeline:
    """A RealSense without one: the pattern in colour, and a depth of as many steps as the picture has columns."""

    given = Given(width=160, height=96, fps=50.0, depth_step_mm=0.1)

    def __init__(self) -> None:
        self._rate, self._count = Rate(self.given.fps, MonotonicClock(spin=0.0)), 0
        self.stopped = False

    def wait(self, timeout_ms: int) -> tuple[np.ndarray, np.ndarray]:
        self._rate.wait()
        self._count += 1
        steps = np.broadcast_to(np.arange(self.given.width, dtype=np.uint16), (self.given.height, self.given.width))
        return draw(self._count, self.given.width, self.given.height), steps * 10

    def stop(self) -> None:
        self.stopped = True


class RealsenseSuite(CameraSuite):
    """A camera on the pipeline above, so that no device and no library of its maker is needed."""

    changes = True

    def looks_right(self, picture: Any) -> bool:
        return bool(abs(picture - drawn(picture)).max() == 0)

    @pytest.fixture
    def camera(self) -> Any:
        config = RealsenseConfig(serial_number_or_name="0", warmup_s=0.0, use_depth=True, max_age_s=0.5)
        return RealsenseCamera(config, start=lambda config: FakePipeline())


#: a camera server that says its port
SERVER = """
from lerobot_motors.cameras.configs import PatternConfig
from lerobot_motors.cameras.pattern import PatternCamera
from lerobot_motors.cameras.server import serve

camera = PatternCamera(PatternConfig(fps=50, width=160, height=96))
camera.connect()
told = {"ready": lambda port: print(port, flush=True), "stop": lambda: False}
serve({"front": camera}, address="127.0.0.1", port=0, fps=50, quality=90, **told)
"""


class ZmqSuite(CameraSuite):
    """A camera of a server on this machine."""

    changes = True

    def looks_right(self, picture: Any) -> bool:
        """The pattern's pictures, up to what their coding loses."""
        return bool(abs(picture - drawn(picture)).mean() < 12)

    @pytest.fixture(scope="class")
    @classmethod
    def port(cls) -> Iterator[int]:
        """In a process of its own, so that its files are not counted as the camera's."""
        server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
        with server:
            yield int(server.stdout.readline())  # type: ignore[union-attr]
            server.terminate()

    @pytest.fixture
    def camera(self, port: int) -> Any:
        options = {"fps": 50.0, "width": 160, "height": 96, "warmup_s": 0.0, "freeze_frames": 0}
        return choose(
            roles.Camera, "zmq", server_address="127.0.0.1", port=port, camera_name="front", **options
        ).build()


class EmulatedCameraSuite(CameraSuite):
    """A camera that looks at the emulated arm; it has a new picture whenever it is asked."""

    on_demand = True

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def emulated(cls) -> Iterator[None]:
        with powered():
            yield

    @pytest.fixture
    def camera(self) -> Any:
        return choose(roles.Camera, "emulated", name=NAME, width=160, height=120).build()


class SimulatedSuite(CameraSuite):
    """A camera above the table; the world stays while what is tested comes and goes."""

    @pytest.fixture(scope="class")
    @classmethod
    def world(cls) -> Iterator[Any]:
        if sys.platform == "linux" and find_library("EGL") is None:
            pytest.skip("nothing to draw with: apt install libegl1")
        with powered():
            world = envs.open_world(NAME)
            yield world
            world.close()

    @pytest.fixture
    def camera(self, world: Any) -> Any:
        return choose(roles.Camera, "simulated", name=NAME, view="top", width=160, height=120).build()

    def looks_right(self, picture: Any) -> bool:
        """The zone is green and to the left of the arm, before it: in the upper left quarter; the cube is red and right."""
        red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
        zone = np.argwhere((green > red + 40) & (green > blue + 40)).mean(0)
        cube = np.argwhere((red > 2 * green) & (red > 2 * blue)).mean(0)
        height, width, _ = picture.shape
        return bool(zone[0] < 0.55 * height and zone[1] < width / 2 < cube[1])
