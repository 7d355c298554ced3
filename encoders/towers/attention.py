"""Attention over contiguous rows, in place of nn.MultiheadAttention.

Whenever nn.MultiheadAttention leaves its fast path it hands transposed views to its linear layers,
which in bfloat16 on a CPU takes sixty times as long as contiguous ones (vs. `benchmarks/encoding`).
The functions here use its weights and give its results.
"""

import torch
from torch import nn
from torch.nn import functional as F


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    heads: int,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Scaled dot-product attention of several heads.

    Args:
        query: (N, Q, C).
        key: (N, L, C).
        value: (N, L, C).
        heads: They share the C channels evenly.
        mask: Bool, broadcast to (N, heads, Q, L); True takes part.

    Returns:
        (N, Q, C).
    """
    query, key, value = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return mixed.transpose(1, 2).flatten(2)


def self_attention(
    attention: nn.MultiheadAttention,
    tokens: torch.Tensor,
    mask: torch.Tensor | None = None,
    queries: int | None = None,
) -> torch.Tensor:
    """What a self-attention with batch_first gives.

    Args:
        attention: Its weights.
        tokens: (N, L, C).
        mask: As in `attend`.
        queries: Only the first so many tokens ask; all if None.

    Returns:
        (N, L or `queries`, C).
    """
    width, weight, bias = attention.embed_dim, attention.in_proj_weight, attention.in_proj_bias
    if queries is None:
        query, key, value = F.linear(tokens, weight, bias).chunk(3, dim=-1)
    else:
        query = F.linear(tokens[:, :queries].contiguous(), weight[:width], bias[:width])
        key, value = F.linear(tokens, weight[width:], bias[width:]).chunk(2, dim=-1)
    return attention.out_proj(attend(query, key, value, attention.num_heads, mask))


def value_projection(attention: nn.MultiheadAttention, tokens: torch.Tensor) -> torch.Tensor:
    """What the attention gives where only one token takes part: (N, L, kdim) to (N, L, C)."""
    width = attention.embed_dim
    weight = attention.v_proj_weight
    if weight is None:
        weight = attention.in_proj_weight[2 * width :]
    return attention.out_proj(F.linear(tokens, weight, attention.in_proj_bias[2 * width :]))
