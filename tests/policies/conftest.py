"""Weights by formula, recorded runs of policies, and injected random numbers."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

MASK = (1 << 64) - 1


def generated(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The value that the generated test weights have under a name: FNV-1a of the name seeds splitmix64."""
    seed = 0xCBF29CE484222325
    for byte in key.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & MASK
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, math.prod(shape) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    u = (z >> np.uint64(40)).astype(np.float64) / 2**24
    n = (2 * u - 1) * math.sqrt(3)
    if key.endswith("running_var"):
        value = 0.5 + u
    elif key.endswith("running_mean"):
        value = 0.1 * n
    elif len(shape) <= 1:
        value = 1 + 0.1 * n if key.endswith("weight") else 0.05 * n
    else:
        value = n / math.sqrt(math.prod(shape[1:]))
    return torch.from_numpy(value.astype(np.float32).reshape(shape))


@attrs.frozen
class Recording:
    """A checkpoint with what it gave for recorded inputs."""

    folder: Path
    notes: dict
    arrays: dict[str, torch.Tensor]

    def group(self, prefix: str) -> dict[str, torch.Tensor]:
        return {key.removeprefix(prefix): value for key, value in self.arrays.items() if key.startswith(prefix)}

    def stats(self) -> dict[str, dict[str, torch.Tensor]]:
        out: dict[str, dict[str, torch.Tensor]] = {}
        for key, value in self.group("stats/").items():
            feature, _, name = key.rpartition("/")
            out.setdefault(feature, {})[name] = value
        return out

    def draws(self, phase: str) -> list[torch.Tensor]:
        return [value for _, value in sorted(self.group(f"{phase}/rand/").items())]


@pytest.fixture(scope="session")
def recording(fixtures: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Recording]:
    """A recorded policy by name, its weights made where only their formula is stored."""
    made: dict[str, Recording] = {}

    def load(name: str) -> Recording:
        if name not in made:
            folder = tmp_path_factory.mktemp(name) / "checkpoint"
            shutil.copytree(fixtures / "policies" / name, folder)
            if (folder / "weights.json").is_file():
                table = json.loads((folder / "weights.json").read_text())
                extra = load_file(folder / "extra.safetensors")
                tensors = {key: generated(key, tuple(item["shape"])) for key, item in table.items()}
                save_file({**tensors, **extra}, folder / "model.safetensors", metadata={"format": "pt"})
            notes = json.loads((folder / "io.json").read_text())
            made[name] = Recording(folder, notes, load_file(folder / "io.safetensors"))
        return made[name]

    return load


@pytest.fixture
def inject(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[list[torch.Tensor]], None]]:
    """Make `torch.randn_like` give recorded draws; all of them must be used."""
    left: list[torch.Tensor] = []

    def draw(like: torch.Tensor) -> torch.Tensor:
        value = left.pop(0)
        assert value.shape == like.shape
        return value

    monkeypatch.setattr(torch, "randn_like", draw)
    yield left.extend
    assert not left
