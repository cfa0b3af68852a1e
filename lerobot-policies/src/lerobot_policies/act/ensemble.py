"""Temporal ensemble: the average of all chunks' predictions for a step (arXiv 2304.13705, section IV.A). *Pure.*"""

from __future__ import annotations

import torch
from torch import Tensor


class TemporalEnsemble:
    """Online average of overlapping chunks with weights exp(-coefficient · i), i counted from the oldest prediction.

    Args:
        coefficient: above 0 favours old predictions, below 0 new ones.
        chunk_size: T, steps in a chunk.
    """

    def __init__(self, coefficient: float, chunk_size: int) -> None:
        self.weights = torch.exp(-coefficient * torch.arange(chunk_size))
        self.sums = self.weights.cumsum(0)
        self.reset()

    def reset(self) -> None:
        self._actions: Tensor | None = None
        self._counts: Tensor | None = None

    def update(self, chunk: Tensor, steps: int = 1) -> Tensor:
        """Add a chunk and give the averaged one; both begin at the present control step.

        Args:
            chunk: (B, T, A).
            steps: control steps since the last update.

        Returns:
            (B, T, A), of which the first is the action to take now.
        """
        weights, sums = self.weights.to(chunk.device), self.sums.to(chunk.device)
        fresh = torch.ones((chunk.shape[1], 1), dtype=torch.long, device=chunk.device)
        if self._actions is None or steps >= self._actions.shape[1]:
            self._actions, self._counts = chunk.clone(), fresh
            return self._actions
        old, count = self._actions[:, steps:], self._counts[steps:]  # (B, K, A), (K, 1): what both speak about
        overlap = old.shape[1]
        merged = (old * sums[count - 1] + chunk[:, :overlap] * weights[count]) / sums[count]
        self._actions = torch.cat((merged, chunk[:, overlap:]), dim=1)  # (B, T, A)
        self._counts = torch.cat((count + 1, fresh[overlap:]))
        return self._actions
