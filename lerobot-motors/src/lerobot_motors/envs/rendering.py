"""Pictures of a world for the cameras that look at it, without a screen. Imports MuJoCo."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import mujoco

from lerobot_motors import shared_file
from lerobot_motors.envs import memory, scene
from lerobot_motors.envs.memory import Ring

#: What MuJoCo raises where there is no OpenGL, or none of the kind that MUJOCO_GL asks for.
NO_GL = (ImportError, AttributeError, RuntimeError, OSError, mujoco.FatalError)


def no_gl(failure: Exception) -> str:
    """What to tell a person who has no OpenGL."""
    hint = (
        "apt install libegl1 libgl1-mesa-dri" if sys.platform == "linux" else "see MUJOCO_GL in MuJoCo's documentation"
    )
    return f"no OpenGL for MUJOCO_GL={os.environ.get('MUJOCO_GL', '')}: {failure}; {hint}"


class View:
    """One camera: its ring, its renderer and when its next picture is due [ns]."""

    def __init__(self, model: mujoco.MjModel, ring: Ring, now: int) -> None:
        self.ring = ring
        self.due = now
        self._name = scene.VIEWS[int(ring.state["view"])]
        self._period = round(1e9 / float(ring.state["fps"]))
        height, width, _ = ring.shape
        model.vis.global_.offwidth, model.vis.global_.offheight = width, height
        self._renderer = mujoco.Renderer(model, height, width)

    def render(self, data: mujoco.MjData, now: int) -> None:
        """Give the picture of this moment; those that were due before it are dropped and counted."""
        missed = (now - self.due) // self._period
        self.ring.state["dropped"] += missed
        self.due += (missed + 1) * self._period
        self._renderer.update_scene(data, camera=self._name)
        self.ring.put(self._renderer.render(), now)

    def close(self) -> None:
        self._renderer.close()
        self.ring.close()


class Views:
    """The cameras of a world, as they come and go."""

    def __init__(self, model: mujoco.MjModel, folder: Path) -> None:
        self._model, self._folder = model, folder
        self._views: dict[Path, View] = {}
        self._refused: set[Path] = set()

    def look(self, now: int) -> None:
        """Take the new cameras and let go of those whose owners are gone."""
        paths = set(self._folder.iterdir()) if self._folder.is_dir() else set()
        for path in [path for path in self._views if path not in paths or not shared_file.running(path)]:
            self._views.pop(path).close()
            path.unlink(missing_ok=True)
        for path in paths - self._views.keys() - self._refused:
            if (ring := _found(path)) is not None:
                self._take(path, ring, now)

    def next(self) -> View | None:
        """The one whose picture is due first."""
        return min(self._views.values(), key=lambda view: view.due, default=None)

    def close(self) -> None:
        for view in self._views.values():
            view.close()
        with contextlib.suppress(OSError):  # somebody asks for a picture just now, or nobody ever did
            self._folder.rmdir()

    def _take(self, path: Path, ring: Ring, now: int) -> None:
        try:
            self._views[path] = View(self._model, ring, now)
        except NO_GL as failure:
            ring.state["problem"] = no_gl(failure).encode()[:255]
            self._refused.add(path)
            ring.close()


def _found(path: Path) -> Ring | None:
    try:
        return memory.Ring.found(path)
    except FileNotFoundError:  # it went meanwhile
        return None
