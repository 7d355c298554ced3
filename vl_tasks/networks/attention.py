"""Blocks of transformers that several models share; padding takes no part in any of them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Scaled dot-product attention of several heads, over contiguous rows.

    Args:
        width: C of queries, contexts and results.
        heads: They share the channels evenly.
        dropout: Of attention weights.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads cannot share {width} channels evenly")
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)

    def keys_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, heads, L, C / heads) of a context (B, L, C)."""
        keys, values = self.key_value(context).chunk(2, dim=-1)
        return self._split(keys), self._split(values)

    def attend(
        self,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None,
        causal: bool = False,
    ) -> Tensor:
        """Attend to keys and values.

        Args:
            query: (B, Q, C).
            keys: (B, heads, L, C / heads).
            values: The same.
            mask: Bool, broadcast to (B, heads, Q, L); True takes part. None for all.
            causal: Query q sees the first q + 1 only; excludes `mask`.

        Returns:
            (B, Q, C).
        """
        mixed = F.scaled_dot_product_attention(
            self._split(self.query(query)),
            keys,
            values,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=causal,
        )
        return self.output(mixed.transpose(1, 2).flatten(2))

    def forward(self, query: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend from (B, Q, C) to a context (B, L, C) whose real rows `mask` (B, L) tells."""
        given = None if mask is None else mask[:, None, None]
        return self.attend(query, *self.keys_values(context), given)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Sequential):
    """Two linear layers with a ReLU between."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__(
            nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, width)
        )


def masked_softmax(scores: Tensor, mask: Tensor | None, dim: int) -> Tensor:
    """Softmax in which only places with True in the mask (broadcast) take part."""
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(dim)
