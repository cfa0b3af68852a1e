"""Orders of epochs equal the recorded ones; resuming, ranks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lerobot_datasets import EpisodeAwareSampler
from lerobot_datasets.sampler import compute_sampler_state


def test_recorded_orders(fixtures: Path) -> None:
    recorded = json.loads((fixtures / "misc" / "sampler.json").read_text())
    for case in recorded["sampler"]:
        sampler = EpisodeAwareSampler(case["from"], case["to"], **case["kwargs"])
        assert len(sampler) == case["len"]
        assert [list(sampler) for _ in range(3)] == case["epochs_0_1_2"]
        assert sampler.state_dict() == case["state_after_3_epochs"]
        sampler.load_state_dict(case["resume_state"])
        assert list(sampler) == case["resumed_order"]
        sampler.set_epoch(1000003)
        assert list(sampler) == case["epoch_1000003"]


def test_recorded_resume_states(fixtures: Path) -> None:
    recorded = json.loads((fixtures / "misc" / "sampler.json").read_text())
    for *arguments, want in recorded["compute_sampler_state"]:
        assert compute_sampler_state(*arguments) == want


def test_ranks_share_an_epoch() -> None:
    whole = list(EpisodeAwareSampler([0, 7], [7, 12], shuffle=True, seed=3))
    parts = [list(EpisodeAwareSampler([0, 7], [7, 12], shuffle=True, seed=3, rank=r, world=5)) for r in range(5)]
    assert {len(part) for part in parts} == {3}
    interleaved = [row for rows in zip(*parts, strict=True) for row in rows]
    assert interleaved == whole + whole[:3]


def test_nothing_left_is_refused() -> None:
    with pytest.raises(ValueError, match="no frames left of 2 episodes"):
        EpisodeAwareSampler([0, 3], [3, 6], drop_n_last_frames=3)
    with pytest.raises(ValueError, match="rank"):
        EpisodeAwareSampler([0], [3], rank=2, world=2)
