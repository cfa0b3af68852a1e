"""Pipelines of processor steps, and the files they are kept in beside the weights.

A step is called with a flat batch (name → tensor, text or list) and gives one; it has a `registry_name`, `config()` and,
where it holds tensors, `state()` and `load_state()`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import attrs
from safetensors.torch import save_file

from lerobot_core.errors import CheckpointError, PluginError, did_you_mean
from lerobot_core.registry import registry, resolve
from lerobot_core.roles import ProcessorStep
from lerobot_policies.processors.steps import Batch
from lerobot_policies.tensors import read_tensors

#: registry name → class; others come from plugins, as processor steps of that name
STEPS = {
    "rename_observations_processor": "lerobot_policies.processors.steps:Rename",
    "to_batch_processor": "lerobot_policies.processors.steps:ToBatch",
    "device_processor": "lerobot_policies.processors.steps:Device",
    "normalizer_processor": "lerobot_policies.processors.normalize:Normalize",
    "unnormalizer_processor": "lerobot_policies.processors.normalize:Unnormalize",
}


class Step(Protocol):
    """One step of a pipeline."""

    registry_name: str

    def __call__(self, batch: Batch) -> Batch: ...

    def config(self) -> dict[str, Any]: ...


class Stateful(Protocol):
    """What a step that holds tensors has beside."""

    def state(self) -> dict[str, Any]: ...

    def load_state(self, state: Mapping[str, Any]) -> None: ...


@attrs.define
class Pipeline:
    """Steps one after another.

    Attributes:
        name: name of the files.
        steps: the steps, in order.
    """

    name: str
    steps: list[Any] = attrs.Factory(list)

    def __call__(self, batch: Mapping[str, Any]) -> Batch:
        out = dict(batch)
        for step in self.steps:
            out = step(out)
        return out

    def find(self, registry_name: str) -> Any | None:
        """The first step of that name, or None."""
        return next((step for step in self.steps if step.registry_name == registry_name), None)

    def save(self, folder: Path) -> None:
        """Write `<name>.json` and one safetensors file per step that holds tensors."""
        entries = []
        for i, step in enumerate(self.steps):
            entry = {"registry_name": step.registry_name, "config": step.config()}
            state = step.state() if hasattr(step, "state") else {}
            if state:
                entry["state_file"] = f"{_stem(self.name)}_step_{i}_{step.registry_name}.safetensors"
                save_file({key: value.cpu().contiguous() for key, value in state.items()}, folder / entry["state_file"])
            entries.append(entry)
        text = json.dumps({"name": self.name, "steps": entries}, indent=2)
        (folder / f"{_stem(self.name)}.json").write_text(text)

    @classmethod
    def load(cls, folder: Path, name: str, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> Pipeline:
        """Read a pipeline.

        Args:
            folder: where its files are.
            name: its name.
            overrides: step → options that replace those in the file; with `stats` the stored ones are not read.

        Raises:
            CheckpointError: a file is missing or not readable, a step is unknown, or an override is of no step.
        """
        file = folder / f"{_stem(name)}.json"
        try:
            data = json.loads(file.read_text())
            entries = data["steps"]
        except (OSError, ValueError, KeyError) as failure:
            raise CheckpointError(f"processor file '{file}' cannot be read: {failure}", path=file) from failure
        overrides = dict(overrides or {})
        steps = list(_load_steps(entries, folder, overrides))
        unused = [key for key in overrides if key not in {step.registry_name for step in steps}]
        if unused:
            names = [step.registry_name for step in steps]
            raise CheckpointError(
                f"override of '{unused[0]}': '{file}' has no such step{did_you_mean(unused[0], names)}",
                path=file,
                hint=f"its steps are {', '.join(names)}",
            )
        return cls(data["name"], steps)


def _stem(name: str) -> str:
    return re.sub(r"[^a-z0-9_]", "_", name.lower())


def _load_steps(entries: list[dict[str, Any]], folder: Path, overrides: Mapping[str, Any]) -> Iterator[Any]:
    for entry in entries:
        name = entry.get("registry_name") or entry.get("class", "")
        given = overrides.get(name, {})
        options = {**entry.get("config", {}), **given}
        try:
            step = _step_class(name)(**options)
        except TypeError as failure:
            raise CheckpointError(f"processor step '{name}' cannot be made: {failure}", path=folder) from failure
        if "state_file" in entry and "stats" not in given:
            step.load_state(_read_state(folder, entry["state_file"]))
        yield step


def _step_class(name: str) -> Any:
    if name in STEPS:
        return resolve(STEPS[name])
    try:
        return resolve(registry(ProcessorStep).get(name).component.build)
    except PluginError:
        raise CheckpointError(
            f"unknown processor step '{name}'{did_you_mean(name, STEPS)} (known: {', '.join(STEPS)})",
            hint="install the plugin that the checkpoint was made with",
        ) from None


def _read_state(folder: Path, name: str) -> dict[str, Any]:
    file = folder / name
    if Path(name).name != name:
        raise CheckpointError(f"processor state '{name}' is outside of '{folder}'", path=file)
    return read_tensors(file)
