"""Where in a picture places are, for models that must tell left from right.

CLIP's grids hardly tell: what a convolution or a patch gives depends on what is there, not where.
"""

import math

import torch
from torch import Tensor, nn

from vl_tasks.grids.grids import Grids

_FREQUENCIES = 4


class GridPositions(nn.Module):
    """Learnt vectors of places, from sines and cosines of their row and column.

    Rows and columns are counted as shares of the picture, so that grids of all sizes are read
    alike; padding does not count.

    Args:
        width: C.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(4 * _FREQUENCIES, width)

    def forward(self, grids: Grids) -> Tensor:
        """Vectors (B, N, C) of the places of grids; padding's mean nothing."""
        mask = grids.mask.unflatten(1, grids.shape)  # (B, h, w)
        rows, columns = mask.any(2), mask.any(1)  # (B, h), (B, w)
        down, across = waves(rows), waves(columns)  # (B, h, F), (B, w, F)
        height, width = grids.shape
        places = torch.cat(
            [
                down[:, :, None].expand(-1, -1, width, -1),
                across[:, None].expand(-1, height, -1, -1),
            ],
            dim=3,
        )  # (B, h, w, 2 F)
        return self.project(places.flatten(1, 2))


def waves(real: Tensor) -> Tensor:
    """Sines and cosines (B, L, 2 * frequencies) of places in rows whose first ones are real (B, L).

    The lowest frequency goes half way round from one end of the picture to the other.
    """
    count = real.sum(1, keepdim=True).clamp(min=1)
    along = (torch.arange(real.shape[1], device=real.device) + 0.5) / count  # (B, L) from 0 to 1
    turns = 2.0 ** torch.arange(_FREQUENCIES, device=real.device)
    angles = math.pi * along[..., None] * turns
    return torch.cat([angles.sin(), angles.cos()], dim=2)
