"""What a camera must do: pictures that are new, whole and stamped."""

from __future__ import annotations

import threading
import time
from typing import Any, ClassVar

import numpy as np
import pytest

from lerobot_core.errors import DeviceTimeout, LeRobotError, NotConnected
from lerobot_core.roles import Camera
from lerobot_core.testing.suite import Suite, needs, new_threads, open_files


class CameraSuite(Suite):
    """Subclass it and give the fixture `camera`: a new one for each check, not connected.

    Attributes:
        dtype: of a picture.
        channels: size of its last axis.
        steady: `read` gives pictures at `fps`, within a factor of two.
        on_demand: a picture is made when it is asked for, so that there is always a new one.
        changes: no picture equals the one before, as with a sensor's noise or a moving pattern.
    """

    role: ClassVar[type] = Camera
    dtype: ClassVar[str] = "uint8"
    channels: ClassVar[int] = 3
    steady: ClassVar[bool] = True
    on_demand: ClassVar[bool] = False
    changes: ClassVar[bool] = False

    @pytest.fixture
    def camera(self) -> Any:
        return self.part()

    @pytest.fixture
    def connected(self, camera: Any) -> Any:
        """The camera, connected; disconnected after the check."""
        camera.connect()
        yield camera
        camera.disconnect()

    def looks_right(self, picture: np.ndarray) -> bool | None:
        """Whether a known scene has its colours (RGB), its rows (top first) and its columns; None: the scene is not known."""
        return None

    def test_it_has_the_role(self, camera: Any) -> None:
        """Robots use every method of the role. Fix: add the one that isinstance(camera, Camera) misses."""
        assert isinstance(camera, Camera)

    @pytest.mark.parametrize("method", ["read", "async_read"])
    def test_reading_needs_a_connection(self, camera: Any, method: str) -> None:
        """An old or black picture instead of an error spoils a dataset. Fix: raise NotConnected."""
        assert not camera.is_connected
        with pytest.raises(NotConnected):
            getattr(camera, method)()
        camera.connect()
        camera.disconnect()
        with pytest.raises(NotConnected):
            getattr(camera, method)()

    @pytest.mark.parametrize("method", ["read", "async_read"])
    def test_a_picture_has_the_size_it_says(self, connected: Any, method: str) -> None:
        """Features are made of these numbers. Fix: refuse in `connect` what the device cannot give."""
        picture = getattr(connected, method)()
        assert picture.shape == (connected.height, connected.width, self.channels)
        assert str(picture.dtype) == self.dtype
        assert connected.fps > 0

    def test_its_size_is_known_before_connecting(self, camera: Any) -> None:
        """A robot's features are made before anything is opened. Fix: take the size from the config, or leave it None."""
        before = camera.width, camera.height, camera.fps
        camera.connect()
        after = camera.width, camera.height, camera.fps
        camera.disconnect()
        assert all(now > 0 for now in after)
        assert all(said in (None, 0, now) for said, now in zip(before, after, strict=True)), f"{before} became {after}"

    @pytest.mark.parametrize("method", ["read", "async_read"])
    def test_colours_and_axes_are_in_order(self, connected: Any, method: str) -> None:
        """Blue for red or a mirrored picture trains well and fails on another camera. Fix: RGB, top row first."""
        right = self.looks_right(getattr(connected, method)())
        needs(right is not None, "looks_right()")
        assert right, "not the known scene: BGR, mirrored, turned or transposed"

    def test_pictures_can_be_worked_on(self, connected: Any) -> None:
        """Encoders and torch want plain memory. Fix: copy a flipped, BGR-to-RGB or borrowed view before returning it."""
        for picture in (connected.read(), connected.async_read(1000.0)):
            assert picture.flags.c_contiguous, "a view with strides; numpy.ascontiguousarray copies it"
            assert picture.flags.writeable, "a read-only view of somebody's buffer"

    @pytest.mark.parametrize("method", ["read", "async_read"])
    def test_a_new_stamp_is_a_new_picture(self, connected: Any, method: str) -> None:
        """A frozen picture with a fresh stamp is a robot that goes blind. Fix: stamp pictures where they arrive."""
        needs(self.changes, "changes")
        first = getattr(connected, method)()
        assert any(not np.array_equal(getattr(connected, method)(), first) for _ in range(3)), (
            "the picture stands still"
        )

    def test_async_read_gives_the_newest(self, connected: Any) -> None:
        """A queue of old pictures makes a policy act on the past. Fix: keep the last picture only."""
        needs(self.steady and not self.on_demand, "steady, and pictures that do not come on demand")
        connected.async_read(1000.0)
        time.sleep(4 / connected.fps)
        connected.async_read(1000.0)
        age = (time.monotonic_ns() - connected.stamp) / 1e9
        assert age < 2.5 / connected.fps, (
            f"the picture is {age * 1e3:.0f} ms old, a new one comes every {1e3 / connected.fps:.0f}"
        )

    def test_the_first_picture_is_not_an_old_one(self, camera: Any) -> None:
        """The end of the last episode would begin the next. Fix: forget buffered pictures in `disconnect`."""
        camera.connect()
        camera.read()
        camera.disconnect()
        time.sleep(0.05)
        began = time.monotonic_ns()
        camera.connect()
        camera.async_read(1000.0)
        stamp = camera.stamp
        camera.disconnect()
        assert stamp >= began, f"taken {(began - stamp) / 1e6:.0f} ms before it was connected"

    @pytest.mark.parametrize("method", ["read", "async_read"])
    def test_no_picture_is_given_twice(self, connected: Any, method: str) -> None:
        """The same picture in two frames is a robot that stood still. Fix: wait for one newer than the last returned."""
        stamps = []
        for _ in range(3):
            getattr(connected, method)(*([1000.0] if method == "async_read" else []))
            stamps.append(connected.stamp)
        assert stamps == sorted(set(stamps)), "stamps of successive pictures do not increase"

    def test_a_stamp_says_when_the_picture_was_taken(self, connected: Any) -> None:
        """Cameras and joints are aligned by stamps. Fix: monotonic time [ns] taken when the picture arrived."""
        began = time.monotonic_ns()
        connected.read()
        connected.read()
        assert began <= connected.stamp <= time.monotonic_ns()

    def test_pictures_share_no_memory(self, connected: Any) -> None:
        """Pictures wait in queues for their encoder. Fix: hand out a new array each time."""
        first = connected.read()
        kept = first.copy()
        second = connected.read()
        assert not np.shares_memory(first, second)
        assert np.array_equal(first, kept), "a picture changed after it was handed out"

    def test_async_read_waits_no_longer_than_asked(self, connected: Any) -> None:
        """The control loop has a deadline. Fix: raise DeviceTimeout when no new picture came in time."""
        needs(not self.on_demand, "pictures that do not come on demand")

        def three_at_once() -> None:
            for _ in range(3):
                connected.async_read(0.0)

        connected.async_read(1000.0)
        started = time.monotonic()
        with pytest.raises(DeviceTimeout):
            three_at_once()
        assert time.monotonic() - started < 0.1

    def test_pictures_come_at_the_rate_it_says(self, connected: Any) -> None:
        """Recording at another rate gives videos of another speed. Fix: set the device's rate, or refuse it."""
        needs(self.steady, "steady")
        connected.read()
        first = connected.stamp
        for _ in range(5):
            connected.read()
        period = (connected.stamp - first) / 5e9
        assert 0.5 < period * connected.fps < 2, f"a picture every {period * 1e3:.1f} ms at {connected.fps} Hz"

    def test_disconnect_can_be_called_at_any_time(self, camera: Any) -> None:
        """Clean-up runs after failures too, also before anything was opened. Fix: return when nothing is open."""
        camera.disconnect()
        camera.connect()
        assert camera.is_connected
        camera.disconnect()
        camera.disconnect()
        assert not camera.is_connected

    def test_a_second_connect_leaves_it_usable(self, connected: Any) -> None:
        """Two callers may both connect; opening a device twice breaks the first. Fix: refuse, or do nothing."""
        try:
            connected.connect()
        except LeRobotError:
            assert connected.is_connected
        connected.read()

    def test_disconnect_ends_a_waiting_read(self, camera: Any) -> None:
        """Ctrl-C must not hang in a camera. Fix: wake readers in `disconnect` and let them raise NotConnected."""
        ended: list[BaseException] = []

        def read() -> None:
            try:
                while True:
                    camera.read()
            except Exception as error:  # looked at below, in the thread of the check
                ended.append(error)

        camera.connect()
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        time.sleep(2.5 / camera.fps)
        camera.disconnect()
        thread.join(1.0)
        assert not thread.is_alive(), "a read still waits"
        assert isinstance(ended[0], LeRobotError), repr(ended[0])

    def test_it_connects_again(self, camera: Any) -> None:
        """Sessions end and begin again in one process. Fix: open everything anew in `connect`."""
        for _ in range(2):
            camera.connect()
            camera.read()
            camera.disconnect()

    def test_no_thread_outlives_disconnect(self, camera: Any) -> None:
        """A reader thread left behind keeps the device busy. Fix: stop and join it in `disconnect`."""
        before = set(threading.enumerate())
        camera.connect()
        camera.async_read(1000.0)
        camera.disconnect()
        assert not new_threads(before, 0.5)

    def test_no_file_outlives_disconnect(self, camera: Any) -> None:
        """A device that stays open is busy for the next program. Fix: close every handle in `disconnect`."""
        counts = []
        for _ in range(3):
            camera.connect()
            camera.read()
            camera.disconnect()
            counts.append(open_files())
        needs(counts[0] is not None, "a system that counts open files")
        assert counts[2] <= counts[0], f"{counts[2] - counts[0]} more files are open after two more sessions"
