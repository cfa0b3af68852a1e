"""The simulated world as a process: what it shows, how cameras come and go, what it says where it cannot draw."""

from __future__ import annotations

import itertools
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from ctypes.util import find_library

import numpy as np
import pytest

from lerobot_core.errors import DeviceError, DeviceTimeout, NotConnected
from lerobot_motors import emulators, envs, shared_file
from lerobot_motors.cameras.configs import SimulatedConfig
from lerobot_motors.cameras.simulated import SimulatedCamera
from lerobot_motors.emulators.profiles import SO101
from lerobot_motors.envs import memory, picker, scene, so101

mujoco = pytest.importorskip("mujoco", reason="needs lerobot-motors[sim]")
if sys.platform == "linux" and find_library("EGL") is None:
    pytest.skip("needs EGL: apt install libegl1", allow_module_level=True)
pytestmark = pytest.mark.usefixtures("emulator_folder")

NAME = "simulated"
TICK = 20_000_000


@pytest.fixture
def arm() -> Iterator[emulators.EmulatorState]:
    """An emulated arm that is switched on."""
    port = emulators.open_port(f"emulated://so101?name={NAME}")
    shown = emulators.state(NAME)
    yield shown
    shown.close()
    port.close()


@pytest.fixture
def make_camera(arm: emulators.EmulatorState) -> Iterator[Callable[..., SimulatedCamera]]:
    cameras = []

    def make(**options: object) -> SimulatedCamera:
        cameras.append(SimulatedCamera(SimulatedConfig(**{"name": NAME, "width": 64, "height": 48, **options})))
        cameras[-1].connect()
        return cameras[-1]

    yield make
    for camera in cameras:
        camera.disconnect()
    assert not envs.view._children


@pytest.fixture
def physics():
    from lerobot_motors.envs.world import Physics

    return Physics(np.zeros(6), 0)


def wait_until(happened: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.005)
    return happened()


def hand(joints: np.ndarray) -> list[float]:
    """Ticks of joint angles (6,) [rad], as a hand moves the emulated servos to."""
    body = [
        (joint.range_min + joint.range_max) / 2 + math.degrees(at) * 4095 / 360
        for joint, at in zip(SO101, joints, strict=True)
    ]
    return [*body[:5], 1935 + (math.degrees(joints[5]) + 10) / 110 * (3185 - 1935)]


def test_the_model_has_the_arms_geometry(physics):
    random = np.random.default_rng(0)
    for _ in range(50):
        joints = np.radians([random.uniform(*ends) for ends in so101.RANGES])
        physics.data.qpos[:6] = joints
        mujoco.mj_kinematics(physics.model, physics.data)
        assert physics.data.site("tip").xpos == pytest.approx(so101.tip(joints), abs=1e-9)


def test_the_model_has_the_arms_ranges(physics):
    assert [physics.model.joint(index).name for index in range(6)] == list(so101.JOINTS)
    assert np.degrees(physics.model.jnt_range[:6]) == pytest.approx(np.array(so101.RANGES))


