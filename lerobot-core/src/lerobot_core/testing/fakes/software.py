"""Toys of the roles that are only software: an aggregator, a step, a tracker and a command."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import click
import numpy as np

from lerobot_core.errors import DataError


@attrs.frozen(kw_only=True)
class MeanConfig:
    """Takes a share of the new chunk.

    Attributes:
        share: of the new chunk, 0 to 1.
    """

    share: float = 0.5


class Mean:
    """An aggregator: a share of the new, the rest of the old."""

    def __init__(self, config: MeanConfig) -> None:
        self.share = np.float32(config.share)

    def __call__(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        return old + self.share * (new - old)


@attrs.frozen(kw_only=True)
class DeltaConfig:
    """How far a scalar has come.

    Attributes:
        suffix: of the new keys.
    """

    suffix: str = ".delta"


class Delta:
    """The step that adds how far each scalar has come since the last call."""

    def __init__(self, config: DeltaConfig) -> None:
        self.suffix = config.suffix
        self.last: dict[str, float] = {}

    def features(self, features: Mapping[str, Any]) -> dict[str, Any]:
        return {**features, **{key + self.suffix: float for key, value in features.items() if value is float}}

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        scalars = {key: value for key, value in values.items() if key != "stamps" and np.ndim(value) == 0}
        deltas = {key + self.suffix: value - self.last.get(key, value) for key, value in scalars.items()}
        self.last = scalars
        return {**values, **deltas}

    def reset(self) -> None:
        self.last = {}


@attrs.frozen(kw_only=True)
class ToyTrackerConfig:
    """Keeps the numbers of a run in memory.

    Attributes:
        every: steps between two rows that are kept.
    """

    every: int = 1


class ToyTracker:
    """`rows` are (step, values) as logged."""

    def __init__(self, config: ToyTrackerConfig) -> None:
        self.config = config
        self.rows: list[tuple[int, dict[str, float]]] = []
        self._closed = False

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        if self._closed:
            raise DataError("the run is closed", hint="log before close()")
        if step % self.config.every == 0:
            self.rows.append((step, {key: float(value) for key, value in values.items()}))

    def close(self) -> None:
        self._closed = True


@click.command("toy turns")
@click.option("--angle", type=float, default=90.0, help="angle of a turn [deg]")
def turns(angle: float) -> None:
    """Say how many turns make a whole one."""
    if not (math.isfinite(angle) and angle > 0):
        raise click.BadParameter(f"an angle above 0, got {angle:g}")
    click.echo(f"{360 / angle:g}")
