"""The exception tree."""

from __future__ import annotations

import pytest

from lerobot_core import errors
from lerobot_core.errors import ConfigError, DeviceTimeout, LeRobotError, Problem


def test_every_error_is_one_tree_with_an_exit_code() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) >= 11
    assert all(issubclass(kind, LeRobotError) and kind("x").message == "x" for kind in kinds)
    assert {kind.__name__ for kind in kinds if kind.exit_code == 2} == {"ConfigError"}


def test_problems_show_path_text_and_origin() -> None:
    error = ConfigError([Problem("a.b", "missing"), Problem("", "odd", "file.yaml")], hint="h")
    assert str(error) == "a.b: missing\nodd (from file.yaml)"
    assert error.hint == "h"


def test_a_device_timeout_is_a_timeout_error() -> None:
    with pytest.raises(TimeoutError):
        raise DeviceTimeout("no answer from 'elbow'", device="arm")


@pytest.mark.parametrize(("name", "near"), [("chunksize", "chunk_size"), ("zzz", "")])
def test_nearest(name: str, near: str) -> None:
    assert errors.nearest(name, ["chunk_size", "steps"]) == near
    assert bool(errors.did_you_mean(name, ["chunk_size", "steps"])) == bool(near)
