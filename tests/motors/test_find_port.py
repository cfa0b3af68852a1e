from __future__ import annotations

import pytest
from click.testing import CliRunner

from lerobot_core.errors import DeviceError
from lerobot_motors.buses import serial_ports
from lerobot_motors.commands.find_port import find_port, vanished


def test_the_port_that_goes_is_the_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = iter([["/dev/ttyACM0", "/dev/ttyACM1"], ["/dev/ttyACM0", "/dev/ttyACM1"], ["/dev/ttyACM1"]])
    monkeypatch.setattr(serial_ports, "found", lambda: next(seen))
    result = CliRunner().invoke(find_port, input="\n", catch_exceptions=False)
    assert "the arm is on /dev/ttyACM0" in result.output


def test_nothing_plugged_in_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_ports, "found", list)
    with pytest.raises(DeviceError, match="no serial port"):
        CliRunner().invoke(find_port, catch_exceptions=False, standalone_mode=False)
    assert vanished(["a"], lambda: ["a"], patience=0.0) == []
