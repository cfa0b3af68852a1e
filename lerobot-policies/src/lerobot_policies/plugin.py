"""What lerobot-policies offers: components and commands by import string."""

from __future__ import annotations

from lerobot_core.components import Command, Component, hookimpl


@hookimpl
def lr_policies():
    return [
        Component(
            "act",
            "lerobot_policies.act.config:ActConfig",
            "lerobot_policies.act.model:Act",
            "Action chunks from a transformer with a variational encoder (arXiv 2304.13705)",
        ),
    ]


@hookimpl
def lr_commands():
    return [
        Command("train", "lerobot_policies.commands.train:train", "Train a policy on a dataset."),
    ]
