"""Pictures of the demo's scene: a table, a board, the arm and the goal, through a pinhole camera. *Pure* numpy, no OpenGL.

The same view, seed, pose and goal always give the same picture. A picture of 64 x 48 takes well below a millisecond.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lerobot_motors.demo import scene


class View(NamedTuple):
    """Where a camera stands and looks [m], and how wide it sees [deg]."""

    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    width_deg: float


VIEWS = {
    "front": View((0.42, 0.0, 0.50), (0.225, 0.0, 0.02), 37.0),
    "side": View((0.56, -0.46, 0.42), (0.15, 0.0, 0.08), 44.0),
}

#: (radius [m], colour) of pedestal, upper arm, forearm, tool
_LINKS = (
    (0.026, (120, 124, 132)),
    (0.016, (242, 176, 60)),
    (0.014, (248, 192, 82)),
    (0.008, (232, 234, 238)),
)
_TIP = (0.008, (45, 120, 250))
_GOAL = (0.018, (232, 52, 58))
#: The goal glows this far [m], with this strength at its rim: near goals look alike, which few examples can be learned from.
_GLOW = (0.05, 0.8)
_TABLE, _BOARD, _SQUARES = (44, 47, 54), (74, 79, 88), 0.04
_GRAIN = 1.5


class Painter:
    """Draws the scene from one view at one size.

    Args:
        view: key of VIEWS.
        width: of the picture [px].
        height: of the picture [px].
        seed: of the grain of the table.
    """

    def __init__(self, view: str, width: int, height: int, seed: int = 0) -> None:
        eye, target, degrees = VIEWS[view]
        self._eye = np.array(eye)
        forward = np.array(target) - self._eye
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        self._axes = np.stack([right, np.cross(forward, right), forward])  # rows: right, down, forward
        self._focal = width / 2 / np.tan(np.radians(degrees) / 2)
        self._middle = np.array([width / 2, height / 2])
        column, row = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        self._column, self._row = column.astype(np.float32), row.astype(np.float32)
        self._ground = self._board_under(column, row)
        self._table = self._paint_table(np.random.default_rng(seed))

    def draw(self, joints: np.ndarray, goal: np.ndarray | None) -> np.ndarray:
        """The picture (H, W, 3) uint8 of the arm at joints (6,) with the goal (3,) [m]; None hides it."""
        picture = self._table.copy()
        body = np.concatenate([np.zeros((1, 3)), scene.points(joints)])
        body[0, :2] = body[1, :2]  # the pedestal stands under the shoulder
        seen = self._project(body)
        for index, (radius, colour) in enumerate(_LINKS):
            self._capsule(picture, seen[index], seen[index + 1], radius, colour)
        if goal is not None:
            self._disc(picture, goal, self._project(goal[None])[0, 2])
        self._capsule(picture, seen[4], seen[4] + [1e-3, 0, 0], *_TIP)
        return np.clip(picture, 0, 255).astype(np.uint8)

    def _board_under(self, column: np.ndarray, row: np.ndarray) -> np.ndarray:
        """The place (2, H, W) [m] at the board's height that each pixel sees; far away above the horizon."""
        ray = np.stack([column, row], -1) - self._middle
        ray = np.concatenate([ray / self._focal, np.ones_like(column)[..., None]], -1) @ self._axes
        down = np.minimum(ray[..., 2], -1e-6)
        along = (scene.BOARD_Z - self._eye[2]) / down
        return (self._eye[:2] + along[..., None] * ray[..., :2]).transpose(2, 0, 1).astype(np.float32)

    def _paint_table(self, random: np.random.Generator) -> np.ndarray:
        x, y = self._ground
        margin = 0.02
        inside = (np.abs(x - np.mean(scene.BOARD_X)) < np.ptp(scene.BOARD_X) / 2 + margin) & (
            np.abs(y) < scene.BOARD_Y[1] + margin
        )
        square = (np.floor(x / _SQUARES) + np.floor(y / _SQUARES)) % 2
        picture = np.where(inside[..., None], np.array(_BOARD) + 8 * square[..., None], np.array(_TABLE))
        return (picture + random.normal(0, _GRAIN, (*x.shape, 1))).astype(np.float32)

    def _project(self, places: np.ndarray) -> np.ndarray:
        """Column and row [px] and depth [m] (N, 3) of places (N, 3) [m]."""
        local = (places - self._eye) @ self._axes.T
        return np.concatenate([local[:, :2] / local[:, 2:] * self._focal + self._middle, local[:, 2:]], -1)

    def _capsule(
        self, picture: np.ndarray, start: np.ndarray, end: np.ndarray, radius: float, colour: tuple[int, int, int]
    ) -> None:
        """Blend in a rod between two projected places; its edge is one pixel soft."""
        along = (end - start)[:2]
        column, row = self._column - start[0], self._row - start[1]
        share = np.clip((column * along[0] + row * along[1]) / max(float(along @ along), 1e-9), 0, 1)
        distance = np.hypot(column - share * along[0], row - share * along[1])
        depth = start[2] + share * (end[2] - start[2])
        _blend(picture, radius * self._focal / depth + 0.5 - distance, colour)

    def _disc(self, picture: np.ndarray, goal: np.ndarray, depth: float) -> None:
        radius, colour = _GOAL
        distance = np.hypot(self._ground[0] - goal[0], self._ground[1] - goal[1])
        reach, strength = _GLOW
        _blend(picture, strength * (1 - distance / reach), colour)
        _blend(picture, (radius - distance) * self._focal / depth + 0.5, colour)


def _blend(picture: np.ndarray, cover: np.ndarray, colour: tuple[int, int, int]) -> None:
    share = np.clip(cover, 0, 1)[..., None]
    picture += share * (np.array(colour, np.float32) - picture)
