"""Checkpoints of a run: where they lie, what is in `training_state`, and how they come into being whole or not at all.

<run>/checkpoints/005000/pretrained_model/…   the policy, ready to publish, with its train_config.json
                  005000/training_state/…     step, random numbers, optimiser, schedule
                  last -> 005000
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lerobot_core.errors import CheckpointError
from lerobot_policies.tensors import read_tensors

LAST, MODEL, STATE = "last", "pretrained_model", "training_state"

#: Options of an optimiser that say how this machine computes, not what.
IMPLEMENTATION = ("foreach", "fused", "capturable", "differentiable")


# --- folders ------------------------------------------------------------------------------------------------------


def step_name(step: int, total: int) -> str:
    """Name of the folder of a step, so that names sort like steps."""
    return f"{step:0{max(6, len(str(total)))}d}"


def publish(run: Path, name: str, write: Callable[[Path], None]) -> Path:
    """Have a checkpoint written beside its place, then move it there and point `last` at it.

    A run that is killed at any moment leaves whole checkpoints and a `last` that leads to one of them.

    Args:
        run: folder of the run.
        name: name of the checkpoint.
        write: fills the folder it is given.
    """
    root = run / "checkpoints"
    root.mkdir(parents=True, exist_ok=True)
    fresh, folder, old = root / f".{name}.new", root / name, root / f".{name}.old"
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir()
    write(fresh)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    link = root / f".{LAST}.new"
    link.unlink(missing_ok=True)
    link.symlink_to(name)
    os.replace(link, root / LAST)
    return folder


# --- random numbers -----------------------------------------------------------------------------------------------


def random_state() -> dict[str, Tensor]:
    """State of the generators of Python, numpy and torch."""
    version, words, _ = random.getstate()
    # the state of numpy's global generator is what the file holds
    _, values, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    state = {
        "py_rng_version": torch.tensor([version]),
        "py_rng_state": torch.tensor(words),
        "np_rng_state_values": torch.from_numpy(values.astype(np.int64)),
        "np_rng_state_index": torch.tensor([position]),
        "np_rng_has_gauss": torch.tensor([has_gauss]),
        "np_rng_cached_gaussian": torch.tensor([gauss], dtype=torch.float32),
        "torch_rng_state": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["torch_cuda_rng_state"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        state["torch_mps_rng_state"] = torch.mps.get_rng_state()
    return state


def restore_random_state(state: Mapping[str, Tensor]) -> None:
    """Set the generators; those of devices that are not here are left alone."""
    random.setstate((int(state["py_rng_version"]), tuple(state["py_rng_state"].tolist()), None))
    np.random.set_state(  # noqa: NPY002
        (
            "MT19937",
            state["np_rng_state_values"].numpy().astype(np.uint32),
            int(state["np_rng_state_index"]),
            int(state["np_rng_has_gauss"]),
            float(state["np_rng_cached_gaussian"]),
        )
    )
    torch.set_rng_state(state["torch_rng_state"])
    if "torch_cuda_rng_state" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["torch_cuda_rng_state"])
    if "torch_mps_rng_state" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["torch_mps_rng_state"])


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, numpy and torch, on all devices."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


# --- training state -----------------------------------------------------------------------------------------------


def save_training_state(
    folder: Path, step: int, batch_size: int, optimizer: Optimizer, scheduler: LambdaLR | None
) -> None:
    """Write everything a resumed run needs beside the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    parallelism = {"dp_replicate": 1, "dp_shard": 1, "ring_degree": 1, "ulysses_degree": 1}
    counts = {"step": step, "dp_world_size": 1, "batch_size": batch_size, "grad_accum_steps": 1}
    write_json(folder / "training_step.json", {**counts, "parallelism": parallelism})
    save_file(random_state(), folder / "rng_state.safetensors")
    state = optimizer.state_dict()
    tensors = {
        f"state/{index}/{name}": value.cpu().contiguous()
        for index, values in state["state"].items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }
    save_file(tensors, folder / "optimizer_state.safetensors")
    hidden = dict.fromkeys(("foreach", "fused"))
    groups = [{key: hidden.get(key, value) for key, value in group.items()} for group in state["param_groups"]]
    write_json(folder / "optimizer_param_groups.json", groups)
    if scheduler is not None:
        write_json(folder / "scheduler_state.json", scheduler.state_dict())


class Counts(NamedTuple):
    """How far a run is: its step, and the batches and processes that made the steps; older runs do not say which."""

    step: int
    batch_size: int | None
    processes: int


def load_training_state(folder: Path, optimizer: Optimizer, scheduler: LambdaLR | None) -> Counts:
    """Read optimiser and schedule; gives how far the run is. The generators are left to `restore_random_state`.

    Raises:
        CheckpointError: a file is missing or broken, or the state is of another optimiser or model.
    """
    counts = read_json(folder / "training_step.json")
    groups = read_json(folder / "optimizer_param_groups.json")
    mine = optimizer.state_dict()["param_groups"]
    if [len(group["params"]) for group in groups] != [len(group["params"]) for group in mine]:
        raise CheckpointError(
            f"'{folder}' holds an optimizer of {[len(g['params']) for g in groups]} tensors per group, "
            f"this run has {[len(g['params']) for g in mine]}",
            path=folder,
            hint="resume with the options of the run",
        )
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in read_tensors(folder / "optimizer_state.safetensors").items():
        _, index, name = key.split("/")
        state.setdefault(int(index), {})[name] = value
    merged = [_merged(here, stored) for here, stored in zip(mine, groups, strict=True)]
    optimizer.load_state_dict({"state": state, "param_groups": merged})
    if scheduler is not None:
        known = scheduler.state_dict().keys()
        stored = read_json(folder / "scheduler_state.json")
        scheduler.load_state_dict({key: value for key, value in stored.items() if key in known})
    processes = counts.get("dp_world_size") or counts.get("num_processes") or 1
    return Counts(int(counts["step"]), counts.get("batch_size"), int(processes))


def _merged(here: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a group as stored; how to compute, and what the file does not know, as here."""
    out = dict(here)
    for key, value in stored.items():
        if (key in here and key not in IMPLEMENTATION) or key == "initial_lr":
            out[key] = tuple(value) if isinstance(here.get(key), tuple) else value
    return out


def write_json(file: Path, data: Any) -> None:
    """Write data as the ecosystem's tools do: indented by four, without a newline at the end."""
    file.write_text(json.dumps(data, indent=4))


def read_json(file: Path) -> Any:
    """The data of a JSON file.

    Raises:
        CheckpointError: it is missing or broken.
    """
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as failure:
        raise CheckpointError(f"'{file}' cannot be read: {failure}", path=file) from failure
