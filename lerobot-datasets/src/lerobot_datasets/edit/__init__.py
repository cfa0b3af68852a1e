"""New datasets out of old ones: plans of what goes where, and what writes them. Importing the package imports nothing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = [
    "add_features",
    "convert",
    "convert_image_to_video",
    "delete_episodes",
    "merge",
    "modify_features",
    "modify_tasks",
    "opened",
    "recompute_stats",
    "reencode",
    "remove_feature",
    "split",
    "trim",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module("lerobot_datasets.edit.operations"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
