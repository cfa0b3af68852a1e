"""The published package's own buses work with our emulated servos: `LR_PEER_PYTHON` names its interpreter.

That environment needs lerobot with `feetech-servo-sdk`, `dynamixel-sdk` and `deepdiff`; `LR_PEER_PATH` is a folder with more.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from lerobot_motors import emulators

PEER, PEER_PATH = os.environ.get("LR_PEER_PYTHON", ""), os.environ.get("LR_PEER_PATH", "")
SCRIPT = Path(__file__).parents[1] / "interop" / "motors.py"
MODELS = {"so101": [777] * 6, "koch": [1060, 1060, 1200, 1200, 1200, 1200]}

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.usefixtures("emulator_folder"),
    pytest.mark.skipif(not PEER, reason="LR_PEER_PYTHON names no interpreter with the published package"),
]


@pytest.mark.parametrize(("chain", "kind"), [("so101", "feetech"), ("koch", "dynamixel")])
def test_connect_calibrate_read_and_write(chain: str, kind: str) -> None:
    emulator = emulators.open_port(f"emulated://{chain}")
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env |= {"PYTHONPATH": PEER_PATH} if PEER_PATH else {}
    run = subprocess.run(
        [PEER, "-W", "ignore", SCRIPT, kind, emulator.path],
        env=env, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    emulator.close()
    assert run.returncode == 0, run.stderr[-2000:]
    told = json.loads(run.stdout.splitlines()[-1])
    assert list(told["found"].values()) == MODELS[chain]
    assert told["connected"]
    assert told["calibrated"]
    assert all(abs(place - 2047) <= 1 for place in told["middle"].values()), "half a turn, as the offsets say"
    assert all(abs(told["end"][name] - goal) < 1 for name, goal in told["goals"].items())
