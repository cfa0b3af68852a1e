"""What lerobot-datasets offers: components and commands by import string."""

from __future__ import annotations

from lerobot_core.components import Command, Component, hookimpl

LR_CORE = ">=0.1,<0.2"

_SUITES = "lerobot_datasets.conformance"

_EDITS = (
    ("delete", "delete", "Write a dataset without some of its episodes"),
    ("split", "split", "Write parts of a dataset as datasets of their own"),
    ("merge", "merge", "Write one dataset with the episodes of several"),
    ("tasks", "tasks", "Write a dataset with other task texts"),
    ("trim", "trim", "Write a dataset without the first or last frames of its episodes"),
    ("remove-feature", "remove_feature", "Write a dataset without some of its features"),
    ("add-feature", "add_feature", "Write a dataset with a feature more, from a file of values"),
    ("stats", "stats", "Write a dataset with its statistics computed anew"),
    ("convert", "convert", "Write a dataset of v2.1 or v2.0 in the format v3.0"),
)


@hookimpl
def lr_dataset_backends() -> list[Component]:
    return [
        Component(
            "lerobot",
            "lerobot_datasets.config:LeRobotBackendConfig",
            "lerobot_datasets.backend:LeRobotBackend",
            "LeRobotDataset folder, v3.0 or to read v2.x: parquet tables and mp4 videos",
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
            "dataset push",
            "lerobot_datasets.commands.push:push",
            "Push a dataset to the Hub",
            suite=f"{_SUITES}:InfoSuite",
        ),
        Command(
            "dataset pull",
            "lerobot_datasets.commands.pull:pull",
            "Pull a dataset from the Hub, whole or some episodes",
            suite=f"{_SUITES}:InfoSuite",
        ),
        Command(
            "dataset card",
            "lerobot_datasets.commands.card:card",
            "Print the card of a dataset, its README on the Hub",
            suite=f"{_SUITES}:InfoSuite",
        ),
        *(
            Command(f"dataset {name}", f"lerobot_datasets.commands.edit:{target}", line, suite=f"{_SUITES}:InfoSuite")
            for name, target, line in _EDITS
        ),
    ]


@hookimpl
def lr_info() -> list[str]:
    return ["lerobot_datasets.video.found:found"]
