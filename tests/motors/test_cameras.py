"""Cameras against sources made here: a video file, sources that stall, freeze or die."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_core.errors import DeviceError, DeviceTimeout, NotConnected
from lerobot_core.roles import Camera
from lerobot_motors.cameras.configs import OpencvConfig, PatternConfig
from lerobot_motors.cameras.pattern import PatternCamera, decode, draw
from lerobot_motors.cameras.stream import FrameStream, newest

cv2 = pytest.importorskip("cv2")
WIDTH, HEIGHT, FPS, FRAMES = 160, 96, 50, 20


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A file of 20 pattern pictures at 50 Hz."""
    path = tmp_path_factory.mktemp("film") / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (WIDTH, HEIGHT))
    for number in range(FRAMES):
        writer.write(cv2.cvtColor(draw(number, WIDTH, HEIGHT), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


@pytest.fixture
def camera_of(film):
    from lerobot_motors.cameras.opencv import OpencvCamera

    cameras = []

    def make(**options):
        cameras.append(OpencvCamera(OpencvConfig(**{"index_or_path": str(film), **options})))
        return cameras[-1]

    yield make
    for camera in cameras:
        camera.disconnect()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("camera")]


@given(st.integers(0, 0xFFFF), st.integers(64, 320), st.integers(16, 240))
def test_a_pattern_picture_shows_its_number(number, width, height):
    assert decode(draw(number, width, height)) == number


def test_the_pattern_camera_keeps_its_rate_and_loses_nothing():
    camera = PatternCamera(PatternConfig(fps=100, width=64, height=48, start=7))
    camera.connect()
    assert isinstance(camera, Camera)
    stamps, numbers = [], []
    for _ in range(10):
        numbers.append(decode(camera.async_read()))
        stamps.append(camera.stamp)
    assert numbers == list(range(numbers[0], numbers[0] + 10))
    assert set(np.diff(stamps)) == {10_000_000}
    assert abs(time.monotonic_ns() - stamps[-1]) < 100e6
    camera.disconnect()
    with pytest.raises(NotConnected, match="pattern"):
        camera.read()


def test_the_pattern_camera_skips_what_nobody_asked_for():
    camera = PatternCamera(PatternConfig(fps=100, width=64, height=48))
    camera.connect()
    camera.read()
    time.sleep(0.1)
    first, second = decode(camera.read_latest()), decode(camera.read_latest())
    assert first >= 10
    assert second - first <= 1
    camera.async_read()
    with pytest.raises(DeviceTimeout, match=r"no new picture within 0\.01 ms"):
        camera.async_read(timeout_ms=0.01)
    camera.disconnect()


def test_the_newest_picture_is_not_waited_for():
    camera = PatternCamera(PatternConfig(fps=2, width=64, height=48))
    camera.connect()
    began = time.monotonic()
    assert decode(newest(camera)) == decode(newest(camera)) == 0
    assert time.monotonic() - began < 0.2
    camera.disconnect()


def test_a_file_plays_at_its_rate_and_starts_over(camera_of):
    camera = camera_of(width=WIDTH, height=HEIGHT, fps=FPS)
    camera.connect()
    assert (camera.width, camera.height, camera.fps) == (WIDTH, HEIGHT, FPS)
    began, numbers = time.monotonic(), []
    for _ in range(30):
        numbers.append(decode(camera.async_read()))
        assert time.monotonic_ns() - camera.stamp < 100e6
    took = time.monotonic() - began
    assert set(np.diff(numbers) % FRAMES) <= {1, 2, 3}, numbers
    assert numbers != sorted(numbers), "it started over"
    assert 0.45 < took < 1.2


def test_read_waits_for_a_picture_taken_after_the_call(camera_of):
    camera = camera_of()
    camera.connect()
    for _ in range(3):
        called = time.monotonic_ns()
        camera.read()
        assert camera.stamp > called


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_rotation_is_clockwise_and_size_is_that_of_the_result(camera_of, rotation):
    camera = camera_of(
        rotation=rotation, width=HEIGHT if rotation % 180 else WIDTH, height=WIDTH if rotation % 180 else HEIGHT
    )
    camera.connect()
    picture = camera.read()
    assert picture.shape == (camera.height, camera.width, 3)
    assert decode(np.rot90(picture, rotation // 90)) < FRAMES
    red = np.rot90(picture, rotation // 90)[HEIGHT // 2 :, :, 0].astype(int)
    assert red[:, -20:].mean() > red[:, :20].mean() + 100


def test_color_mode_is_the_order_of_the_channels(camera_of):
    camera = camera_of(color_mode="bgr")
    camera.connect()
    blue_first = camera.read()[HEIGHT // 2 :]
    assert blue_first[:, -20:, 2].mean() > 200
    assert blue_first[:, -20:, 0].mean() < 150


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"index_or_path": "/dev/no-camera"}, "'/dev/no-camera' cannot be opened"),
        ({"width": 640, "height": 480}, "asked for 640 x 480, it gives 160 x 96"),
        ({"fps": 30}, "asked for 30 Hz, it gives 50 Hz"),
    ],
)
def test_a_source_that_does_not_give_what_was_asked_is_refused(camera_of, options, message, capfd):
    camera = camera_of(**options)
    with pytest.raises(DeviceError, match=message):
        camera.connect()
    assert not camera.is_connected
    camera.disconnect()


def test_reading_before_connecting_is_refused(camera_of):
    with pytest.raises(NotConnected, match=r"film\.avi"):
        camera_of().async_read()


class Source:
    """Pictures at 100 Hz until told otherwise."""

    def __init__(self) -> None:
        self.mode = "live"
        self.count = 0
        self.release = threading.Event()

    def __call__(self) -> np.ndarray | None:
        time.sleep(0.01)
        if self.mode == "stall":
            self.release.wait(5)
        if self.mode == "fail":
            return None
        if self.mode == "die":
            raise OSError("device was unplugged")
        self.count += self.mode == "live"
        return draw(self.count, 64, 48)


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def stream(source):
    stream = FrameStream("wrist", source, freeze_frames=2)
    stream.start()
    stream.after(0, 1.0)
    stream.watch()
    yield stream
    source.release.set()
    stream.stop()


def test_a_stalled_source_is_a_timeout_and_never_an_old_picture(stream, source):
    source.mode = "stall"
    time.sleep(0.05)
    seen = stream.after(0, 0.2).number
    with pytest.raises(DeviceTimeout, match=r"'wrist': no new picture within 50 ms \(the newest is \d+ ms old\)"):
        stream.after(seen, 0.05)
    with pytest.raises(DeviceTimeout, match="'wrist': no picture younger than 20 ms"):
        stream.newest(0.02)


@pytest.mark.parametrize(
    ("mode", "message"),
    [("fail", "no picture 10 times in a row"), ("die", "device was unplugged"), ("freeze", "the source is frozen")],
)
def test_a_source_that_fails_is_an_error_that_names_the_camera(stream, source, mode, message):
    source.mode = mode
    time.sleep(0.3)
    with pytest.raises(DeviceError, match=f"'wrist'.*{message}"):
        stream.after(stream.number, 1.0)
    with pytest.raises(DeviceError, match=message):
        stream.newest(10.0)


def test_a_stopped_stream_gives_nothing(stream):
    assert stream.stop()
    with pytest.raises(NotConnected, match="wrist"):
        stream.newest(10.0)
