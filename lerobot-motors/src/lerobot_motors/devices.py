"""What `lr info` says of devices: serial ports and cameras that this machine has."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from lerobot_motors.buses import serial_ports


def found() -> dict[str, list[str] | str]:
    """Serial ports with a device, camera devices (Linux names them in /dev), and whether OpenCV is there to read them."""
    return {
        "serial ports": serial_ports.found(),
        "cameras": sorted(str(path) for path in Path("/dev").glob("video*")),
        "opencv": "installed"
        if importlib.util.find_spec("cv2")
        else 'not installed: pip install "lerobot-motors[opencv]"',
        "simulation": "MuJoCo installed"
        if importlib.util.find_spec("mujoco")
        else 'not installed: pip install "lerobot-motors[sim]"',
    }
