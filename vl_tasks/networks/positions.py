"""Position embeddings of grid cells, for models that must distinguish left from right.

CLIP's grid features depend on the content of a cell and hardly on its position.
"""

import math

import torch
from torch import Tensor, nn

from clipnav.vl_tasks.grids.grids import Grids

_FREQUENCIES = 4


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
