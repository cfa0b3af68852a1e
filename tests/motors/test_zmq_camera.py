"""Cameras over the network: messages as the ecosystem writes them, and what a stranger may send instead."""

from __future__ import annotations

import base64
import json
import math
import re
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_core.config import choose
from lerobot_core.errors import BadReply, ConfigError, DeviceError
from lerobot_core.roles import Camera
from lerobot_motors.cameras.pattern import decode as number_of
from lerobot_motors.cameras.pattern import draw

zmq = pytest.importorskip("zmq")
cv2 = pytest.importorskip("cv2")
wire = pytest.importorskip("lerobot_motors.cameras.zmq")


def test_a_message_is_json_with_times_and_base64_jpegs():
    message = json.loads(wire.encode({"front": (12.5, draw(3, 64, 48)), "wrist": (13.0, draw(4, 64, 48))}, 90))
    assert message["timestamps"] == {"front": 12.5, "wrist": 13.0}
    assert base64.b64decode(message["images"]["front"]).startswith(b"\xff\xd8\xff")


def test_colours_and_numbers_come_through():
    picture = draw(1234, 160, 96)
    time, seen = wire.decode(wire.encode({"front": (7.0, picture)}, 90), "front")
    assert time == 7.0
    assert number_of(seen) == 1234
    assert abs(seen.astype(int) - picture).mean() < 8, "red and blue are in their places"


def test_a_camera_that_is_not_there_is_named():
    with pytest.raises(BadReply, match="no camera 'top' \\(there: 'front'\\)"):
        wire.decode(wire.encode({"front": (7.0, draw(0, 64, 48))}, 90), "top")


GOOD = json.loads(wire.encode({"front": (7.0, draw(0, 64, 48))}, 50))


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        None,
        "front",
        {"images": {"front": ""}, "timestamps": {"front": 1}},
        {"images": {"front": "!!"}, "timestamps": {"front": 1}},
        {"images": {"front": base64.b64encode(b"no jpeg").decode()}, "timestamps": {"front": 1}},
        {"images": {"front": 5}, "timestamps": {"front": 1}},
        {"images": GOOD["images"], "timestamps": {}},
        {"images": GOOD["images"], "timestamps": {"front": math.nan}},
        {"images": GOOD["images"], "timestamps": {"front": "soon"}},
    ],
)
def test_what_is_no_such_message_is_refused(content):
    with pytest.raises(BadReply):
        wire.decode(json.dumps(content).encode(), "front")


@given(st.binary(max_size=200))
def test_rubbish_is_refused(message):
    with pytest.raises(BadReply):
        wire.decode(message, "front")


@pytest.fixture
def publisher():
    """A publisher of whatever it is told, and its port."""
    socket = zmq.Context.instance().socket(zmq.PUB)
    socket.setsockopt(zmq.LINGER, 0)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    told, stop = {"message": lambda count: b""}, threading.Event()

    def run():
        count = 0
        while not stop.wait(0.02):
            count += 1
            socket.send(told["message"](count))

    thread = threading.Thread(target=run)
    thread.start()
    yield told, port
    stop.set()
    thread.join()
    socket.close(0)


def message(count: int, time: float | None = None) -> bytes:
    return wire.encode({"front": (count * 0.02 if time is None else time, draw(count, 64, 48))}, 90)


@pytest.fixture
def camera_of(publisher, commands):
    made = []

    def make(**options):
        fixed = {"server_address": "127.0.0.1", "port": publisher[1], "camera_name": "front", "fps": 50.0}
        made.append(choose(Camera, "zmq", **{**fixed, "warmup_s": 0.0, "timeout_ms": 600, **options}).build())
        return made[-1]

    yield make
    for camera in made:
        camera.disconnect()


def test_pictures_of_any_publisher_are_read(publisher, camera_of):
    publisher[0]["message"] = message
    camera = camera_of()
    camera.connect()
    numbers = [number_of(camera.read()) for _ in range(4)]
    assert numbers == sorted(set(numbers))
    assert (camera.width, camera.height, camera.fps) == (64, 48, 50.0)


def test_bgr_exchanges_the_channels(publisher, camera_of):
    publisher[0]["message"] = message
    camera = camera_of(color_mode="bgr")
    camera.connect()
    picture = camera.read()[24:]
    assert picture[:, -8:, 2].mean() > 200
    assert picture[:, -8:, 0].mean() < 150


def test_a_server_that_repeats_one_time_is_no_live_camera(publisher, camera_of):
    publisher[0]["message"] = message
    camera = camera_of()
    camera.connect()
    publisher[0]["message"] = lambda count: message(count, time=1.0)

    def look():
        for _ in range(1000):
            camera.read_latest()
            threading.Event().wait(0.002)

    with pytest.raises(DeviceError, match=r"front at 127\.0\.0\.1:\d+'.*(younger than 40 ms|no picture)"):
        look()


@pytest.mark.parametrize(
    ("sent", "options", "said"),
    [
        (lambda count: b"hello", {}, "no message with pictures"),
        (message, {"camera_name": "top"}, "no camera 'top'"),
        (message, {"width": 32, "height": 32}, "asked for 32 x 32, it gives 64 x 48"),
    ],
)
def test_a_server_of_something_else_is_refused(publisher, camera_of, sent, options, said):
    publisher[0]["message"] = sent
    camera = camera_of(**options)
    with pytest.raises(DeviceError, match=re.escape(said)):
        camera.connect()
    assert not camera.is_connected


def test_a_server_that_is_not_there_is_said_in_time(camera_of):
    camera = camera_of(port=1)
    with pytest.raises(DeviceError, match=r"front at 127\.0\.0\.1:1.*no picture"):
        camera.connect()


def test_too_large_a_message_is_not_taken(publisher, camera_of, monkeypatch):
    monkeypatch.setattr(wire, "LARGEST", 1000)
    publisher[0]["message"] = lambda count: message(count).ljust(4000)
    with pytest.raises(DeviceError, match="no picture"):
        camera_of().connect()


def test_the_server_command_gives_what_the_camera_reads(commands, camera_of, monkeypatch):
    from lerobot_motors.cameras import server

    seen, clients, serve = [], [], server.serve

    def spy(cameras, *, ready, **options):
        def tell(port):
            ready(port)
            clients.append(threading.Thread(target=look, args=(port,)))
            clients[0].start()

        return serve(cameras, ready=tell, **options)

    def look(port):
        camera = camera_of(port=port, width=64, height=48, timeout_ms=2000)
        camera.connect()
        seen.append(number_of(camera.read()))
        camera.disconnect()

    monkeypatch.setattr(server, "serve", spy)
    commands(
        "camera-server",
        "--cameras={front: {type: pattern, fps: 50, width: 64, height: 48}}",
        "--port=0",
        "--fps=50",
        "--duration_s=1.5",
    )
    clients[0].join()
    assert 0 <= seen[0] < 100


def test_the_server_without_a_camera_is_refused(commands):
    with pytest.raises(ConfigError, match="no camera to offer"):
        commands("camera-server", "--cameras={}")


def test_pictures_are_arrays_of_their_own(publisher, camera_of):
    publisher[0]["message"] = message
    camera = camera_of()
    camera.connect()
    assert camera.read().flags.writeable
    assert np.array_equal(camera.read_latest().shape, (48, 64, 3))
