"""`lr train`. Torch is imported when the training begins, not for `--help`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from lerobot_core import config
from lerobot_core.cli.commands import ConfigCommand
from lerobot_core.errors import ConfigError
from lerobot_core.options import parse_options
from lerobot_policies.train_config import TrainConfig

STORED = "train_config.json"

#: Turns an idle thread of torch's waits for its siblings before it sleeps. libgomp's own 300000 make a step several times
#: slower as soon as another program wants a core; this many cost nothing on a quiet machine. Read when torch is loaded.
SPIN_COUNT = "20000"


class TrainCommand(ConfigCommand):
    """Reads the options of the run to resume before those given, wherever the run was named by."""

    def load(self, args: list[str]) -> config.Resolved:
        options = parse_options(args)
        if str(options.get("resume", "")).lower() != "true":
            return super().load(args)
        model = _model_folder(options)
        kept = [word for name, word in _words(args) if name not in ("config_path", "output_dir", "checkpoint_path")]
        run = options.get("output_dir") or model.parents[2]
        extra = {"config_path": model / STORED, "output_dir": run, "checkpoint_path": model.parent}
        return super().load([*kept, *(f"--{name}={value}" for name, value in extra.items())])


def _model_folder(options: dict[str, Any]) -> Path:
    """`pretrained_model` of the checkpoint to resume from: of --config_path, else the last of --output_dir."""
    named = options.get("config_path") or options.get("output_dir")
    if named is None:
        raise ConfigError("--resume=true does not say what to resume", hint="add --output_dir=FOLDER_OF_THE_RUN")
    place = Path(named)
    candidates = (place.parent, place, place / "pretrained_model", place / "checkpoints/last/pretrained_model")
    for folder in candidates[1:] if place.is_dir() else candidates[:1]:
        if (folder / STORED).is_file() and (folder.parent / "training_state").is_dir():
            return folder.resolve()
    raise ConfigError(f"'{place}' holds no checkpoint of a run", hint="give its folder as --output_dir")


def _words(args: list[str]) -> list[tuple[str, str]]:
    """(option, as one word) of every option; a value that stands apart is joined on."""
    out: list[tuple[str, str]] = []
    for word in args:
        if word.startswith("--"):
            out.append((word[2:].partition("=")[0], word))
        else:
            name, before = out.pop()
            out.append((name, f"{before}={word}"))
    return out


def run(options: TrainConfig) -> int:
    """Train a policy on a dataset.

    Continue a run that was stopped or killed: lr train --resume=true --output_dir=FOLDER
    """
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    from lerobot_policies.trainer import Trainer

    trainer = Trainer(options)
    if trainer.train():
        click.echo(f"trained {trainer.step} steps: {trainer.run}/checkpoints/last/pretrained_model")
        return 0
    click.echo(f"stopped at step {trainer.step}; go on with: lr train --resume=true --output_dir={trainer.run}")
    sys.exit(130)


train = TrainCommand(
    name="train",
    kind=TrainConfig,
    defaults={"dataset": {"type": "lerobot"}},
    run=run,
    help=(run.__doc__ or "").replace("\n    ", "\n"),
    add_help_option=False,
)
