"""Faults of policies in training, and of what torch adds to inference."""

from __future__ import annotations

from typing import Any

import numpy as np

from core import toys
from core.mutants.kinds import Mutant


def padding_counts(self, error, pad):
    return error.square().mean()


def mask_inverted(self, error, pad):
    return (error.square() * pad[..., None]).sum() / pad.sum().clamp(min=1)


def mean_of_rows(self, error, pad):
    kept = ~pad
    return ((error.square() * kept[..., None]).sum((1, 2)) / kept.sum(1)).mean()


def first_row(self, error, pad):
    return (error[:1].square() * ~pad[:1, :, None]).sum() / (~pad[:1]).sum().clamp(min=1)


def no_scalar(self, error, pad):
    return ((error.square() * ~pad[..., None]).sum((1, 2)) / (~pad).sum(1).clamp(min=1)) * 1.0


def wrong_sign(self, error, pad):
    return -(error.abs() * ~pad[..., None]).sum() / (~pad).sum().clamp(min=1)


def detached(self, error, pad):
    return (error.square() * ~pad[..., None]).sum().detach().requires_grad_() / (~pad).sum().clamp(min=1)


def root(self, error, pad):
    """The root of a masked square: its gradient at zero is infinite."""
    return ((error * ~pad[..., None]).square().sqrt()).sum() / (~pad).sum().clamp(min=1)


def forward_writes(self, batch):
    batch["action"].sub_(1.0)
    error = self.chunk(batch["observation.state"]) - batch["action"]
    loss = self.loss(error, batch["action_is_pad"])
    return loss, {"mse": loss.item()}


def forward_evaluates(self, batch):
    self.eval()
    error = self.chunk(batch["observation.state"]) - batch["action"]
    loss = self.loss(error, batch["action_is_pad"])
    return loss, {"mse": loss.item()}


def forward_keeps_graphs(self, batch):
    error = self.chunk(batch["observation.state"]) - batch["action"]
    loss = self.loss(error, batch["action_is_pad"])
    return loss, {"mse": loss}


def forward_takes_all(self, batch):
    """Every observation it finds goes in."""
    seen = [value.float().sum() for key, value in batch.items() if key.startswith("observation.")]
    error = self.chunk(batch["observation.state"]) + 1e-3 * sum(seen) - batch["action"]
    loss = self.loss(error, batch["action_is_pad"])
    return loss, {"mse": loss.item()}


def forward_squeezes(self, batch):
    error = self.chunk(batch["observation.state"]).squeeze() - batch["action"].squeeze()
    loss = self.loss(error, batch["action_is_pad"].squeeze())
    return loss * (1 if error.ndim == 3 else float("nan")), {"mse": loss.item()}


def forward_averages(self, batch):
    """A running mean of losses, kept between batches."""
    error = self.chunk(batch["observation.state"]) - batch["action"]
    loss = self.loss(error, batch["action_is_pad"])
    self.seen = 0.9 * getattr(self, "seen", 0.0) + 0.1 * loss.item()
    return loss + self.seen, {"mse": loss.item()}


def unused_part(self, state):
    return (self.norm(state).sum(1, keepdim=True) * 0 + self.net.bias).reshape(-1, 5, 2)


def stays_in_training(self, mode=True):
    for module in self.children():
        module.training = True
    return self


def saves_in_eval(self, directory):
    from safetensors.torch import save_file

    directory.mkdir(parents=True, exist_ok=True)
    save_file(self.eval().state_dict(), directory / "model.safetensors")


def saves_half(self, directory):
    from safetensors.torch import save_file

    directory.mkdir(parents=True, exist_ok=True)
    state = {key: value.half().to(value.dtype) for key, value in self.state_dict().items()}
    save_file(state, directory / "model.safetensors")


def seeds_torch(self, observation):
    import torch

    torch.manual_seed(0)
    return torch.from_numpy(np.array(observation["observation.state"], np.float32))


def learner(noticed: str, **changes: Any) -> Mutant:
    return Mutant("policy in torch", lambda: toys.torch_policy(**changes), noticed)


MUTANTS = {
    "padding counts": learner("padded_steps", loss=padding_counts),
    "mask inverted": learner("padded_steps", loss=mask_inverted),
    "row of padding is NaN": learner("a_row_of_padding", loss=mean_of_rows),
    "one row counts": learner("every_row_counts", loss=first_row),
    "a loss per row": learner("finite_number", loss=no_scalar),
    "loss of the wrong sign": learner("a_larger_error", loss=wrong_sign),
    "loss detached": learner("gradients_reach", loss=detached),
    "infinite gradients": learner("gradients_are_finite", loss=root),
    "batch written into": learner("the_batch_is_not_changed", forward=forward_writes),
    "stays in eval": learner("the_mode_is_kept", forward=forward_evaluates),
    "graphs in the numbers": learner("finite_number", forward=forward_keeps_graphs),
    "takes all it finds": learner("more_in_the_batch", forward=forward_takes_all),
    "batch of one squeezed": learner("a_batch_of_one", forward=forward_squeezes),
    "state between batches": learner("a_loss_repeats", forward=forward_averages),
    "a part without a gradient": learner("gradients_reach", chunk=unused_part),
    "learns while it runs": learner("inference_changes_no_weights", eval=stays_in_training),
    "eval after saving": learner("saving_changes_nothing", save_pretrained=saves_in_eval),
    "saved in half": learner("what_is_saved", save_pretrained=saves_half),
    "seeds torch": learner("global_generators", state=seeds_torch),
}
