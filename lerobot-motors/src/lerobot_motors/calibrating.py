"""Calibration by sweeping: a person moves every joint through its travel, then the offsets are chosen.

An encoder reads a circle, and where its zero lies on it is chance: half the arms have it within the travel of some joint.
So the readings are unrolled while the joints move, and only then an offset is chosen with which the travel lies in the middle
of a turn and 4095 → 0 outside it. No pose has to be met beforehand and nothing is written before the end.

`Sweep`, `place` and `findings` are *pure* and work on all joints at once: J is the number of joints, positions are in ticks.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lerobot_core.errors import DeviceError
from lerobot_motors import calibration as calibrations
from lerobot_motors.calibration import Calibration, Motor, MotorCalibration
from lerobot_motors.prompt import Prompt

#: Pause between two looks at the joints [s].
PERIOD = 0.02
#: Largest magnitude of a homing offset: 11 bits beside the sign (STS3215 memory table, address 31) [ticks].
LARGEST_OFFSET = 2047
#: A joint that comes this close to a whole turn turns all the way round [ticks].
NEARLY_A_TURN = 16
#: Part of a turn a joint has to be moved by where its travel is not known, and part of the travel where it is.
LEAST_TURN, LEAST_TRAVEL = 1 / 16, 1 / 2
#: Farthest outside its range a joint can be while its calibration is still plausible [ticks].
MARGIN = 48
#: Cells of a joint's bar.
CELLS = 24

logger = logging.getLogger(__name__)


class Sweep:
    """Where joints have been, from the readings of their encoders, one set at a time.

    Of three readings in a row the one between the other two counts (those are the two farthest apart), so that a single wrong
    one leaves no trace.

    Args:
        turns: ticks per turn (J,).

    Attributes:
        low: lowest position (J,), unrolled.
        high: highest position (J,), unrolled.
        now: present position (J,), unrolled.
        wrong: readings left out (J,).
        leaps: steps too wide to tell their direction (J,).
    """

    def __init__(self, turns: Sequence[int]) -> None:
        self.turns = np.asarray(turns, np.int64)
        self.low, self.high, self.now, self.wrong, self.leaps = np.zeros((5, len(self.turns)), np.int64)
        self.ready = False
        self._recent: deque[np.ndarray] = deque(maxlen=3)

    def add(self, readings: Sequence[float]) -> None:
        """Readings of all joints (J,), any whole number of turns off."""
        self._recent.append(np.asarray(readings, np.int64) % self.turns)
        if len(self._recent) < 3:
            return
        first, middle, last = self._recent
        before, after, across = (abs(self._way(*ends)) for ends in ((first, middle), (middle, last), (first, last)))
        left_out = np.maximum(before, after) > across
        seen = np.where(left_out, np.where(before > after, last, first), middle)
        if not self.ready:
            self.ready = True
            self.now, self.low, self.high = seen.copy(), seen.copy(), seen.copy()
            return
        step = self._way(self.now, seen)
        self.now += step
        self.low, self.high = np.minimum(self.low, self.now), np.maximum(self.high, self.now)
        self.wrong += left_out & (np.minimum(before, after) * 16 > self.turns)
        self.leaps += abs(step) * 8 > self.turns * 3

    @property
    def travel(self) -> np.ndarray:
        """Ticks between the ends (J,)."""
        return self.high - self.low

    def _way(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """The shorter way round from one position to another (J,)."""
        half = self.turns // 2
        return (end - start + half) % self.turns - half


class Places(NamedTuple):
    """What joints (J,) are calibrated to: offset, lower and upper end of the range; `whole` where it is the whole turn."""

    offset: np.ndarray
    low: np.ndarray
    high: np.ndarray
    whole: np.ndarray


def place(sweep: Sweep, whole: np.ndarray, signs: np.ndarray) -> Places:
    """Offsets that put each travel into the middle of a turn.

    A joint that turns all the way round reads half a turn where it stands; where its travel, as far as it was moved, would
    then hold the wrap, the middle of that travel does.

    Args:
        sweep: the finished sweep.
        whole: whether the range is the whole turn whatever was seen (J,) bool.
        signs: +1 where `present = actual + offset`, −1 where it is `actual − offset`, 0 where the servo has none (J,).
    """
    turns, middle = sweep.turns, (sweep.low + sweep.high) // 2
    half = (turns - 1) // 2
    whole = whole | (sweep.travel >= turns - NEARLY_A_TURN)
    stands_free = (sweep.now - sweep.low <= half) & (sweep.high - sweep.now <= half)
    all_round = sweep.travel >= turns - NEARLY_A_TURN
    zero = np.where(whole & (stands_free | all_round), sweep.now, middle) - half
    offset = (zero + turns // 2) % turns - turns // 2
    offset = np.where(signs == 0, 0, np.clip(offset, -LARGEST_OFFSET, LARGEST_OFFSET))
    shift = sweep.low - offset  # of the lower end; the turn it is in does not matter
    low = np.where(whole, 0, shift % turns)
    high = np.where(whole, turns - 1, low + sweep.travel)
    return Places(offset * np.where(signs == 0, 0, -signs), low, high, whole)


def least(sweep: Sweep, expected: np.ndarray) -> np.ndarray:
    """How far each joint has to be moved (J,); `expected` is its travel, 0 where that is not known."""
    return np.where(expected > 0, expected * LEAST_TRAVEL, sweep.turns * LEAST_TURN).astype(np.int64)


def measure(
    bus: Any,
    motors: Mapping[str, Motor],
    full_turn: Sequence[str],
    prompt: Prompt,
    *,
    expected: Mapping[str, int] | None = None,
) -> Calibration:
    """Ask a person to move the joints, whose torque is off; returns what to calibrate them to. Writes nothing.

    Args:
        bus: of the servos.
        motors: by name.
        full_turn: those that turn all the way round and need not be moved.
        prompt: who asks the person.
        expected: travel of joints [ticks], where it is known.

    Raises:
        DeviceError: joints that were not moved far enough or whose travel cannot be calibrated, by name.
    """
    names = list(motors)
    signs = np.array([_sign(bus, motor) for motor in motors.values()])
    offsets = _offsets(bus, [name for name, sign in zip(names, signs, strict=True) if sign])
    start = signs * [offsets.get(name, 0) for name in names]
    sweep = Sweep([bus.resolution(name) for name in names])
    needed = least(sweep, np.array([(expected or {}).get(name, 0) for name in names]))
    known = _known_travel(bus, names, expected or {}, full_turn)
    needed[[name in full_turn for name in names]] = 0
    prompt.watch(_request(full_turn))
    try:
        ended = False
        while not (ended and sweep.ready):
            present = bus.sync_read("Present_Position", names, normalize=False)
            sweep.add([present[name] for name in names] - start)
            prompt.show(table(names, sweep, needed, known))
            ended = ended or prompt.done()
            time.sleep(0.0 if ended else PERIOD)
    finally:
        prompt.end()
    for name, wrong in zip(names, sweep.wrong, strict=True):
        if wrong:
            logger.warning("'%s' gave %d wrong positions, which were left out: check its cable", name, wrong)
    places = place(sweep, np.array([name in full_turn for name in names]), signs)
    _check(names, sweep, needed, places)
    former: Mapping[str, MotorCalibration] = bus.calibration
    return {
        name: MotorCalibration(
            id=motors[name].id,
            drive_mode=former[name].drive_mode if name in former else 0,
            homing_offset=int(places.offset[index]),
            range_min=int(places.low[index]),
            range_max=int(places.high[index]),
        )
        for index, name in enumerate(names)
    }


def table(names: Sequence[str], sweep: Sweep, needed: np.ndarray, known: np.ndarray) -> list[str]:
    """One line per joint: a bar of its travel with the place it is at, its ends, and what is missing."""
    lines = [f"{'joint':<16}{'travel':<{CELLS}}{'min':>7}{'now':>7}{'max':>7}  [ticks]"]
    for index, name in enumerate(names if sweep.ready else ()):
        low, now, high = (int(ends[index]) for ends in (sweep.low, sweep.now, sweep.high))
        missing = int(needed[index]) - (high - low)
        word = f"move on: {missing} to go" if missing > 0 else f"{(high - low) * 360 / sweep.turns[index]:.0f}°"
        word = "too fast: begin anew, more slowly" if sweep.leaps[index] else word
        filled = _bar(now - low, high - low, max(int(known[index]), high - low))
        lines.append(f"{name:<16}{filled}{low:>7}{now:>7}{high:>7}  {word}")
    return lines


def store(bus: Any, calibration: Calibration, path: Path) -> None:
    """Write a calibration to the servos and to the file. What goes wrong on the way leaves both as they were."""
    former, servos = bus.calibration, bus.read_calibration()
    try:
        bus.write_calibration(calibration)
        calibrations.save(calibration, path)
    except BaseException:
        bus.write_calibration(servos)
        bus.calibration = former
        raise


def findings(
    calibration: Mapping[str, MotorCalibration], servos: Calibration, present: Mapping[str, float]
) -> list[str]:
    """What is wrong with a calibration in use, one sentence each: servos that hold another, joints that stand where they
    cannot be.

    Args:
        calibration: of the file.
        servos: what they hold.
        present: their positions [ticks].
    """
    if not calibration:
        return ["there is no calibration file"]
    found = calibrations.differences(calibration, servos)
    for name, position in present.items():
        if name not in calibration:
            continue
        low, high = calibration[name].range_min, calibration[name].range_max
        if low >= high:
            found.append(f"'{name}' has an empty range, {low} to {high}")
        elif not low - MARGIN <= position <= high + MARGIN:
            found.append(f"'{name}' stands at {position:.0f}, its range is {low} to {high}")
    return found


def check(bus: Any) -> list[str]:
    """`findings` of a connected bus."""
    present = bus.sync_read("Present_Position", normalize=False)
    return findings(bus.calibration, bus.read_calibration(), present)


def _request(full_turn: Sequence[str]) -> str:
    rest = f" and leave {', '.join(full_turn)} in the middle" if full_turn else ""
    return f"Move every joint to both ends of its range{rest}, then press ENTER (Ctrl-C changes nothing)"


def _sign(bus: Any, motor: Motor) -> int:
    """How a servo counts its homing offset; 0 where it has none."""
    family = bus.family
    return family.offset_sign if "Homing_Offset" in family.models[motor.model].registers else 0


def _offsets(bus: Any, names: Sequence[str]) -> dict[str, float]:
    return bus.sync_read("Homing_Offset", names, normalize=False) if names else {}


def _known_travel(bus: Any, names: Sequence[str], expected: Mapping[str, int], full_turn: Sequence[str]) -> np.ndarray:
    """What a whole bar stands for (J,): the travel expected, else the one last calibrated, else half a turn."""
    found = []
    for name in names:
        turn, last = bus.resolution(name), bus.calibration.get(name)
        travel = expected.get(name, 0) or (last.range_max - last.range_min if last and name not in full_turn else 0)
        found.append(travel if 0 < travel < turn - NEARLY_A_TURN else turn // 2)
    return np.array(found)


def _bar(now: int, travel: int, known: int) -> str:
    cells = CELLS - 2
    seen, at = round(travel / known * cells), round(now / known * (cells - 1))
    return "".join("●" if cell == at else "━" if cell < seen else "·" for cell in range(cells)) + "  "


def _check(names: Sequence[str], sweep: Sweep, needed: np.ndarray, places: Places) -> None:
    """
    Raises:
        DeviceError: names every joint that cannot be calibrated with what was seen.
    """
    still = [
        f"{name} ({travel} of at least {least} ticks)"
        for name, travel, least in zip(names, sweep.travel, needed, strict=True)
        if travel < least
    ]
    if still:
        raise DeviceError(
            f"these joints were not moved far enough: {', '.join(still)}",
            hint="nothing was changed: calibrate again and move every joint to both ends of its range",
        )
    fast = [name for name, leaps in zip(names, sweep.leaps, strict=True) if leaps]
    if fast:
        raise DeviceError(
            f"these joints moved faster than their encoders were read: {', '.join(fast)}",
            hint="nothing was changed: calibrate again and move them more slowly; a servo that often does not answer also "
            "looks like this",
        )
    split = [name for name, high, turn in zip(names, places.high, sweep.turns, strict=True) if high >= turn]
    if split:
        raise DeviceError(
            f"the zero of the encoder lies within the travel of {', '.join(split)}, and these servos have no offset",
            hint="take the horn off, turn it by a quarter turn on its spline, and calibrate again",
        )
