"""Transformer blocks and position embeddings that several models share; padding is masked in all.

CLIP's grid features depend on the content of a cell and hardly on its position, so models that must
distinguish left from right add `GridPositions`.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipnav.vl_tasks.grids.grids import Grids

_FREQUENCIES = 4


class Attention(nn.Module):
    """Multi-head scaled dot-product attention."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)

    def keys_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values (B, heads, L, C / heads) of a context (B, L, C)."""
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
            mask: Bool, broadcast to (B, heads, Q, L); True takes part. None for all.

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
        """Attend from (B, Q, C) to a context (B, L, C); `mask` (B, L) is False in the padding."""
        given = None if mask is None else mask[:, None, None]
        return self.attend(query, *self.keys_values(context), given)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class UnbiasedNorm(nn.Module):
    """Layer normalisation of openvqa and ImageCaptioning.pytorch.

    The standard deviation is the unbiased one (divided by C - 1), and epsilon is added to it
    instead of to the variance.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (..., C)."""
        deviation = x.std(-1, keepdim=True) + 1e-6
        return self.weight * (x - x.mean(-1, keepdim=True)) / deviation + self.bias


def layer_norm(width: int, unbiased: bool) -> nn.Module:
    """Build the layer norm of the originals (`unbiased`) or that of torch."""
    return UnbiasedNorm(width) if unbiased else nn.LayerNorm(width)


class FeedForward(nn.Sequential):
    """Two linear layers with a ReLU between."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__(
            nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, width)
        )


def masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Compute the softmax of scores (B, L, G) over the rows L where the mask (B, L) is True."""
    if mask is not None:
        scores = scores.masked_fill(~mask[..., None], -torch.inf)
    return scores.softmax(1)


class JointVectors(NamedTuple):
    """Vectors of B questions about images.

    Attributes:
        image: (B, I), from the image as the question attends to it.
        question: (B, Q), from the words alone; in a single-stream transformer, from the words in
            the context of the image.
        fused: (B, F), from both; input of the classifier.
    """

    image: Tensor
    question: Tensor
    fused: Tensor


class GridPositions(nn.Module):
    """Learned projection of sinusoidal row and column encodings.

    Rows and columns are relative to the unpadded image, so that the encoding does not depend on the
    grid size.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(4 * _FREQUENCIES, width)

    def forward(self, grids: Grids) -> Tensor:
        """Compute the embeddings (B, N, C) of grid cells; those of padding are meaningless."""
        mask = grids.mask.unflatten(1, grids.shape)  # (B, h, w)
        rows, columns = mask.any(2), mask.any(1)  # (B, h), (B, w)
        down, across = waves(rows), waves(columns)  # (B, h, F), (B, w, F)
        height, width = grids.shape
        cells = torch.cat(
            [
                down[:, :, None].expand(-1, -1, width, -1),
                across[:, None].expand(-1, height, -1, -1),
            ],
            dim=3,
        )  # (B, h, w, 2 F)
        return self.project(cells.flatten(1, 2))


def waves(real: Tensor) -> Tensor:
    """Return sines and cosines (B, L, 2 * frequencies) of positions; `real` (B, L) masks padding.

    The lowest frequency covers half a period over the image.
    """
    count = real.sum(1, keepdim=True).clamp(min=1)
    along = (torch.arange(real.shape[1], device=real.device) + 0.5) / count  # (B, L) from 0 to 1
    turns = 2.0 ** torch.arange(_FREQUENCIES, device=real.device)
    angles = math.pi * along[..., None] * turns
    return torch.cat([angles.sin(), angles.cos()], dim=2)
