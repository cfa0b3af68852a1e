"""The world's own process: physics in real time around an emulated arm, and a picture for each camera when it is due.

The emulated servos say where the joints are; strong motors take the simulated arm there, and what it touches is moved. A
picture shows the world as it was when its stamp says: physics is brought up to that moment before it is drawn. A machine that
cannot draw so fast gets fewer pictures, never later ones. Ends when its standard input closes or its parent is gone.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import time

import numpy as np

from lerobot_core.errors import LeRobotError, NotConnected
from lerobot_motors import emulators
from lerobot_motors.envs import memory, scene, so101

#: How often it looks for cameras that come and go, and for an arm that was switched off [ns].
LOOK = 20_000_000
#: Physics that is further behind than this is not caught up: the machine was asleep [ns].
LONGEST = 250_000_000
#: Over which the speed of the servos is taken: they are seen every few ms [s].
SMOOTHING = 0.02
#: Longest it sleeps [s].
NAP = 0.004
_STEP = round(scene.STEP * 1e9)


class Arm:
    """Where the emulated servos are; where they were last while the arm is switched off."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._state = emulators.state(name)
        if self._state.positions.size != len(so101.JOINTS):
            raise NotConnected(
                f"emulator '{name}' has {self._state.positions.size} servos; the simulated arm is an SO-101, which has 6",
                device=name,
                hint="connect to emulated://so101",
            )

    def joints(self) -> np.ndarray:
        """Joint angles (6,) [rad]."""
        return so101.angles(self._state.positions)

    def look(self) -> None:
        """Take the new emulator of this name where the old one ended."""
        try:
            fresh = None if self._state.running else emulators.state(self._name)
        except NotConnected:
            return
        if fresh is not None:
            self._state.close()
            self._state = fresh


class Physics:
    """The scene with the arm in it.

    Attributes:
        model: MuJoCo's.
        data: MuJoCo's.
        skipped: time that was left out to stay in time [ns].
    """

    def __init__(self, joints: np.ndarray, now: int) -> None:
        import mujoco  # optional, and the process that asks for pictures does without

        self._step, self._forward = mujoco.mj_step, mujoco.mj_forward
        self.model = mujoco.MjModel.from_xml_string(scene.model())
        self.data = mujoco.MjData(self.model)
        self.skipped = 0
        self._now = now
        self._joints, self._speed = joints, np.zeros(6)
        self.data.qpos[:6] = self.data.ctrl[:] = joints
        self._forward(self.model, self.data)

    def follow(self, joints: np.ndarray, now: int) -> None:
        """Go on to `now` [ns] while the motors turn to `joints` (6,) [rad]."""
        if now - self._now > LONGEST:
            self.skipped += now - self._now - LONGEST
            self._now = now - LONGEST
        count = (now - self._now) // _STEP
        if not count:
            return
        start, passed = self._joints, count * scene.STEP
        self._speed += ((joints - start) / passed - self._speed) * min(1.0, passed / SMOOTHING)
        for index in range(count):
            there = start + (joints - start) * (index + 1) / count
            self.data.ctrl[:] = there + self._speed * so101.LAG  # else damping would keep the arm behind
            self._step(self.model, self.data)
        self._joints = joints
        self._now += count * _STEP

    def place(self, placement: scene.Placement) -> None:
        """Put the cube on the table."""
        turn = placement.turn / 2
        self.data.qpos[6:] = (placement.x, placement.y, scene.HALF, np.cos(turn), 0.0, 0.0, np.sin(turn))
        self.data.qvel[6:] = 0.0
        self._forward(self.model, self.data)

    @property
    def cube(self) -> np.ndarray:
        """Place [m] and quaternion of the cube (7,)."""
        return np.asarray(self.data.qpos[6:])

    @property
    def done(self) -> bool:
        return scene.in_zone(self.data.qpos[6:9], self.data.qvel[6:9])


class World:
    """Physics, cameras, and the file that shows them."""

    def __init__(self, name: str, shown: memory.World, seed: int) -> None:
        from lerobot_motors.envs.rendering import Views  # it imports MuJoCo, which `main` reports

        self._arm = Arm(name)
        self._state = shown.state
        now = time.monotonic_ns()
        self._physics = Physics(self._arm.joints(), now)
        memory.sweep(name)
        self._views = Views(self._physics.model, memory.camera_folder(name))
        self._looked = 0
        self._state["pid"], self._state["seed"] = os.getpid(), seed
        self._physics.place(scene.placement(seed))
        self._show(now)

    def serve(self) -> None:
        """Go on until nobody wants it any more."""
        try:
            self._go_on(os.getppid())
        finally:
            self._views.close()

    def _go_on(self, parent: int) -> None:
        while os.getppid() == parent:
            now = time.monotonic_ns()
            if now - self._looked >= LOOK:
                self._look(now)
                now = time.monotonic_ns()
            self._physics.follow(self._arm.joints(), now)
            self._obey()
            self._show(now)
            view = self._views.next()
            if view is not None and view.due <= now:
                view.render(self._physics.data, now)
            wait = NAP if view is None else min(max(view.due - time.monotonic_ns(), 0) / 1e9, NAP)
            if select.select([sys.stdin], [], [], wait)[0] and not os.read(sys.stdin.fileno(), 64):
                return

    def _look(self, now: int) -> None:
        self._arm.look()
        self._views.look(now)
        self._looked = now

    def _obey(self) -> None:
        orders = int(self._state["orders"])
        if orders != self._state["obeyed"]:
            self._physics.place(scene.placement(int(self._state["seed"])))
            self._state["obeyed"] = orders

    def _show(self, now: int) -> None:
        state, physics = self._state, self._physics
        state["arm"] = physics.data.qpos[:6]
        state["cube"] = physics.cube
        state["tip"] = physics.data.site("tip").xpos
        state["in_zone"] = physics.done
        state["skipped_ns"] = physics.skipped
        state["stamp"] = now


def main() -> None:
    """Serve one world; the parent reads `ready` from standard output, or what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m lerobot_motors.envs.world", description=__doc__)
    parser.add_argument("name", help="of the emulated arm")
    parser.add_argument("--seed", type=int, default=0, help="of the cube's first place")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if sys.platform == "linux":
        os.environ.setdefault("MUJOCO_GL", "egl")  # needs no screen
    os.nice(5)  # the loop that drives the arm goes first
    path = memory.world_file(options.name)
    shown = memory.World(path, create=True)
    try:
        try:
            world = World(options.name, shown, options.seed)
        except LeRobotError as problem:
            _say(str(problem))
            return
        except (ImportError, AttributeError, OSError) as failure:  # MuJoCo is missing, or what it draws with
            _say(
                f"MuJoCo with MUJOCO_GL={os.environ.get('MUJOCO_GL', '')} cannot be loaded: {failure}; "
                'pip install "lerobot-motors[sim]", apt install libegl1 libgl1-mesa-dri'
            )
            return
        _say("ready")
        world.serve()
    finally:
        path.unlink(missing_ok=True)


def _say(line: str) -> None:
    sys.stdout.write(line.replace("\n", " ") + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
