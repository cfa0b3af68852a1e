"""What lerobot-datasets offers: components and commands by import string."""

from __future__ import annotations

from lerobot_core.components import Command, Component, hookimpl

LR_CORE = ">=0.1,<0.2"

_SUITES = "lerobot_datasets.conformance"

#: name, module and function under `commands`, and help line of each `lr dataset …`
_COMMANDS = (
    ("info", "info:info", "Show what a dataset holds"),
    ("check", "check:check", "Find what is wrong with a dataset"),
    ("view", "view:view", "Show the episodes of a dataset in the browser: videos, plots, texts"),
    ("repair", "repair:repair", "Finish what a killed recording left, and offer its unfinished episode back"),
    ("delete", "edit:delete", "Write a dataset without some of its episodes"),
    ("split", "edit:split", "Write parts of a dataset as datasets of their own"),
    ("merge", "edit:merge", "Write one dataset with the episodes of several"),
    ("tasks", "edit:tasks", "Write a dataset with other task texts"),
    ("trim", "edit:trim", "Write a dataset without the first or last frames of its episodes"),
    ("remove-feature", "features:remove_feature", "Write a dataset without some of its features"),
    ("add-feature", "features:add_feature", "Write a dataset with a feature more, from a file of values"),
    ("stats", "features:stats", "Write a dataset with its statistics computed anew"),
    ("reencode", "features:reencode", "Write a dataset with its videos encoded again"),
    ("to-video", "features:to_video", "Write a dataset with the images in its tables as videos"),
    ("convert", "edit:convert", "Write a dataset of v2.1 or v2.0 in the format v3.0"),
    ("import", "import_:import_", "Write a dataset of another format, as robomimic's HDF5, in the format v3.0"),
    ("push", "push:push", "Push a dataset to the Hub"),
    ("pull", "pull:pull", "Pull a dataset from the Hub, whole or some episodes"),
    ("card", "card:card", "Print the card of a dataset, its README on the Hub"),
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
        ),
        Component(
            "robomimic",
            "lerobot_datasets.robomimic.config:RobomimicBackendConfig",
            "lerobot_datasets.robomimic.backend:RobomimicBackend",
            "robomimic's HDF5 file of demonstrations, to read and to import",
            needs=("h5py=lerobot-datasets[robomimic]",),
            example={"file": "demonstrations.hdf5"},
            suite=f"{_SUITES}:RobomimicBackendSuite",
        ),
    ]


@hookimpl
def lr_commands() -> list[Command]:
    return [
        Command(f"dataset {name}", f"lerobot_datasets.commands.{target}", line, suite=f"{_SUITES}:InfoSuite")
        for name, target, line in _COMMANDS
    ]


@hookimpl
def lr_info() -> list[str]:
    return ["lerobot_datasets.video.found:found"]
