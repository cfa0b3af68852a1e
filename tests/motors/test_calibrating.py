"""Calibration by sweeping: every place an encoder's zero can be in, and what a person can do wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lerobot_core.errors import DeviceError
from lerobot_motors import calibrating, calibration, catalogue, emulators
from lerobot_motors.calibrating import LARGEST_OFFSET, Sweep, measure, place
from lerobot_motors.calibration import Calibration, Motor, MotorCalibration
from lerobot_motors.robots.arms import SoFollower
from lerobot_motors.robots.configs import SoFollowerConfig

TURN = 4096
TRAVELS = (300, 1250, 2274, 3600, TURN - 20)


def path(travel: int, seed: int = 0, step: int = 150) -> np.ndarray:
    """Ticks (T,) of a joint that starts somewhere, goes to both ends of its travel 0…travel, rests there, and comes back."""
    start, end = np.random.default_rng(seed).integers(0, travel + 1, 2)
    stops = (start, 0, travel, end)
    legs = [np.linspace(a, b, max(2, abs(b - a) // step)) for a, b in pairwise(stops)]
    return np.round(np.concatenate([part for leg in legs for part in (leg, leg[-1:].repeat(3))])).astype(int)


def swept(actual: np.ndarray, offset: int, sign: int) -> Sweep:
    """The sweep of what servos with an offset show of actual positions (T, J)."""
    sweep = Sweep([TURN] * actual.shape[1])
    for position in actual:
        present = (position + sign * offset) % TURN
        sweep.add(present - sign * offset)
    return sweep


@pytest.mark.parametrize("sign", [-1, 1], ids=["actual − offset", "actual + offset"])
@pytest.mark.parametrize("way", [-1, 1], ids=["ticks fall", "ticks rise"])
@pytest.mark.parametrize("travel", TRAVELS)
def test_the_travel_is_found_wherever_the_encoders_zero_is(travel: int, way: int, sign: int) -> None:
    """All 4096 places of the zero, offsets of a former calibration, backlash of a tick: within one tick of the truth."""
    zeros = np.arange(TURN)
    for seed, offset in enumerate((0, 85, -1250, 2047, -2047)):
        moved = way * path(travel, seed)
        backlash = (
            np.random.default_rng(seed).integers(-1, 2, (len(moved), 1)) * (np.diff(moved, prepend=0) != 0)[:, None]
        )
        actual = moved[:, None] + backlash + zeros
        found = place(swept(actual, offset, sign), np.zeros(TURN, bool), np.full(TURN, sign))
        assert abs(found.offset).max() <= LARGEST_OFFSET
        assert abs(found.high - found.low - travel).max() <= 2, "a tick at either end"
        assert (found.low >= 0).all()
        assert (found.high < TURN).all()
        ends = np.sort(np.stack([zeros, zeros + way * travel]), axis=0)
        shown = (ends + sign * found.offset) % TURN
        assert abs(shown[0] - found.low).max() <= 1
        assert abs(shown[1] - found.high).max() <= 1
        everywhere = (np.sort(moved)[:, None] + zeros + sign * found.offset) % TURN
        assert (np.diff(everywhere, axis=0) >= 0).all(), "no wrap within the travel"


@pytest.mark.parametrize("seed", range(4))
def test_a_wrong_reading_now_and_then_leaves_no_trace(seed: int) -> None:
    chance, moved = np.random.default_rng(seed), path(2200, seed)
    actual = moved[:, None] + np.arange(0, TURN, 64)
    clean = swept(actual, 0, -1)
    where = np.arange(seed, len(moved), 7)
    actual[where] = chance.integers(0, TURN, (len(where), actual.shape[1]))
    sweep = swept(actual, 0, -1)
    assert (sweep.travel - clean.travel <= 0).all()
    assert (clean.travel - sweep.travel).max() <= 150, "no more than a step, and that only where the end was spoilt"
    assert sweep.wrong.sum() > 0.5 * where.size * actual.shape[1]
    assert not sweep.leaps.any()


def test_a_joint_that_turns_all_the_way_round_is_noticed() -> None:
    sweep = swept(path(3 * TURN)[:, None] + np.arange(0, TURN, 64), 0, -1)
    found = place(sweep, np.zeros(64, bool), np.full(64, -1))
    assert found.whole.all()
    assert (found.low == 0).all()
    assert (found.high == TURN - 1).all()
    assert abs((sweep.now - found.offset) % TURN - 2047).max() <= 1, "it reads half a turn where it was left"


def test_a_full_turn_joint_reads_half_a_turn_where_it_was_left() -> None:
    zeros = np.arange(TURN)
    still = place(swept(np.tile(zeros, (4, 1)), 0, -1), np.ones(TURN, bool), np.full(TURN, -1))
    assert abs((zeros - still.offset) % TURN - 2047).max() <= 1
    far = np.concatenate(
        [path(3800), [3800] * 3]
    )  # left at its end: half a turn there would have the wrap in its travel
    moved = far[:, None] + zeros
    found = place(swept(moved, 0, -1), np.ones(TURN, bool), np.full(TURN, -1))
    assert (np.diff((np.sort(far)[:, None] + zeros - found.offset) % TURN, axis=0) >= 0).all()


def test_leaps_are_counted() -> None:
    sweep = swept(np.array([[0], [0], [0], [1800], [1800], [1800]]), 0, -1)
    assert sweep.leaps.tolist() == [1]


# --- the procedure ----------------------------------------------------------------------------------------------------


class Registers:
    def __init__(self, registers: Sequence[str]) -> None:
        self.registers = registers


class Bus:
    """Joints that are where a script of actual positions has them, one set per reading."""

    def __init__(
        self, script: Iterator[Mapping[str, int]], offsets: Mapping[str, int], registers: Sequence[str]
    ) -> None:
        self.script, self.offsets, self.calibration = script, offsets, {}
        self.family = type("F", (), {"models": {"m": Registers(registers)}, "offset_sign": -1})
        self.servos: Calibration = {}

    def resolution(self, name: str) -> int:
        return TURN

    def sync_read(self, register: str, names: Sequence[str] | None = None, **options: Any) -> dict[str, float]:
        if register == "Homing_Offset":
            return dict(self.offsets)
        at = next(self.script)
        return {name: (value - self.offsets.get(name, 0)) % TURN for name, value in at.items()}

    def read_calibration(self) -> Calibration:
        return dict(self.servos)

    def write_calibration(self, calibration: Calibration) -> None:
        self.servos = self.calibration = dict(calibration)


class Person:
    """Presses ENTER after as many looks as told."""

    def __init__(self, looks: int) -> None:
        self.left, self.lines, self.ended, self.asked = looks, [], False, ""

    def watch(self, text: str) -> None:
        self.asked = text

    def show(self, lines: Sequence[str]) -> None:
        self.lines = lines

    def done(self) -> bool:
        self.left -= 1
        return self.left <= 0

    def end(self) -> None:
        self.ended = True


@pytest.fixture
def sweep_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Calibration, Person, Bus]]:
    monkeypatch.setattr(calibrating, "PERIOD", 0.0)

    def run(
        travels: Mapping[str, int], *, offset: int = -413, registers: Sequence[str] = ("Homing_Offset",), **options: Any
    ) -> tuple[Calibration, Person, Bus]:
        paths = [path(travel) if travel else np.zeros(len(path(2000)), int) for travel in travels.values()]
        looks = max(map(len, paths))
        sets = [np.pad(one, (0, looks - len(one)), "edge") for one in paths]
        script = ({name: 3900 + int(one[at]) for name, one in zip(travels, sets, strict=True)} for at in range(looks))
        bus = Bus(script, dict.fromkeys(travels, offset) if registers else {}, registers)
        motors = {name: Motor(id=number, model="m") for number, name in enumerate(travels, 1)}
        person = Person(looks)
        return measure(bus, motors, ("roll",), person, **options), person, bus

    return run


def test_a_sweep_across_the_zero_is_a_calibration(sweep_of: Callable[..., Any]) -> None:
    found, person, _ = sweep_of({"pan": 2274, "roll": 0})
    pan = found["pan"]
    assert (pan.id, pan.range_max - pan.range_min) == (1, 2274)
    assert (3900 - pan.homing_offset) % TURN == pan.range_min
    assert (found["roll"].range_min, found["roll"].range_max) == (0, TURN - 1)
    assert person.ended
    assert "leave roll in the middle" in person.asked


def test_the_table_says_what_is_missing(sweep_of: Callable[..., Any]) -> None:
    person = Person(4)
    bus = Bus(({"pan": place} for place in (10, 10, 20, 110)), {"pan": 0}, ("Homing_Offset",))
    with pytest.raises(DeviceError, match=r"not moved far enough: pan \(10 of at least 1137 ticks\)"):
        measure(bus, {"pan": Motor(id=1, model="m")}, (), person, expected={"pan": 2274})
    assert "move on: 1127 to go" in person.lines[1]
    assert person.ended


def test_joints_that_stood_still_are_all_named_and_full_turns_need_not_move(sweep_of: Callable[..., Any]) -> None:
    with pytest.raises(DeviceError, match=r"far enough: pan \(0 of at least 256 ticks\), lift \(100 of") as caught:
        sweep_of({"pan": 0, "lift": 100, "roll": 0})
    assert "nothing was changed" in caught.value.hint


def test_servos_without_an_offset_need_their_zero_outside_the_travel(sweep_of: Callable[..., Any]) -> None:
    found, _, _ = sweep_of({"finger": 150}, registers=(), expected={"finger": 200})
    assert found["finger"] == MotorCalibration(id=1, range_min=3900, range_max=4050)
    with pytest.raises(DeviceError, match="zero of the encoder lies within the travel of finger"):
        sweep_of({"finger": 700}, registers=())


def test_an_interrupted_sweep_gives_the_screen_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> Iterator[Mapping[str, int]]:
        yield {"pan": 0}
        raise KeyboardInterrupt

    person, bus = Person(9), Bus(stop(), {"pan": 0}, ("Homing_Offset",))
    with pytest.raises(KeyboardInterrupt):
        measure(bus, {"pan": Motor(id=1, model="m")}, (), person)
    assert person.ended
    assert not bus.servos


PAN = MotorCalibration(id=1, homing_offset=85, range_min=796, range_max=3298)


@pytest.mark.parametrize("broken", ["servos", "file"])
def test_what_cannot_be_stored_leaves_servos_and_file_as_they_were(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus, new = Bus(iter(()), {}, ()), {"pan": MotorCalibration(id=1, range_min=1, range_max=2)}
    bus.write_calibration({"pan": PAN})
    calibration.save({"pan": PAN}, tmp_path / "arm.json")
    write = bus.write_calibration

    def interrupted(values: Calibration) -> None:
        write(values)
        if values == new:
            raise KeyboardInterrupt

    if broken == "servos":
        monkeypatch.setattr(bus, "write_calibration", interrupted)
    else:
        monkeypatch.setattr(calibration, "save", lambda *_: 1 / 0)
    with pytest.raises((KeyboardInterrupt, ZeroDivisionError)):
        calibrating.store(bus, new, tmp_path / "arm.json")
    assert bus.servos == bus.calibration == {"pan": PAN}
    assert calibration.load(tmp_path / "arm.json") == {"pan": PAN}


@pytest.mark.parametrize(
    ("file", "at", "told"),
    [
        ({"pan": PAN}, 2000.0, []),
        ({"pan": PAN}, 3340.0, []),
        ({"pan": PAN}, 3400.0, ["'pan' stands at 3400, its range is 796 to 3298"]),
        ({}, 2000.0, ["there is no calibration file"]),
        ({"pan": MotorCalibration(id=1, range_min=796, range_max=3298)}, 2000.0, ["'pan' is (85, 796, 3298), the file says (0, 796, 3298)"]),
    ],
)  # fmt: skip
def test_a_calibration_is_judged_by_the_servos_and_by_the_pose(file: Calibration, at: float, told: list[str]) -> None:
    assert calibrating.findings(file, {"pan": PAN}, {"pan": at}) == told


class Hand(Person):
    """Moves every joint of an emulated arm through the places told, past its encoder's zero too, and presses ENTER."""

    def __init__(self, places: Sequence[float]) -> None:
        super().__init__(0)
        self.places = [place for place in places for _ in range(3)]

    def ask(self, text: str) -> str:
        return "c"

    def done(self) -> bool:
        state = emulators.state()
        if not self.places:
            state.hand[:] = np.nan  # else it would go where the new offset has that place
            return True
        place = self.places.pop(0)
        state.hand[:] = place
        deadline = time.monotonic() + 5
        while abs(state.positions - place).max() > 0.5 and time.monotonic() < deadline:
            time.sleep(0.002)
        return False


def test_an_arm_whose_travel_holds_the_zero_moves_as_one_without(emulator_folder: Path) -> None:
    """The emulated registers go 4095 → 0 in the middle of every sweep."""
    config = SoFollowerConfig(port="emulated://so101", id="mine", calibration_dir=emulator_folder)
    arm = SoFollower(config, prompt=Hand([3000, 4000, 5000, 4000, 3000, 4000]))
    arm.connect()
    arm.calibrate()
    places = {place.range_max - place.range_min for name, place in arm.bus.calibration.items() if name != "wrist_roll"}
    assert places == {2000}
    assert arm.is_calibrated
    assert not calibrating.check(arm.bus)
    seen = arm.get_observation()
    assert [seen[f"{joint}.pos"] for joint in catalogue.SIX[:4]] == pytest.approx([0.0] * 4, abs=0.1), "in the middle"
    assert seen["gripper.pos"] == pytest.approx(50, abs=0.1)
    arm.disconnect()
