"""Weights computed from their names, for checkpoints too large to store: `python genweights.py CHECKPOINT_DIR…`.

Writes `model.safetensors` from `weights.json` (key → shape, dtype); tensors in `extra.safetensors` are taken as they are.
Element i of a tensor: z = splitmix64 finaliser of FNV-1a-64(key) + (i + 1) * 0x9E3779B97F4A7C15; u = (z >> 40) / 2^24;
n = (2 u - 1) sqrt(3), which has unit variance. Element order is row-major. *Pure* but for `expand`.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np


def fnv1a(text: str) -> int:
    """FNV-1a hash, 64 bits."""
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


def uniform(key: str, n: int) -> np.ndarray:
    """n numbers in [0, 1), float64."""
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a(key)) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / float(1 << 24)


def gen(key: str, shape: tuple[int, ...], floating: bool = True) -> np.ndarray:
    """The tensor of that name, float32; integers are zeros."""
    if not floating:
        return np.zeros(shape, np.int64)
    u = uniform(key, math.prod(shape))
    x = (2 * u - 1) * math.sqrt(3.0)
    if key.endswith("running_var"):
        x = 0.5 + u
    elif key.endswith("running_mean"):
        x = 0.1 * x
    elif len(shape) <= 1:
        x = 1 + 0.1 * x if key.endswith("weight") else 0.05 * x
    else:
        x = x / math.sqrt(math.prod(shape[1:]))
    return x.astype(np.float32).reshape(shape)


def expand(folder: str | Path) -> None:
    """Write `model.safetensors` of a checkpoint folder."""
    from safetensors.numpy import load_file, save_file

    folder = Path(folder)
    wanted = json.loads((folder / "weights.json").read_text())
    extra = load_file(folder / "extra.safetensors") if (folder / "extra.safetensors").exists() else {}
    tensors = {
        key: extra[key] if key in extra else gen(key, tuple(value["shape"]), value["dtype"].startswith("float"))
        for key, value in wanted.items()
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        expand(argument)
