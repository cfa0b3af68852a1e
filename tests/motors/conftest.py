"""Emulated arms and the commands for the tests of this folder, in a folder of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lerobot_core.cli.program import lr
from lerobot_core.testing.fixtures import PrivateHost
from lerobot_motors import catalogue, plugin
from lerobot_motors.buses.feetech.bus import FeetechBus
from lerobot_motors.buses.feetech.config import FeetechConfig


@pytest.fixture
def emulator_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Emulators started from here on are none of the developer's."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("HF_LEROBOT_CALIBRATION", raising=False)
    return tmp_path


@pytest.fixture
def make_bus(emulator_folder: Path) -> Iterator[Callable[..., FeetechBus]]:
    """A bus with the six motors of an SO-101 on an emulated port, connected and calibrated from the servos."""
    with ExitStack() as stack:

        def make(port: str = "emulated://so101", *, connect: bool = True, slack_ms: float | None = None) -> FeetechBus:
            bus = FeetechBus(
                FeetechConfig(
                    port=port, motors=catalogue.SO_FOLLOWER.in_units(use_degrees=True).motors, slack_ms=slack_ms
                )
            )
            stack.callback(bus.disconnect, disable_torque=False)
            if connect:
                bus.connect(handshake=False)
            return bus

        yield make


@pytest.fixture
def commands(host: PrivateHost, emulator_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`lr` with lerobot-motors and the toys and nothing else installed."""
    host.add(plugin, "motors", "lerobot-motors")
    host.add_file(Path(__file__).with_name("toys.py"))
    monkeypatch.chdir(emulator_folder)
    return lambda *args: lr.main(list(args), prog_name="lr", standalone_mode=False)
