"""Motors, their calibrations and the file these are kept in. The mathematics is *pure*; only `load` and `save` touch a disk.

The folders and the file are those of the ecosystem, so that a calibrated arm stays calibrated:
`$HF_LEROBOT_CALIBRATION/robots/<name>/<id>.json`, where `name` is the class of arm (`so_follower`), not the type users pick.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import attrs

from lerobot_core.errors import DataError
from lerobot_motors.units import NormMode


@attrs.frozen(kw_only=True)
class Motor:
    """A servo on a bus.

    Attributes:
        id: its number on the bus.
        model: name of its model, as `sts3215`.
        norm_mode: what users see of its position.
    """

    id: int
    model: str
    norm_mode: NormMode = "degrees"


@attrs.frozen(kw_only=True)
class MotorCalibration:
    """Where a servo's joint is.

    Attributes:
        id: number of the servo on the bus.
        drive_mode: not 0 where percentages count from the upper end.
        homing_offset: ticks between the servo's own zero and the joint's.
        range_min: lower end of the joint's travel [ticks].
        range_max: upper end of the joint's travel [ticks].
    """

    id: int
    drive_mode: int = 0
    homing_offset: int = 0
    range_min: int
    range_max: int


Calibration = dict[str, MotorCalibration]

_KEYS = tuple(field.name for field in attrs.fields(MotorCalibration))


def directory(kind: Literal["robots", "teleoperators"], name: str, given: Path | None = None) -> Path:
    """Folder of the calibration files of a class of device: `given`, or the ecosystem's own."""
    if given is not None:
        return Path(given)
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"
    home = Path(os.environ.get("HF_LEROBOT_HOME", Path(os.environ.get("HF_HOME", cache)) / "lerobot"))
    return Path(os.environ.get("HF_LEROBOT_CALIBRATION", home / "calibration")).expanduser() / kind / name


def load(path: Path) -> Calibration:
    """The calibrations of a file, by motor name.

    Raises:
        DataError: the file is no calibration; FileNotFoundError: there is none.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        calibration = {
            name: MotorCalibration(**{key: int(motor[key]) for key in _KEYS}) for name, motor in data.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise DataError(
            f"calibration file '{path}' cannot be read: {problem!r}",
            path=path,
            hint=f"each motor needs {', '.join(_KEYS)}; `lr calibrate` writes the file anew",
        ) from problem
    return calibration


def save(calibration: Mapping[str, MotorCalibration], path: Path) -> None:
    """Write the file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({name: attrs.asdict(motor) for name, motor in calibration.items()}, indent=4)
    partial = path.with_suffix(".json.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def half_turn_offset(position: int, resolution: int) -> int:
    """Homing offset with which a servo that is at `position` [ticks] reads half a turn (`present = actual − offset`)."""
    return position - (resolution - 1) // 2


def differences(file: Mapping[str, MotorCalibration], servos: Mapping[str, MotorCalibration]) -> list[str]:
    """What differs between a file and what the servos hold, one sentence per motor. `drive_mode` is not in the servos."""

    def places(calibration: MotorCalibration) -> tuple[int, int, int]:
        return calibration.homing_offset, calibration.range_min, calibration.range_max

    found = [f"'{name}' is not in the file" for name in servos if name not in file]
    found += [f"'{name}' is not on the bus" for name in file if name not in servos]
    for name in _shared(file, servos):
        if places(file[name]) != places(servos[name]):
            found.append(f"'{name}' is {places(servos[name])}, the file says {places(file[name])}")
    return found


def _shared(first: Iterable[str], second: Mapping[str, MotorCalibration]) -> list[str]:
    return [name for name in first if name in second]
