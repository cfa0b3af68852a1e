"""Optimisers and schedules as they are written, and the schedules' curves."""

from __future__ import annotations

import json

import pytest
import torch

from lerobot_policies.optim import build_optimizer, build_scheduler, clip_gradients
from lerobot_policies.presets import SCHEDULERS, OptimizerConfig, SchedulerConfig, factor

TYPES = {"diffuser_cosine": "diffuser", "vqbet": "vqbet", "cosine_decay": "cosine_decay_with_warmup"}


@pytest.mark.parametrize("name", ["diffuser_cosine", "vqbet", "cosine_decay", "cosine_decay_autoscale"])
def test_recorded_curves(name, fixtures):
    curve = json.loads((fixtures / "misc/schedulers.json").read_text())[name]
    config = SchedulerConfig(type=TYPES[name.removesuffix("_autoscale")], **curve["config"])
    assert config.to_json() == {"type": config.type, **curve["config"]}
    peak = curve["config"].get("peak_lr", 1e-3)
    optimizer = build_optimizer(OptimizerConfig(type="sgd", lr=peak), [{"params": [torch.nn.Parameter(torch.ones(1))]}])
    scheduler = build_scheduler(config, optimizer, curve["num_training_steps"])
    for wanted in curve["lr_per_step"]:
        assert scheduler.get_last_lr()[0] == pytest.approx(wanted, rel=1e-9, abs=1e-15)
        optimizer.step()
        scheduler.step()


def test_curves_by_formula():
    linear = factor(SchedulerConfig(type="diffuser", name="linear", num_warmup_steps=2), 10)
    assert [linear(k) for k in (0, 1, 2, 6, 10)] == [0, 0.5, 1, 0.5, 0]
    flat = factor(SchedulerConfig(type="constant_with_warmup", num_warmup_steps=4), 10)
    assert [flat(k) for k in (0, 1, 4, 9)] == [0, 0.25, 1, 1]
    cosine = factor(SchedulerConfig(type="cosine_annealing_with_warmup", num_warmup_steps=0), 10)
    assert [cosine(k) for k in (0, 5, 10)] == pytest.approx([1, 0.5, 0])
    constant = factor(SchedulerConfig(type="diffuser", name="constant", num_warmup_steps=5), 10)
    assert constant(0) == 1
    restarts = factor(SchedulerConfig(type="diffuser", name="cosine_with_restarts", num_warmup_steps=0), 10)
    assert [restarts(k) for k in (0, 5, 10)] == pytest.approx([1, 0.5, 0])


@pytest.mark.parametrize("kind", [kind for kind in SCHEDULERS if kind != "diffuser" and kind != "constant_with_warmup"])
def test_a_schedule_without_its_steps_is_refused(kind):
    with pytest.raises(ValueError, match="needs num_warmup_steps"):
        SchedulerConfig(type=kind)


def test_options_of_another_type_are_refused():
    with pytest.raises(ValueError, match="'sgd' has no betas"):
        OptimizerConfig(type="sgd", betas=(0.9, 0.99))
    assert OptimizerConfig(type="adamw").to_json()["weight_decay"] == 1e-2


def test_gradients_are_clipped_by_their_joint_norm():
    module = torch.nn.Linear(2, 1)
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, 3.0)
    norm = clip_gradients(module, 1.0)
    assert norm.item() == pytest.approx(27**0.5)
    assert clip_gradients(module, 0).item() == pytest.approx(1.0, rel=1e-4)
    assert clip_gradients(module, 0).item() == pytest.approx(1.0, rel=1e-4)
