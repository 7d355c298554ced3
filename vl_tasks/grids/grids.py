"""What models see of pictures: grids of features, and their scale."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Grids(NamedTuple):
    """Grids of B pictures, N = h * w places each.

    Attributes:
        features: (B, N, C) float32, row by row; what they are where nothing is does not matter.
        mask: (B, N) bool, True where a picture is.
        shape: (h, w).
    """

    features: Tensor
    mask: Tensor
    shape: tuple[int, int]

    def to(self, device: str | torch.device) -> "Grids":
        """The same on a device."""
        return Grids(self.features.to(device), self.mask.to(device), self.shape)


class GridScale(nn.Module):
    """Brings each channel to mean 0 and spread 1 over the pictures that it was fitted to.

    Args:
        width: C.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))

    def fit(self, grids: Grids) -> None:
        """Measure the real places of grids."""
        places = grids.features[grids.mask]  # (places, C)
        self.mean.copy_(places.mean(0))
        # A channel that is the same everywhere says nothing; it must not be blown up.
        self.spread.copy_(places.std(0, correction=0).clamp(min=1e-4))

    def forward(self, grids: Grids) -> Grids:
        """Scaled grids, 0 where nothing is: a weight of 0 would not silence infinities there."""
        scaled = (grids.features - self.mean) / self.spread
        return grids._replace(features=scaled.masked_fill(~grids.mask[..., None], 0.0))