def test_the_jaws_meet_when_closed_and_are_parallel_at_the_cube(physics):
    for width in (0.0, so101.PARALLEL):
        physics.data.qpos[5] = so101.opening(width)
        mujoco.mj_kinematics(physics.model, physics.data)
        jaw, size = physics.data.geom("moving_jaw"), physics.model.geom("moving_jaw").size
        end = jaw.xpos + jaw.xmat.reshape(3, 3) @ np.array([size[0], 0, -size[2]])
        assert end[2] - physics.data.site("tip").xpos[2] == pytest.approx(width, abs=1e-4)
    assert jaw.xmat.reshape(3, 3) == pytest.approx(np.eye(3), abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_the_picker_brings_the_cube_to_the_zone(physics, seed):
    """The physics holds, lifts and lets go of the cube; time is the test's own."""
    placed, now = scene.placement(seed), 0
    physics.place(placed)
    highest = 0.0
    for point in picker.plan(physics.cube[:3].copy(), placed.turn):
        goal = np.radians(point.joints)
        goal[5] = math.radians(-10 + point.joints[5] * 1.1)
        begin = physics.data.ctrl.copy()
        for share in [*np.linspace(0.02, 1, 50), *[1.0] * 20]:
            now += TICK
            physics.follow(begin + (goal - begin) * share, now)
            highest = max(highest, physics.cube[2])
    assert physics.done, physics.cube
    assert highest > scene.HALF + 0.03, "it was carried and not pushed"


def test_the_arm_is_where_its_servos_are(physics):
    """Near them while they go at 100 °/s after a sudden start, and exactly at rest."""
    goal, farthest = np.radians([45.0, -30.0, 20.0, 30.0, 60.0, 50.0]), 0.0
    for step in range(1, 36):
        target = goal * min(step / 25, 1.0)
        physics.follow(target, step * TICK)
        farthest = max(farthest, float(np.abs(physics.data.qpos[:6] - target).max()))
    assert math.degrees(farthest) < 2.0
    assert np.degrees(physics.data.qpos[:6]) == pytest.approx(np.degrees(goal), abs=0.2)


def test_a_machine_that_slept_does_not_make_the_world_run(physics):
    physics.follow(np.zeros(6), 5_000_000_000)
    assert physics.skipped == pytest.approx(4.75e9, abs=1e7)
    assert physics.data.time == pytest.approx(0.25, abs=0.01)


def test_pictures_are_drawn_where_the_arm_was_when_they_say(arm, make_camera):
    camera = make_camera(view="front")
    before = camera.read()
    world = envs.state(NAME)
    goal = np.radians([60.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    goal[5] = so101.angles(arm.positions)[5]
    for part in np.linspace(0.0, 1.0, 50):  # as fast as an arm is moved: one that is elsewhere at once may jam the cube
        arm.hand[:] = hand(np.append(part * goal[:5], goal[5]))
        time.sleep(0.01)
    assert wait_until(lambda: bool(np.abs(world.tip - so101.tip(goal)).max() < 0.003)), world.joints
    moved = time.monotonic_ns()
    after = camera.read()
    assert np.abs(after.astype(int) - before).max() > 50
    assert camera.stamp > moved
    world.close()


def test_each_camera_sees_the_cube_from_elsewhere(make_camera):
    cameras = [make_camera(view=view, width=80, height=60) for view in ("front", "top", "wrist")]
    pictures = [camera.read() for camera in cameras]
    assert len({picture.tobytes() for picture in pictures}) == 3
    assert {camera.health.failures for camera in cameras} == {0}


def test_the_cube_goes_where_the_seed_says(make_camera):
    make_camera(seed=5)
    world = envs.state(NAME)
    first = scene.placement(5)
    assert world.cube[:2] == pytest.approx((first.x, first.y), abs=1e-3)
    world.reset()
    assert world.seed == 6
    world.reset(2)
    second = scene.placement(2)
    assert world.cube == pytest.approx((second.x, second.y, scene.HALF), abs=1e-3)
    assert not world.in_zone
    world.close()


def test_a_pushed_cube_moves(arm, make_camera):
    make_camera()
    world = envs.state(NAME)
    world.reset(1)
    cube = world.cube
    for back, height in ((0.07, 0.05), *((back, 0.01) for back in np.linspace(0.07, -0.01, 17))):
        goal = so101.joints_above(np.array([cube[0] - back, cube[1], height]), 0.0, math.radians(-10))
        arm.hand[:] = hand(goal)
        assert wait_until(lambda goal=goal: bool(np.abs(so101.angles(arm.positions) - goal).max() < 0.02))
        time.sleep(0.03)
    assert world.cube[0] - cube[0] > 0.02
    world.close()


def test_pictures_that_cannot_be_drawn_in_time_are_dropped_and_counted(make_camera):
    camera = make_camera(width=320, height=240, fps=2000)
    first, stamp = camera.health, camera.stamp
    for _ in range(20):
        camera.read()
    health = camera.health
    passed = (camera.stamp - stamp) * 2000 / 1e9
    assert health.dropped > first.dropped
    counted = health.frames + health.dropped - first.frames - first.dropped
    assert 0.5 * passed < counted < 2 * passed + 200, "what is not drawn is counted"


def test_an_arm_must_be_there():
    camera = SimulatedCamera(SimulatedConfig(name="nobody"))
    with pytest.raises(NotConnected, match="no emulator 'nobody' is running"):
        camera.connect()
    with pytest.raises(NotConnected, match="no simulated world 'nobody'"):
        envs.state("nobody")


def test_another_arm_than_an_so101_is_refused(emulator_folder):
    port = emulators.open_port("emulated://lekiwi?name=wheels")
    with pytest.raises(NotConnected, match="has 9 servos; the simulated arm is an SO-101"):
        envs.open_world("wheels")
    port.close()


@pytest.mark.parametrize(("variable", "value"), [("MUJOCO_GL", "osmesa"), ("MUJOCO_EGL_DEVICE_ID", "99")])
def test_without_opengl_it_says_what_to_install(arm, monkeypatch, variable, value):
    monkeypatch.setenv("MUJOCO_GL", "egl")
    monkeypatch.setenv(variable, value)
    camera = SimulatedCamera(SimulatedConfig(name=NAME, width=64, height=48))
    with pytest.raises(DeviceError, match=r"MUJOCO_GL=.*apt install libegl1"):
        camera.connect()
    assert not camera.is_connected
    assert not envs.view._children


def test_the_world_ends_with_its_last_camera(make_camera):
    cameras = [make_camera(), make_camera(view="top")]
    cameras[0].disconnect()
    cameras[1].read()
    cameras[1].disconnect()
    assert not shared_file.running(memory.world_file(NAME))
    assert not memory.world_file(NAME).exists()
    assert not memory.camera_folder(NAME).exists()


def test_a_camera_of_another_process_shares_the_world_and_is_forgotten_when_killed(make_camera):
    mine = make_camera()
    code = (
        "from lerobot_motors.cameras.simulated import *; import time\n"
        f"camera = SimulatedCamera(SimulatedConfig(name='{NAME}', width=32, height=24)); camera.connect()\n"
        "print(camera.read().shape, flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    with other.stdout:
        assert other.stdout.readline() == "(24, 32, 3)\n"
        assert len(list(memory.camera_folder(NAME).iterdir())) == 2
        other.kill()
        other.wait()
    assert wait_until(lambda: len(list(memory.camera_folder(NAME).iterdir())) == 1)
    mine.read()


def test_a_world_that_was_killed_is_an_error_that_says_so(make_camera):
    camera = make_camera()
    world = envs.state(NAME)
    os.kill(world.pid, signal.SIGKILL)
    assert wait_until(lambda: not world.running)
    camera.read_latest(max_age_ms=60_000)
    with pytest.raises(DeviceError, match="its world has ended"):
        camera.async_read(50)
    with pytest.raises(DeviceTimeout, match="put no cube"):
        world.reset()
    world.close()


def test_an_old_picture_is_refused(make_camera):
    camera = make_camera(fps=1, max_age_s=0.01)
    time.sleep(0.05)
    with pytest.raises(DeviceTimeout, match=r"the newest picture is .* old"):
        camera.read_latest()
    assert camera.read_latest(max_age_ms=5000).shape == (48, 64, 3)


def test_a_ring_never_gives_a_picture_that_is_half_written(emulator_folder, monkeypatch):
    """A reader that the writer laps takes the newer picture, with its own number and stamp."""
    ring = memory.Ring.ask(NAME, "top", 8, 4, 30.0)
    assert ring.newest() is None
    find, numbers = ring._place, iter(range(1, 12))

    def put(count: int) -> None:
        for number in itertools.islice(numbers, count):
            ring.put(np.full((4, 8, 3), number, np.uint8), number * 10)

    def lapped(number: int) -> tuple[np.void, np.ndarray]:
        found = find(number)
        monkeypatch.undo()
        put(4)
        return found

    put(7)
    monkeypatch.setattr(ring, "_place", lapped)
    number, stamp, picture = ring.newest()
    assert (number, stamp) == (11, 110)
    assert (picture == 11).all()
    ring.close()


@pytest.mark.nightly
def test_an_episode_on_the_simulated_arm_moves_the_cube(arm, make_camera, commands):
    """`lr record` with nothing but the emulated servos in between."""
    make_camera(seed=1)  # the world is looked at after the command, too
    camera = f"{{type: simulated, name: {NAME}, width: 96, height: 72, fps: 30}}"
    commands(
        "record", "--robot.type=so101_follower", f"--robot.port=emulated://so101?name={NAME}",
        f"--robot.cameras={{front: {camera}}}", "--teleop.type=scripted_picker", f"--teleop.name={NAME}", "--teleop.seed=1",
        "--dataset.type=toy_store", "--dataset.repo_id=me/set", "--dataset.root=set", "--dataset.single_task=pick",
        "--dataset.num_episodes=1", "--dataset.episode_time_s=20",
    )  # fmt: skip
    world = envs.state(NAME)
    placed = scene.placement(1)
    assert math.dist(world.cube[:2], (placed.x, placed.y)) > 0.05
    assert world.in_zone
    world.close()
    with np.load("set/0.npz") as stored:
        pictures = stored["observation.images.front"].astype(int)
    assert np.abs(pictures[-1] - pictures[0]).max() > 50
