from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lerobot_motors import units

MODES = st.sampled_from(["degrees", "range_m100_100", "range_0_100"])
RANGES = st.tuples(st.integers(0, 2000), st.integers(2100, 4095))


@pytest.fixture(scope="module")
def golden(fixtures: Path) -> dict[str, Any]:
    return json.loads((fixtures / "misc" / "motors.json").read_text())


def test_positions_are_those_of_the_ecosystem(golden: dict[str, Any]) -> None:
    for case in golden["norm"]:
        ends = (case["min"], case["max"])
        inverted = bool(case["drive_mode"]) and case["apply_drive_mode"]
        for raw, value in case["normalize"]:
            assert units.to_user(raw, case["mode"], *ends, inverted=inverted) == pytest.approx(value, abs=1e-9)
        for value, raw in case["unnormalize"]:
            assert units.to_raw(value, case["mode"], *ends, inverted=inverted) == raw


def test_signed_registers_are_those_of_the_ecosystem(golden: dict[str, Any]) -> None:
    for value, bit, content in golden["sign_magnitude"]:
        assert units.encode_sign_magnitude(value, bit) == content
    for content, bit, value in golden["sign_magnitude_decode"]:
        assert units.decode_sign_magnitude(content, bit) == value


@given(mode=MODES, ends=RANGES, part=st.floats(0, 1), inverted=st.booleans())
def test_there_and_back_is_within_a_tick(mode: Any, ends: tuple[int, int], part: float, inverted: bool) -> None:
    raw = round(ends[0] + part * (ends[1] - ends[0]))
    value = units.to_user(raw, mode, *ends, inverted=inverted)
    assert abs(units.to_raw(value, mode, *ends, inverted=inverted) - raw) <= 1


@given(mode=st.sampled_from(sorted(units.SPANS)), ends=RANGES, value=st.floats(-1e6, 1e6), inverted=st.booleans())
def test_percentages_never_leave_the_range(mode: Any, ends: tuple[int, int], value: float, inverted: bool) -> None:
    assert ends[0] <= units.to_raw(value, mode, *ends, inverted=inverted) <= ends[1]


@given(bit=st.integers(1, 15), data=st.data())
def test_sign_magnitude_there_and_back(bit: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(-(2**bit) + 1, 2**bit - 1))
    assert units.decode_sign_magnitude(units.encode_sign_magnitude(value, bit), bit) == value


def test_what_cannot_be_converted_is_refused() -> None:
    with pytest.raises(ValueError, match="2047"):
        units.encode_sign_magnitude(-2048, 11)
    with pytest.raises(ValueError, match="both are 5"):
        units.to_user(3, "degrees", 5, 5)
