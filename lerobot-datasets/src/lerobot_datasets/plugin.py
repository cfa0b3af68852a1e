"""What lerobot-datasets offers: components and commands by import string."""

from __future__ import annotations

from lerobot_core.components import Command, Component, hookimpl

LR_CORE = ">=0.1,<0.2"

_SUITES = "lerobot_datasets.conformance"


@hookimpl
def lr_dataset_backends() -> list[Component]:
    return [
        Component(
            "lerobot",
            "lerobot_datasets.config:LeRobotBackendConfig",
            "lerobot_datasets.backend:LeRobotBackend",
            "LeRobotDataset v3.0 folder: parquet tables and mp4 videos",
            example={"repo_id": "example/set"},
            suite=f"{_SUITES}:LeRobotBackendSuite",
        )
    ]


@hookimpl
def lr_commands() -> list[Command]:
    return [
        Command(
            "dataset info",
            "lerobot_datasets.commands.info:info",
            "Show what a dataset holds",
            suite=f"{_SUITES}:InfoSuite",
        ),
        Command(
            "dataset check",
            "lerobot_datasets.commands.check:check",
            "Find what is wrong with a dataset",
            suite=f"{_SUITES}:InfoSuite",
        ),
    ]


@hookimpl
def lr_info() -> list[str]:
    return ["lerobot_datasets.video.found:found"]
