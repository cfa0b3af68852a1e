"""What a policy that trains must do: a loss that can be trusted and followed."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from lerobot_core.testing.suite import Suite, needs

PAD = "action_is_pad"


class LearningSuite(Suite):
    """Checks of `forward`, a part of `PolicySuite`.

    Attributes:
        trains: it has a loss in torch; without it these checks are skipped.
        untrained: parameters kept for the file format's sake that no gradient can reach.
    """

    trains: ClassVar[bool] = True
    untrained: ClassVar[tuple[str, ...]] = ()

    @pytest.fixture
    def policy(self) -> Any:
        return self.part()

    @pytest.fixture
    def batch(self, policy: Any) -> Any:
        """Torch tensors that went through the pre-processor, some steps padded; None where it does not train."""
        return None

    def needs_training(self, batch: Any) -> None:
        """Skip a check of the loss where there is none, or nothing to compute it from."""
        needs(self.trains and batch is not None, "trains, with the fixture `batch`")

    def loss(self, policy: Any, batch: Any) -> Any:
        torch = pytest.importorskip("torch")
        torch.manual_seed(0)
        return policy.forward(batch)

    def number(self, policy: Any, batch: Any) -> float:
        loss, _ = self.loss(policy, batch)
        return float(loss.detach())

    def test_the_loss_is_a_finite_number(self, policy: Any, batch: Any) -> None:
        """Training stops on anything else, hours later. Fix: a scalar with a gradient, and its parts as floats."""
        self.needs_training(batch)
        policy.train()
        loss, parts = self.loss(policy, batch)
        assert loss.ndim == 0
        assert bool(loss.isfinite())
        assert loss.requires_grad
        assert all(isinstance(value, float) for value in parts.values())

    def test_gradients_reach_every_trainable_parameter(self, policy: Any, batch: Any) -> None:
        """A part without a gradient stays random and nobody notices. Fix: use it, or freeze or remove it."""
        self.needs_training(batch)
        policy.train()
        self.loss(policy, batch)[0].backward()
        without = [
            name
            for name, parameter in policy.named_parameters()
            if parameter.requires_grad and (parameter.grad is None or not bool(parameter.grad.abs().sum() > 0))
        ]
        without = sorted(set(without) ^ set(self.untrained))
        assert not without, f"no gradient: {', '.join(without)}"

    def test_padded_steps_do_not_count(self, policy: Any, batch: Any) -> None:
        """Behind an episode's end there is nothing to imitate. Fix: mask by `action_is_pad` before averaging."""
        self.needs_training(batch)
        needs(PAD in batch, "action_is_pad in the batch")
        assert bool(batch[PAD].any()), "give a batch in which some steps are padded"
        policy.eval()
        other = {key: value.clone() if hasattr(value, "clone") else value for key, value in batch.items()}
        other["action"][other[PAD]] += 7.0
        first = self.number(policy, batch)
        assert abs(first - self.number(policy, other)) <= 1e-5 * max(1.0, abs(first))
        other["action"][~other[PAD]] += 7.0
        assert abs(first - self.number(policy, other)) > 1e-3, "the loss does not depend on the actions at all"

    def test_the_batch_is_not_changed(self, policy: Any, batch: Any) -> None:
        """The trainer logs and compares batches. Fix: clone before writing in place."""
        self.needs_training(batch)
        kept = {key: value.clone() if hasattr(value, "clone") else value for key, value in batch.items()}
        self.loss(policy, batch)
        assert set(kept) == set(batch)
        assert all(bool((kept[key] == batch[key]).all()) for key in kept if hasattr(kept[key], "clone"))

    def rows(self, batch: Any, rows: slice) -> dict[str, Any]:
        """Some rows of a batch."""
        size = len(batch["action"])
        return {
            key: value[rows] if hasattr(value, "__getitem__") and len(value) == size else value
            for key, value in batch.items()
        }

    def test_gradients_are_finite(self, policy: Any, batch: Any) -> None:
        """One infinite gradient ends a run at its first step. Fix: no square root or division at zero."""
        self.needs_training(batch)
        policy.train()
        self.loss(policy, batch)[0].backward()
        wrong = [
            name for name, p in policy.named_parameters() if p.grad is not None and not bool(p.grad.isfinite().all())
        ]
        assert not wrong, f"not finite: {', '.join(wrong)}"

    def test_a_few_steps_make_the_loss_smaller(self, policy: Any, batch: Any) -> None:
        """A loss of a detached copy trains for days without learning. Fix: compute it from what the network gave."""
        self.needs_training(batch)
        torch = pytest.importorskip("torch")
        policy.train()
        before = self.number(policy, batch)
        for _ in range(3):
            policy.zero_grad()
            self.loss(policy, batch)[0].backward()
            with torch.no_grad():
                for parameter in policy.parameters():
                    if parameter.grad is not None:
                        parameter -= 1e-3 * parameter.grad.sign()  # of the size of Adam's first steps
        policy.train()
        assert self.number(policy, batch) < before, "the loss did not fall in three small steps down its gradient"

    def test_a_larger_error_costs_more(self, policy: Any, batch: Any) -> None:
        """A loss of the wrong sign runs away from the demonstrations. Fix: return what to minimise."""
        self.needs_training(batch)
        policy.eval()
        far = {**batch, "action": batch["action"] + 10.0}
        assert self.number(policy, far) > self.number(policy, batch)

    def test_a_loss_repeats(self, policy: Any, batch: Any) -> None:
        """Resuming and comparing runs need it. Fix: draw from torch's generator only, keep no state between batches."""
        self.needs_training(batch)
        policy.eval()
        assert self.number(policy, batch) == self.number(policy, batch)

    def test_the_mode_is_kept(self, policy: Any, batch: Any) -> None:
        """A policy that stays in eval mode trains without dropout. Fix: leave `train` and `eval` to the trainer."""
        self.needs_training(batch)
        for mode in (True, False):
            policy.train(mode)
            self.loss(policy, batch)
            assert policy.training is mode
            assert all(module.training is mode for module in policy.children())

    def test_a_batch_of_one_has_a_loss(self, policy: Any, batch: Any) -> None:
        """The last batch of an epoch may hold one row. Fix: name the axis when squeezing."""
        self.needs_training(batch)
        policy.eval()
        loss, _ = self.loss(policy, self.rows(batch, slice(0, 1)))
        assert loss.ndim == 0
        assert bool(loss.isfinite())

    def test_every_row_counts(self, policy: Any, batch: Any) -> None:
        """A loss of the first row alone learns one demonstration in thirty. Fix: average over the whole batch."""
        self.needs_training(batch)
        policy.eval()
        first = self.number(policy, batch)
        for row in range(len(batch["action"])):
            other = {**batch, "action": batch["action"].clone()}
            other["action"][row] += 7.0
            assert self.number(policy, other) != first, f"row {row} does not count"

    def test_a_row_of_padding_is_no_nan(self, policy: Any, batch: Any) -> None:
        """Behind the last frame a whole chunk is padding. Fix: divide by the steps that count, at least one."""
        self.needs_training(batch)
        needs(PAD in batch, "action_is_pad in the batch")
        policy.eval()
        other = {**batch, PAD: batch[PAD].clone()}
        other[PAD][0] = True
        loss, parts = self.loss(policy, other)
        assert bool(loss.isfinite())
        assert all(value == value for value in parts.values()), "a part of the loss is NaN"

    def test_more_in_the_batch_does_no_harm(self, policy: Any, batch: Any) -> None:
        """Datasets also give indices, times and tasks. Fix: pick the features by name."""
        self.needs_training(batch)
        policy.eval()
        wanted, size = self.number(policy, batch), len(batch["action"])
        more = {"index": batch["action"].new_zeros(size), "observation.extra": batch["action"].new_ones(size, 2)}
        assert self.number(policy, {**batch, **more}) == wanted

    def test_training_leaves_the_features_alone(self, policy: Any, batch: Any) -> None:
        """They are saved with the weights. Fix: compute, do not rewrite, features and state_dict keys."""
        self.needs_training(batch)
        before = set(policy.state_dict()), dict(policy.input_features), dict(policy.output_features)
        policy.train()
        self.loss(policy, batch)[0].backward()
        assert (set(policy.state_dict()), dict(policy.input_features), dict(policy.output_features)) == before
