"""What lerobot-policies offers: components and commands by import string."""

from __future__ import annotations

from lerobot_core.components import Command, Component, hookimpl

LR_CORE = ">=0.1,<0.2"

#: quick to build and to run on a CPU
_SMALL_ACT = {
    "chunk_size": 6,
    "n_action_steps": 6,
    "pretrained_backbone_weights": None,
    "dim_model": 16,
    "n_heads": 2,
    "dim_feedforward": 24,
    "n_encoder_layers": 1,
    "n_decoder_layers": 2,
    "n_vae_encoder_layers": 1,
    "latent_dim": 4,
}


@hookimpl
def lr_policies():
    return [
        Component(
            "act",
            "lerobot_policies.act.config:ActConfig",
            "lerobot_policies.act.model:Act",
            "Action chunks from a transformer with a variational encoder (arXiv 2304.13705)",
            example=_SMALL_ACT,
            suite="lerobot_policies.testing:TrainedPolicySuite",
        ),
    ]


@hookimpl
def lr_commands():
    return [
        Command("train", "lerobot_policies.commands.train:train", "Train a policy on a dataset"),
    ]
