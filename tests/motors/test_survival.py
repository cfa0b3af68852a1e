"""A short form of `survival.py`: one fault of each kind of bench, each on another type."""

from __future__ import annotations

import pytest

from lerobot_core.testing.fixtures import PrivateHost
from lerobot_motors import plugin
from motors import survival

TYPES = {row: (role, component) for row, role, component in survival.types()}


@pytest.mark.parametrize(
    ("row", "kind", "says"),
    [
        ("robot so101_follower", "unplug", "ended: serial port 'emulated://so101' is gone"),
        ("robot koch_follower", "wrong_id", "went on"),
        ("teleoperator so101_leader", "dead", "went on"),
        ("teleoperator keyboard", "unplugged", "ended: the terminal of 'keyboard' is gone"),
        ("motor bus dynamixel", "corrupt", "went on"),
        ("camera opencv", "another camera", "ended: camera '0'"),
    ],
)
def test_a_fault_is_survived(row: str, kind: str, says: str, host: PrivateHost, emulator_folder: object) -> None:
    host.add(plugin)
    outcome = survival.struck(*TYPES[row], kind)
    assert outcome.survived, outcome.said
    assert outcome.said.startswith(says)


def test_every_type_has_a_row_and_a_bench_with_faults() -> None:
    without = [row for row, one in TYPES.items() if (found := survival.bench(*one)) is None or not found.faults]
    assert not without, f"add a bench to survival_benches.py for: {', '.join(without)}"
    hooks = ("lr_robots", "lr_teleoperators", "lr_motor_buses", "lr_cameras")
    assert len(TYPES) == sum(len(getattr(plugin, hook)()) for hook in hooks)


def test_what_is_not_survived_is_seen() -> None:
    found = {
        "conformance": {"passed": 3, "excused": 0, "failed": [], "not_made": []},
        "loop": {"ticks": 500, "skipped": 0, "held": 0},
        "faults": {"drop": [True, "went on"]},
    }
    assert survival.is_green(found)
    assert survival.line("robot x", found).split() == ["robot", "x", "3", "of", "3", "500", "0", "0", "1", "of", "1"]
    for worse in (
        {"faults": {"drop": [True, "went on"], "dead": [False, "escaped"]}},
        {"faults": {}},
        {"loop": None},
        {"conformance": {**found["conformance"], "failed": ["limits are kept: no"]}},
        {"conformance": None, "crashed": "Segmentation fault"},
    ):
        assert not survival.is_green(found | worse)
        assert "NOT GREEN" in survival.line("robot x", found | worse)
