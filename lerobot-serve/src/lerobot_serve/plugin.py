"""What lerobot-serve offers: components and commands by import string."""

from __future__ import annotations

from lerobot_core.components import Command, Component, hookimpl

LR_CORE = ">=0.1,<0.2"

_MIX = "lerobot_serve.aggregators:Mix"


@hookimpl
def lr_aggregators() -> list[Component]:
    return [
        Component("weighted_average", "lerobot_serve.aggregators:WeightedAverageConfig", _MIX, "0.3 old + 0.7 new"),
        Component(
            "latest_only",
            "lerobot_serve.aggregators:LatestOnlyConfig",
            "lerobot_serve.aggregators:LatestOnly",
            "The newer chunk alone",
        ),
        Component("average", "lerobot_serve.aggregators:MixConfig", _MIX, "0.5 old + 0.5 new"),
        Component("conservative", "lerobot_serve.aggregators:ConservativeConfig", _MIX, "0.7 old + 0.3 new"),
    ]


@hookimpl
def lr_policies() -> list[Component]:
    return [
        Component(
            "hold",
            "lerobot_serve.hold:HoldConfig",
            "lerobot_serve.hold:Hold",
            "Keeps the present pose; needs no model",
            suite="lerobot_serve.conformance:HoldSuite",
        )
    ]


@hookimpl
def lr_commands() -> list[Command]:
    return [
        Command("serve", "lerobot_serve.commands.serve:serve", "Serve a policy to robots over the network"),
        Command("run", "lerobot_serve.commands.run:run", "Let a policy drive a robot"),
        Command("rollout", "lerobot_serve.commands.run:run", "Let a policy drive a robot: another name of `lr run`"),
    ]
