from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from lerobot_core.errors import DeviceError, DeviceTimeout, WireError
from lerobot_motors import plugin
from lerobot_motors.conformance import hosted
from lerobot_motors.robots import lekiwi_wire
from lerobot_motors.robots.configs import LekiwiClientConfig
from lerobot_motors.robots.lekiwi_client import LekiwiClient
from lerobot_motors.robots.lekiwi_host import Host, HostConfig
from lerobot_motors.robots.omni_base import FASTEST, body_velocity, wheel_speeds

SPEED = st.floats(-0.5, 0.5)


@given(SPEED, SPEED, st.floats(-90, 90))
def test_wheels_and_body_agree(x: float, y: float, theta: float) -> None:
    speeds, factor = wheel_speeds(x, y, theta)
    assert max(map(abs, speeds)) <= FASTEST
    assert body_velocity(*speeds) == pytest.approx((x * factor, y * factor, theta * factor), abs=0.3)


def test_wheels_by_hand() -> None:
    """Turning on the spot turns all wheels alike; forwards leaves the back wheel alone; too fast keeps its direction."""
    spin, factor = wheel_speeds(0, 0, 30)
    assert factor == 1
    assert spin == [int(30 * 0.125 / 0.05 * 4096 / 360)] * 3
    left, back, right = wheel_speeds(0.1, 0, 0)[0]
    assert (back, left) == (0, -right)
    assert right > 0
    fast, factor = wheel_speeds(10, 0, 0)
    assert max(map(abs, fast)) == FASTEST
    assert fast[2] == pytest.approx(wheel_speeds(0.1, 0, 0)[0][2] * 100 * factor, rel=0.01)


def test_an_observation_survives_the_wire() -> None:
    picture = np.full((48, 64, 3), (10, 200, 90), np.uint8)
    numbers, pictures = lekiwi_wire.unpack_observation(
        lekiwi_wire.pack_observation({"arm_gripper.pos": 12.5, "x.vel": -0.1, "front": picture})
    )
    assert numbers == {"arm_gripper.pos": 12.5, "x.vel": -0.1}
    assert abs(pictures["front"].astype(int) - picture).max() <= 3


def test_the_parts_of_an_observation_are_those_of_the_ecosystem() -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    header, jpeg = lekiwi_wire.pack_observation({"x.vel": 0.0, "front": picture})
    assert json.loads(header) == {"x.vel": 0.0, "_cams": ["front"]}
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == picture.shape
    assert lekiwi_wire.unpack_observation([header, b""]) == ({"x.vel": 0.0}, {})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[1]",
        b"\xff",
        b'{"x.vel": NaN}',
        b'{"x.vel": true}',
        b'{"x.vel": "1"}',
        b'{"x.vel": 1e400}',
        b'{"_cams": 3}',
        b"[" * 50_000,
        b'{"x": ' + b"1" * 70_000 + b"}",
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        lekiwi_wire.unpack_numbers(data)


def test_a_picture_too_large_is_not_decoded() -> None:
    """The header of a JPEG promises its size; 65500 × 65500 would take 12 GB."""
    good = lekiwi_wire.pack_observation({"front": np.zeros((48, 64, 3), np.uint8)})
    at = good[1].index(b"\xff\xc0") + 5
    bomb = good[1][:at] + (65500).to_bytes(2, "big") * 2 + good[1][at + 4 :]
    for data in (bomb, b"\xff\xd8\xff", b"GIF89a", good[1][:30]):
        with pytest.raises(WireError, match="camera 'front'"):
            lekiwi_wire.unpack_observation([good[0], data])
    with pytest.raises(WireError, match="names 1 cameras and has 2"):
        lekiwi_wire.unpack_observation([*good, good[1]])


@given(st.binary(max_size=200))
def test_noise_is_refused_or_numbers(data: bytes) -> None:
    try:
        numbers, _ = lekiwi_wire.unpack_numbers(data)
    except WireError:
        return
    assert all(math.isfinite(value) for value in numbers.values())


@pytest.fixture
def client(host: Any, emulator_folder: Any) -> Iterator[LekiwiClient]:
    """A client of an emulated LeKiwi, connected."""
    host.add(plugin)
    with hosted(port="emulated://lekiwi", cameras={}) as (commands, observations):
        client = LekiwiClient(
            LekiwiClientConfig(
                remote_ip="127.0.0.1", port_zmq_cmd=commands, port_zmq_observations=observations, cameras={}
            )
        )
        client.connect()
        yield client
        client.disconnect()


def until(condition: Any, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline


def test_a_client_drives_and_silence_stops_the_base(client: LekiwiClient) -> None:
    def driven() -> bool:
        client.send_action({"x.vel": 0.1, "y.vel": 0.0, "theta.vel": 0.0})
        return client.get_observation()["x.vel"] == pytest.approx(0.1, abs=0.01)

    until(driven)
    until(lambda: client.get_observation()["x.vel"] == pytest.approx(0, abs=0.001))

    def there() -> bool:
        client.send_action({"arm_elbow_flex.pos": 15.0})
        return abs(client.get_observation()["arm_elbow_flex.pos"] - 15) < 0.5

    until(there)


def test_no_host_is_said() -> None:
    client = LekiwiClient(
        LekiwiClientConfig(remote_ip="127.0.0.1", port_zmq_observations=1, connect_timeout_s=0.1, cameras={})
    )
    with pytest.raises(DeviceTimeout, match=r"no whole observation from '127\.0\.0\.1:1' within 0\.1 s"):
        client.connect()
    assert not client.is_connected


@pytest.fixture
def far() -> Iterator[tuple[Host, zmq.Socket]]:
    """A host without a robot, the socket that commands it."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        probe = context.socket(zmq.PULL)
        ports = [probe.bind_to_random_port("tcp://127.0.0.1") for _ in range(2)]
        probe.close()
        time.sleep(0.05)
        config = HostConfig(port_zmq_cmd=ports[0], port_zmq_observations=ports[1], watchdog_timeout_ms=60)
        host = Host(config, {"a.pos": float, "x.vel": float})
        push.setsockopt(zmq.LINGER, 0)
        push.connect(f"tcp://127.0.0.1:{ports[0]}")
        yield host, push
        host.close()


def test_the_watchdog(far: tuple[Host, zmq.Socket], caplog: pytest.LogCaptureFixture) -> None:
    host, push = far
    assert host.act({}) == (None, {})
    push.send(b'{"a.pos": 1}')
    until(lambda: host.act({})[0] == {"x.vel": 0.0, "a.pos": 1.0})
    for bad in (b'{"a.pos": NaN}', b'{"b.pos": 1}', b"\x80\x04."):
        push.send(bad)
        time.sleep(0.03)
        host.act({})
    until(lambda: host.act({})[0] is None)
    assert "the robot has no 'b.pos'" in caplog.text
    assert "the base stops" in caplog.text


def test_a_port_that_is_taken_is_said(far: tuple[Host, zmq.Socket]) -> None:
    taken = far[1].getsockopt(zmq.LAST_ENDPOINT).decode().rpartition(":")[2]
    with pytest.raises(DeviceError, match="Address already in use"):
        Host(HostConfig(port_zmq_cmd=int(taken)), {})
