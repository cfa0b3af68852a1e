from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_core.errors import DataError
from lerobot_motors import calibration
from lerobot_motors.calibration import MotorCalibration

PAN = MotorCalibration(id=1, homing_offset=-85, range_min=796, range_max=3298)
TEXT = """{
    "shoulder_pan": {
        "id": 1,
        "drive_mode": 0,
        "homing_offset": -85,
        "range_min": 796,
        "range_max": 3298
    }
}"""


def test_the_file_is_the_ecosystems(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "arm.json"
    calibration.save({"shoulder_pan": PAN}, path)
    assert path.read_text() == TEXT
    assert calibration.load(path) == {"shoulder_pan": PAN}
    assert [file.name for file in path.parent.iterdir()] == ["arm.json"]


def test_the_folder_is_the_ecosystems(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_LEROBOT_CALIBRATION", raising=False)
    expected = home / "hf" / "lerobot" / "calibration" / "robots" / "so_follower"
    assert calibration.directory("robots", "so_follower") == expected
    monkeypatch.setenv("HF_LEROBOT_CALIBRATION", str(tmp_path))
    assert calibration.directory("teleoperators", "so_leader") == tmp_path / "teleoperators" / "so_leader"
    assert calibration.directory("robots", "so_follower", tmp_path / "mine") == tmp_path / "mine"


@pytest.mark.parametrize("text", ["{", '{"pan": {"id": 1}}', "[1]", '{"pan": 3}'])
def test_a_broken_file_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "arm.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"arm\.json"):
        calibration.load(path)


@given(position=st.integers(0, 4095))
def test_homing_puts_the_present_position_half_way(position: int) -> None:
    assert position - calibration.half_turn_offset(position, 4096) == 2047


def test_differences_name_every_motor() -> None:
    other = MotorCalibration(id=1, homing_offset=0, range_min=796, range_max=3298)
    found = calibration.differences({"pan": PAN, "lift": PAN}, {"pan": other, "roll": PAN})
    assert [sentence.split("'")[1] for sentence in found] == ["roll", "lift", "pan"]
    inverted = MotorCalibration(id=1, drive_mode=1, homing_offset=-85, range_min=796, range_max=3298)
    assert calibration.differences({"pan": PAN}, {"pan": inverted}) == []
