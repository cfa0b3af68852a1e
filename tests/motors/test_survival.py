"""A short form of `survival.py`: one fault of replies, of a servo and of the line, each on another type."""

from __future__ import annotations

import pytest

from lerobot_core.testing.fixtures import PrivateHost
from lerobot_motors import plugin
from motors import survival

TYPES = {component.name: (role, component) for role, component in survival.types()}


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("so101_follower", "unplug", "ended: serial port 'emulated://so101' is gone"),
        ("koch_follower", "wrong_id", "went on"),
        ("so101_leader", "dead", "went on"),
    ],
)
def test_a_fault_is_survived(name: str, kind: str, says: str, host: PrivateHost, emulator_folder: object) -> None:
    host.add(plugin)
    outcome = survival.struck(*TYPES[name], kind)
    assert outcome.survived, outcome.said
    assert outcome.said.startswith(says)


def test_every_serial_arm_is_in_the_table() -> None:
    assert {"so101_follower", "koch_follower", "viperx_follower", "hope_jr_hand", "lekiwi", "bimanual"} <= set(TYPES)
    assert {"so101_leader", "koch_leader", "widowx_leader", "openarm_mini"} <= set(TYPES)
