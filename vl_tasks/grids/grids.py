"""Batches of grid features and their standardisation."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Grids(NamedTuple):
    """Grid features of B images with N = h * w grid cells each.

    Attributes:
        features: (B, N, C) float32, row by row; arbitrary where the mask is False.
        mask: (B, N) bool, True for grid cells of the image and False for padding.
        shape: (h, w).
    """

    features: Tensor
    mask: Tensor
    shape: tuple[int, int]

    def to(self, device: str | torch.device) -> "Grids":
        """Return the grids on a device."""
        return Grids(self.features.to(device), self.mask.to(device), self.shape)


class GridScale(nn.Module):
    """Standardisation of each channel to mean 0 and standard deviation 1 over fitted images."""

    mean: Tensor
    spread: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))

    def fit(self, grids: Grids) -> None:
        """Set mean and standard deviation to those of the unmasked grid cells."""
        cells = grids.features[grids.mask]  # (cells, C)
        self.mean.copy_(cells.mean(0))
        # A constant channel carries no information; the minimum keeps it from being amplified.
        self.spread.copy_(cells.std(0, correction=0).clamp(min=1e-4))

    def forward(self, grids: Grids) -> Grids:
        """Return standardised grids with 0 as padding, because 0 * inf in attention is NaN."""
        scaled = (grids.features - self.mean) / self.spread
        return grids._replace(features=scaled.masked_fill(~grids.mask[..., None], 0.0))
