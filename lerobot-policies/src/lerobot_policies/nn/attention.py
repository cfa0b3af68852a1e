"""Multi-head attention with torch's parameter layout (`in_proj_weight` holds q, k, v stacked), batch first.

`torch.nn.MultiheadAttention` would do, but it is sequence first by default in the checkpoints' models and builds the
attention weights nobody reads; this one goes straight to the fused kernel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MultiheadAttention(nn.Module):
    """Scaled dot-product attention.

    Args:
        dim: width of queries, keys and values.
        heads: number of heads; divides `dim`.
        dropout: dropout on the attention weights while training.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.dim, self.heads, self.dropout = dim, heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend.

        Args:
            query: (B, Q, D).
            key: (B, K, D); the same object as `query` saves a product.
            value: (B, K, D).
            mask: (B, K) bool, true where a key may be looked at; None for everywhere.

        Returns:
            (B, Q, D).
        """
        dim, weight, bias = self.dim, self.in_proj_weight, self.in_proj_bias
        if key is query:
            q, k = F.linear(query, weight[: 2 * dim], bias[: 2 * dim]).chunk(2, dim=-1)  # (B, Q, D) twice
        else:
            q = F.linear(query, weight[:dim], bias[:dim])
            k = F.linear(key, weight[dim : 2 * dim], bias[dim : 2 * dim])
        v = F.linear(value, weight[2 * dim :], bias[2 * dim :])
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))  # (B, heads, ·, D/heads)
        out = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=None if mask is None else mask[:, None, None],  # (B, 1, 1, K)
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.out_proj(out.transpose(1, 2).flatten(2))  # (B, Q, D)
