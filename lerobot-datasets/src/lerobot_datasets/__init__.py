"""LeRobotDataset reader, recorder and tools. Importing the package imports nothing; names are looked up on use."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "LeRobotDataset": "lerobot_datasets.dataset",
    "LeRobotDatasetMetadata": "lerobot_datasets.meta",
    "StreamingLeRobotDataset": "lerobot_datasets.streaming",
    "EpisodeAwareSampler": "lerobot_datasets.sampler",
    "ImageTransforms": "lerobot_datasets.transforms",
}

__all__ = [*_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from lerobot_core.imports import import_target

    return import_target(f"{_PUBLIC[name]}:{name}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
