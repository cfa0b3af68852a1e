"""Optimisers and learning-rate schedules as users and checkpoints write them, and the schedules' formulas. *Pure.*

A `type` and its keys; a key that is not given has the type's default, one that the type does not have is refused. Knows
nothing of torch: `optim` builds the objects.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import attrs

_ADAM = {"lr": 1e-3, "weight_decay": 0.0, "grad_clip_norm": 10.0, "betas": [0.9, 0.999], "eps": 1e-8}

#: type → its keys in the order they are stored, with defaults
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adam": _ADAM,
    "adamw": {**_ADAM, "weight_decay": 1e-2},
    "sgd": {
        "lr": 1e-3,
        "weight_decay": 0.0,
        "grad_clip_norm": 10.0,
        "momentum": 0.0,
        "dampening": 0.0,
        "nesterov": False,
    },
}

#: a key every user of the type must give
REQUIRED = None

SCHEDULERS: dict[str, dict[str, Any]] = {
    "diffuser": {"num_warmup_steps": 0, "name": "cosine"},
    "vqbet": {"num_warmup_steps": REQUIRED, "num_vqvae_training_steps": REQUIRED, "num_cycles": 0.5},
    "constant_with_warmup": {"num_warmup_steps": 1000},
    "cosine_annealing_with_warmup": {"num_warmup_steps": REQUIRED},
    "cosine_decay_with_warmup": {
        "num_warmup_steps": REQUIRED,
        "num_decay_steps": REQUIRED,
        "peak_lr": REQUIRED,
        "decay_lr": REQUIRED,
    },
}


def _check(what: str, table: Mapping[str, Mapping[str, Any]], config: Any) -> None:
    known = table[config.type]
    given = {field.name for field in attrs.fields(type(config)) if getattr(config, field.name) is not None} - {"type"}
    if foreign := sorted(given - set(known)):
        raise ValueError(f"{what} '{config.type}' has no {', '.join(foreign)} (it has {', '.join(known)})")
    if missing := [key for key, default in known.items() if default is REQUIRED and key not in given]:
        raise ValueError(f"{what} '{config.type}' needs {', '.join(missing)}")


def _stored(table: Mapping[str, Mapping[str, Any]], config: Any) -> dict[str, Any]:
    given = {key: getattr(config, key) for key in table[config.type]}
    values = {key: table[config.type][key] if value is None else value for key, value in given.items()}
    return {"type": config.type, **{k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}}


@attrs.frozen(kw_only=True)
class OptimizerConfig:
    """An optimiser; a key left out has the default of its type.

    Attributes:
        type: adam (weight decay added to the gradient), adamw (decoupled weight decay) or sgd
        lr: learning rate
        weight_decay: weight decay
        grad_clip_norm: largest norm of the whole gradient; 0 for no limit
        betas: decay of Adam's two averages
        eps: added to Adam's denominator
        momentum: momentum of SGD
        dampening: dampening of SGD's momentum
        nesterov: Nesterov's momentum
    """

    TABLE: ClassVar[Mapping[str, Mapping[str, Any]]] = OPTIMIZERS

    type: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float | None = None
    weight_decay: float | None = None
    grad_clip_norm: float | None = None
    betas: tuple[float, float] | None = None
    eps: float | None = None
    momentum: float | None = None
    dampening: float | None = None
    nesterov: bool | None = None

    def __attrs_post_init__(self) -> None:
        _check("optimizer", self.TABLE, self)

    def to_json(self) -> dict[str, Any]:
        """Type and every key of the type, with its value."""
        return _stored(self.TABLE, self)


@attrs.frozen(kw_only=True)
class SchedulerConfig:
    """A learning-rate schedule; a key left out has the default of its type.

    Attributes:
        type: name of the schedule
        name: curve of a diffuser schedule (cosine, linear, constant, constant_with_warmup, cosine_with_restarts)
        num_warmup_steps: steps over which the rate rises
        num_vqvae_training_steps: steps at the full rate before the warm-up
        num_cycles: half waves of the cosine, times two
        num_decay_steps: step at which the decay ends
        peak_lr: rate that decay_lr is relative to
        decay_lr: rate at the end of the decay
    """

    TABLE: ClassVar[Mapping[str, Mapping[str, Any]]] = SCHEDULERS

    type: Literal[
        "diffuser", "vqbet", "constant_with_warmup", "cosine_annealing_with_warmup", "cosine_decay_with_warmup"
    ] = "diffuser"
    name: Literal["cosine", "linear", "constant", "constant_with_warmup", "cosine_with_restarts"] | None = None
    num_warmup_steps: int | None = None
    num_vqvae_training_steps: int | None = None
    num_cycles: float | None = None
    num_decay_steps: int | None = None
    peak_lr: float | None = None
    decay_lr: float | None = None

    def __attrs_post_init__(self) -> None:
        _check("scheduler", self.TABLE, self)

    def to_json(self) -> dict[str, Any]:
        """Type and every key of the type, with its value."""
        return _stored(self.TABLE, self)


# --- schedules: factor on the learning rate after k scheduler steps, of N in all ------------------------------------


Factor = Callable[[int], float]


def _rise(k: int, warmup: int) -> float:
    return k / max(1, warmup)


def _half_cosine(k: int, warmup: int, total: int, cycles: float = 0.5) -> float:
    progress = (k - warmup) / max(1, total - warmup)
    return max(0.0, 0.5 * (1 + math.cos(math.pi * 2 * cycles * progress)))


def _restarts(k: int, warmup: int, total: int) -> float:
    progress = (k - warmup) / max(1, total - warmup)
    return 0.0 if progress >= 1 else max(0.0, 0.5 * (1 + math.cos(math.pi * (progress % 1.0))))


def _diffuser(*, name: str, num_warmup_steps: int, total: int) -> Factor:
    curves: dict[str, Factor] = {
        "cosine": lambda k: _half_cosine(k, num_warmup_steps, total),
        "linear": lambda k: max(0.0, (total - k) / max(1, total - num_warmup_steps)),
        "constant": lambda k: 1.0,
        "constant_with_warmup": lambda k: 1.0,
        "cosine_with_restarts": lambda k: _restarts(k, num_warmup_steps, total),
    }
    curve, warmup = curves[name], 0 if name == "constant" else num_warmup_steps
    return lambda k: _rise(k, warmup) if k < warmup else curve(k)


def _vqbet(*, num_warmup_steps: int, num_vqvae_training_steps: int, num_cycles: float, total: int) -> Factor:
    def factor(k: int) -> float:
        j = k - num_vqvae_training_steps
        if j < 0:
            return 1.0
        return (
            _rise(j, num_warmup_steps)
            if j < num_warmup_steps
            else _half_cosine(j, num_warmup_steps, total, cycles=num_cycles)
        )

    return factor


def _constant(*, num_warmup_steps: int, total: int) -> Factor:
    return lambda k: _rise(k, num_warmup_steps) if k < num_warmup_steps else 1.0


def _cosine(*, num_warmup_steps: int, total: int) -> Factor:
    return _diffuser(name="cosine", num_warmup_steps=num_warmup_steps, total=total)


def _cosine_decay(
    *, num_warmup_steps: int, num_decay_steps: int, peak_lr: float, decay_lr: float, total: int
) -> Factor:
    """Counted from step 0, not from the end of the warm-up; squeezed into the run when that is shorter than the decay."""
    warmup, decay = num_warmup_steps, num_decay_steps
    if total < decay:
        warmup, decay = int(warmup * (total / decay)), total
    floor, start = decay_lr / peak_lr, 1 / (warmup + 1)

    def factor(k: int) -> float:
        if k < warmup:
            return start if k <= 0 else (start - 1) * (1 - k / warmup) + 1
        return (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(k, decay) / decay)) + floor

    return factor


_FACTORS: dict[str, Callable[..., Factor]] = {
    "diffuser": _diffuser,
    "vqbet": _vqbet,
    "constant_with_warmup": _constant,
    "cosine_annealing_with_warmup": _cosine,
    "cosine_decay_with_warmup": _cosine_decay,
}


def factor(config: SchedulerConfig, total_steps: int) -> Factor:
    """Factor on the learning rate, by the number of steps done, in a run of `total_steps`."""
    options = config.to_json()
    return _FACTORS[options.pop("type")](**options, total=total_steps)
