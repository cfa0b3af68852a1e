"""What lies in the folder in which a mistake is made: recorded datasets and checkpoints, files, ports, a taken socket."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

DATA = Path(__file__).parents[2] / "data"

SetUp = Callable[[Path], object]
"""Puts something into the folder; what it returns is kept open while the command runs."""


def copied(source: str, name: str) -> SetUp:
    """A copy of recorded data."""
    return lambda folder: shutil.copytree(DATA / source, folder / name)


demos = copied("datasets/state_env", "demos")
clips = copied("datasets/video2", "clips")
act = copied("policies/act_vae_env", "act")


def run(folder: Path) -> None:
    """A finished training run with one checkpoint."""
    shutil.copytree(DATA / "train_checkpoint/step_000004", folder / "run/checkpoints/000004")
    (folder / "run/checkpoints/last").symlink_to("000004")


def text(name: str, content: str = "") -> SetUp:
    """A text file."""

    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)

    return write


def empty(name: str) -> SetUp:
    """An empty folder."""
    return lambda folder: (folder / name).mkdir()


def without(name: str) -> SetUp:
    """A file that is no longer there."""
    return lambda folder: (folder / name).unlink()


def cut(name: str, size: int) -> SetUp:
    """A file of which only the beginning is there [bytes]."""
    return lambda folder: os.truncate(folder / name, size)


def mode(name: str, bits: int) -> SetUp:
    """A file or folder with these permission bits."""
    return lambda folder: (folder / name).chmod(bits)


def film(folder: Path) -> None:
    """A video of 128 x 96 pixels."""
    shutil.copy(DATA / "datasets/video2/videos/observation.images.front/chunk-000/file-000.mp4", folder / "film.mp4")


def changed(name: str, old: str, new: str) -> SetUp:
    """A text file with something replaced."""

    def write(folder: Path) -> None:
        before = (folder / name).read_text()
        assert old in before, f"'{old}' is not in {name}"
        (folder / name).write_text(before.replace(old, new))

    return write


def busy_port(folder: Path) -> object:
    """A serial port, named `port`, that another program has opened for itself."""
    controller, terminal = os.openpty()
    fcntl.flock(terminal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    (folder / "port").symlink_to(os.ttyname(terminal))
    return os.fdopen(controller, "rb", 0), os.fdopen(terminal, "rb", 0)


def silent_port(folder: Path) -> object:
    """A serial port, named `port`, with nothing at the other end."""
    controller, terminal = os.openpty()
    (folder / "port").symlink_to(os.ttyname(terminal))
    return os.fdopen(controller, "rb", 0), os.fdopen(terminal, "rb", 0)


def taken(number: int) -> SetUp:
    """A TCP port on which another program listens and says nothing."""

    def listen(folder: Path) -> object:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", number))
        listener.listen()
        return listener

    return listen


JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")


def calibration(*joints: str) -> SetUp:
    """The calibration file `blue.json` of an arm with these joints."""
    rows = {
        joint: {"id": number, "drive_mode": 0, "homing_offset": 0, "range_min": 1000, "range_max": 3000}
        for number, joint in enumerate(joints, 1)
    }
    return text("blue.json", json.dumps(rows))


TWO_JOINTS = """
import attrs
from lerobot_core.components import Component, hookimpl

@attrs.frozen(kw_only=True)
class Config:
    \"\"\"A leader of two joints.\"\"\"

class Leader:
    name = "two_joints"
    action_features = {"left.pos": float, "right.pos": float}
    feedback_features = {}
    is_connected = is_calibrated = True
    def __init__(self, config): pass
    def connect(self, calibrate=True): pass
    def calibrate(self): pass
    def configure(self): pass
    def get_action(self): return {"left.pos": 0.0, "right.pos": 0.0}
    def send_feedback(self, feedback): pass
    def disconnect(self): pass

@hookimpl
def lr_teleoperators():
    return [Component("two_joints", "two_joints:Config", "two_joints:Leader", "A leader of two joints")]
"""
