"""Kinematics of a serial chain of joints from a URDF: where the end is, and which joints put it somewhere. *Pure* but for `load`.

Reads links, joints, origins, axes and limits, and nothing else of the format; shapes and masses are not looked at. Written
here because an arm needs so little of what the libraries for it bring, which is hundreds of megabytes.
Source: URDF XML specification; Siciliano et al., Robotics, 3.5.1 (priority of tasks) and 3.5.3 (damped least squares).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import attrs
import numpy as np

from lerobot_core.errors import DataError, did_you_mean

#: Damping of the least squares: the joints are slow where the arm is stretched, instead of fast [m, rad].
DAMPING = 1e-3
#: Length at which a turn counts like the way its end makes [m].
ARM = 0.1
#: Largest step of a joint in one iteration [rad].
STEP = 0.3
#: What counts as there: a tenth of what a servo of 4096 ticks can tell at an arm's length [m], [rad].
NEAR, TURNED = 2e-5, 1e-4


class Joint(NamedTuple):
    """A joint of the chain: fixed pose of its frame in the one before (4, 4), unit axis (3,), limits [rad]; no axis when fixed."""

    name: str
    origin: np.ndarray
    axis: np.ndarray | None
    low: float
    high: float


@attrs.frozen(kw_only=True, eq=False)
class Solution:
    """Joints (J,) [rad] nearest to what was asked, and how far their pose is from it [m], [rad]."""

    joints: np.ndarray
    distance: float
    angle: float

    @property
    def cost(self) -> float:
        """Both errors as one [m²]."""
        return self.distance**2 + (ARM * self.angle) ** 2


class Chain:
    """Joints in a row.

    Args:
        joints: from the base to the end.

    Attributes:
        names: the joints that move, from the base to the end.
        low: their lower limits (J,) [rad].
        high: their upper limits (J,) [rad].
    """

    def __init__(self, joints: list[Joint]) -> None:
        self._joints = joints
        moving = [joint for joint in joints if joint.axis is not None]
        self.names = [joint.name for joint in moving]
        self.low, self.high = np.array([joint.low for joint in moving]), np.array([joint.high for joint in moving])

    def forward(self, joints: np.ndarray) -> np.ndarray:
        """Pose of the end (4, 4) [m] for joints (J,) [rad]."""
        return self._frames(joints)[0]

    def jacobian(self, joints: np.ndarray) -> np.ndarray:
        """How the end moves per joint (6, J): velocity [m/rad], then rotation, both in the base frame."""
        end, axes, origins = self._frames(joints)
        return np.concatenate([np.cross(axes, end[:3, 3] - origins), axes], axis=1).T  # (J, 6) → (6, J)

    def inverse(self, pose: np.ndarray, start: np.ndarray, *, iterations: int = 40) -> Solution:
        """Joints within their limits that bring the end to a pose (4, 4), or as near as they can from `start` (J,) [rad].

        The place comes first: an arm with fewer than six joints turns as far as that leaves it free to.
        """
        start = self._rated(np.clip(np.asarray(start, float), self.low, self.high), pose)
        best = self._polished(pose, start, iterations)
        if best.distance > NEAR:
            best = min(best, self._polished(pose, self._compromise(pose, start, iterations), iterations), key=_place)
        return best

    def _polished(self, pose: np.ndarray, best: Solution, iterations: int) -> Solution:
        """The place exactly, the turn as far as it goes, by steps along the slope: right wherever the start is near."""
        for _ in range(iterations):
            if best.distance < NEAR and best.angle < TURNED:
                break
            joints = np.clip(best.joints + self._step(best.joints, pose), self.low, self.high)
            found = self._rated(joints, pose)
            nearer = found.distance < best.distance - NEAR / 10
            if not nearer and not (found.distance < NEAR and found.angle < best.angle - TURNED / 10):
                break
            best = found
        return best

    def _compromise(self, pose: np.ndarray, best: Solution, iterations: int) -> Solution:
        """Place and turn together, each step an improvement: Levenberg and Marquardt's way, which gets past bad poses."""
        damping = DAMPING
        weight = np.array([1.0, 1.0, 1.0, *[ARM] * 3])[:, None]
        for _ in range(iterations):
            if best.distance < NEAR and best.angle < TURNED:
                break
            jacobian, error = weight * self.jacobian(best.joints), weight[:, 0] * self._error(best.joints, pose)
            pull = jacobian.T @ error
            stuck = ((best.joints >= self.high) & (pull > 0)) | ((best.joints <= self.low) & (pull < 0))
            jacobian = jacobian * ~stuck
            step = np.linalg.solve(jacobian.T @ jacobian + damping * np.eye(len(self.names)), jacobian.T @ error)
            found = self._rated(np.clip(best.joints + step.clip(-STEP, STEP), self.low, self.high), pose)
            gained = best.cost - found.cost
            damping = max(damping / 5, 1e-8) if gained > 0 else damping * 10
            if gained > 0:
                best = found
            if gained < 1e-3 * best.cost and (gained > 0 or damping > 1.0):
                break
        return best

    def _step(self, joints: np.ndarray, pose: np.ndarray) -> np.ndarray:
        """One step (J,) [rad] towards a pose; joints at a limit that would go beyond it stand still."""
        jacobian, error = self.jacobian(joints), self._error(joints, pose)
        free = np.ones(len(joints), bool)
        for _ in joints:
            step = _prioritised(jacobian * free, error)
            beyond = free & (((joints >= self.high) & (step > 0)) | ((joints <= self.low) & (step < 0)))
            if not beyond.any():
                break
            free &= ~beyond
        largest = float(np.abs(step).max())
        return step * min(1.0, STEP / largest) if largest else step

    def _error(self, joints: np.ndarray, pose: np.ndarray) -> np.ndarray:
        """What is missing to a pose (6,): way [m], then turn [rad], in the base frame."""
        end = self.forward(joints)
        return np.concatenate([pose[:3, 3] - end[:3, 3], rotation_vector(pose[:3, :3] @ end[:3, :3].T)])

    def _rated(self, joints: np.ndarray, pose: np.ndarray) -> Solution:
        error = self._error(joints, pose)
        return Solution(
            joints=joints, distance=float(np.linalg.norm(error[:3])), angle=float(np.linalg.norm(error[3:]))
        )

    def _frames(self, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pose of the end (4, 4); axes (J, 3) and origins (J, 3) of the moving joints, in the base frame."""
        pose, values, axes, origins = np.eye(4), iter(np.asarray(joints, float)), [], []
        for joint in self._joints:
            pose = pose @ joint.origin
            if joint.axis is None:
                continue
            axes.append(pose[:3, :3] @ joint.axis)
            origins.append(pose[:3, 3])
            turned = np.eye(4)
            turned[:3, :3] = rotation(joint.axis * next(values))
            pose = pose @ turned
        return pose, np.array(axes), np.array(origins)


def _place(solution: Solution) -> float:
    return solution.distance


def _prioritised(jacobian: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Step (J,) that mends the place, and of the turn what the place leaves free."""
    place, turn = jacobian[:3], jacobian[3:]
    to_place = _damped(place)
    step = to_place @ error[:3]
    free = np.eye(jacobian.shape[1]) - np.linalg.pinv(place, rcond=1e-4) @ place
    return step + free @ (_damped(turn @ free) @ (error[3:] - turn @ step))


def _damped(jacobian: np.ndarray) -> np.ndarray:
    """Damped least-squares inverse (J, 3) of (3, J)."""
    return jacobian.T @ np.linalg.inv(jacobian @ jacobian.T + DAMPING**2 * np.eye(3))


def rotation(vector: np.ndarray) -> np.ndarray:
    """Rotation matrix (3, 3) of a rotation vector (3,) [rad]: Rodrigues' formula."""
    angle = math.sqrt(float(vector @ vector))
    x, y, z = vector
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    first = math.sin(angle) / angle if angle > 1e-6 else 1.0
    second = (1 - math.cos(angle)) / angle**2 if angle > 1e-4 else 0.5
    return np.eye(3) + first * cross + second * cross @ cross


def rotation_vector(matrix: np.ndarray) -> np.ndarray:
    """Rotation vector (3,) [rad] of a matrix (3, 3), its angle from 0 to π; by way of the quaternion, which has no bad angle."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    candidates = np.array(
        [  # each row is the quaternion (w, x, y, z) times four of one of its parts (Shepperd 1978)
            [1 + a + e + i, h - f, c - g, d - b],
            [h - f, 1 + a - e - i, b + d, c + g],
            [c - g, b + d, 1 - a + e - i, f + h],
            [d - b, c + g, f + h, 1 - a - e + i],
        ]
    )
    best = candidates[int(np.argmax(np.diag(candidates)))]
    w, *axis = best / np.linalg.norm(best)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-12:
        return np.zeros(3)
    angle = 2 * math.atan2(sine, abs(w))
    return np.array(axis) * math.copysign(angle / sine, w)


def load(urdf: str, frame: str) -> Chain:
    """The chain from the base of a URDF to one of its links.

    Args:
        urdf: path of the file, or the name of one that comes with this distribution: so101.
        frame: the link at the end.

    Raises:
        DataError: no such file or link, or a joint that does not turn.
    """
    shipped = resources.files("lerobot_motors.processors") / f"{urdf}.urdf"
    place = Path(urdf) if "/" in urdf or urdf.endswith(".urdf") else shipped
    try:
        text = place.read_text()
    except OSError as error:
        raise DataError(
            f"'{urdf}' is no file with a robot's description", path=urdf, hint="give the path of a .urdf file, or so101"
        ) from error
    try:
        return parse(text, frame)
    except (ElementTree.ParseError, ValueError, KeyError) as error:
        raise DataError(f"'{urdf}': {error}", path=urdf, hint="this is no URDF that can be used") from error


def parse(text: str, frame: str) -> Chain:
    """The chain from the base to a link of a URDF.

    Raises:
        ParseError, ValueError, KeyError: it is no URDF, has no such link, or has a joint that slides.
    """
    above = {
        _link(element, "child"): element
        for element in ElementTree.fromstring(text).iter("joint")
        if element.find("child") is not None
    }
    if frame not in above:
        raise ValueError(
            f"it has no link '{frame}'{did_you_mean(frame, above)} (at the end of a joint: {', '.join(above)})"
        )
    return Chain(list(_upwards(above, frame))[::-1])


def _upwards(above: dict[str, ElementTree.Element], link: str) -> Iterator[Joint]:
    for _ in above:  # no more than there are, whatever circle the file makes
        if link not in above:
            return
        element = above[link]
        yield _joint(element)
        link = _link(element, "parent")
    if link in above:
        raise ValueError("its links form a circle")


def _link(element: ElementTree.Element, end: str) -> str:
    found = element.find(end)
    return "" if found is None else found.attrib["link"]


def _joint(element: ElementTree.Element) -> Joint:
    name, kind = element.attrib["name"], element.attrib["type"]
    origin = np.eye(4)
    if (place := element.find("origin")) is not None:
        origin[:3, 3] = _numbers(place, "xyz", "0 0 0")
        roll, pitch, yaw = np.eye(3) * _numbers(place, "rpy", "0 0 0")[:, None]
        origin[:3, :3] = rotation(yaw) @ rotation(pitch) @ rotation(roll)
    if kind == "fixed":
        return Joint(name, origin, None, 0.0, 0.0)
    if kind not in ("revolute", "continuous"):
        raise ValueError(f"joint '{name}' is {kind}; only joints that turn are understood")
    along = element.find("axis")
    axis = np.array([1.0, 0.0, 0.0]) if along is None else _numbers(along, "xyz", "1 0 0")
    limit = element.find("limit") if kind == "revolute" else None
    low, high = (-math.pi, math.pi) if limit is None else (float(limit.attrib[end]) for end in ("lower", "upper"))
    if not low < high or not np.linalg.norm(axis) > 0:
        raise ValueError(f"joint '{name}' needs an axis and limits in order, got {axis.tolist()}, {low:g}, {high:g}")
    return Joint(name, origin, axis / np.linalg.norm(axis), low, high)


def _numbers(element: ElementTree.Element, key: str, default: str) -> np.ndarray:
    values = np.array([float(word) for word in element.get(key, default).split()])
    if values.shape != (3,) or not np.all(np.isfinite(values)):
        raise ValueError(f"'{element.get(key)}' are no three numbers for {key}")
    return values
