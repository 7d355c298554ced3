"""Attention over contiguous tensors, used instead of nn.MultiheadAttention.

Outside its fast path nn.MultiheadAttention passes transposed views to its linear layers. In
bfloat16 on a CPU these take sixty times as long as contiguous tensors (see `benchmarks/encoding`).
The functions here use the weights of an nn.MultiheadAttention and return its results.
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
    """Compute multi-head scaled dot-product attention.

    Args:
        query: (N, Q, C).
        key: (N, L, C).
        value: (N, L, C).
        mask: Bool, broadcast to (N, heads, Q, L); False excludes a key.

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
    """Compute the output of a self-attention module that has batch_first set.

    Args:
        tokens: (N, L, C).
    """
    width, weight, bias = attention.embed_dim, attention.in_proj_weight, attention.in_proj_bias
    if queries is None:
        query, key, value = F.linear(tokens, weight, bias).chunk(3, dim=-1)
    else:
        query = F.linear(tokens[:, :queries].contiguous(), weight[:width], bias[:width])
        key, value = F.linear(tokens, weight[width:], bias[width:]).chunk(2, dim=-1)
    return attention.out_proj(attend(query, key, value, attention.num_heads, mask))


def allowed_keys(mask: torch.Tensor) -> torch.Tensor:
    """Return the attention mask (N, 1, 1, 1 + h * w) of a first token and the cells.

    Args:
        mask: (N, h, w) bool; False in cells that are padding.
    """
    return F.pad(mask.flatten(1), (1, 0), value=True)[:, None, None]


def value_projection(attention: nn.MultiheadAttention, tokens: torch.Tensor) -> torch.Tensor:
    """Compute attention in which each token attends only to itself: (N, L, kdim) to (N, L, C)."""
    width = attention.embed_dim
    weight = attention.v_proj_weight
    if weight is None:
        weight = attention.in_proj_weight[2 * width :]
    return attention.out_proj(F.linear(tokens, weight, attention.in_proj_bias[2 * width :]))
