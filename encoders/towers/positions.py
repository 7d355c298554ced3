"""Position embeddings resized to grids that the weights were not trained on."""

import math

import torch
from torch.nn import functional as F


class Positions:
    """A table of learned position embeddings, resized to any grid.

    ViT towers and the attention pooling of CLIP's ResNets both have such a table: a row for the
    whole image, then one for each cell of a square grid in row-major order. It is resized as
    open_clip does for ViTs that are loaded for another size (`open_clip.model.resize_pos_embed`:
    bicubic with antialiasing); open_clip does not resize the table of the ResNets at all.

    Args:
        native: (h, w) of the table's grid; square if None.
    """

    def __init__(
        self,
        table: torch.Tensor,
        native: tuple[int, int] | None = None,
        trained: bool = False,
    ) -> None:
        side = math.isqrt(len(table) - 1)
        self._trained = trained
        self._native = native or (side, side)
        self._table = table
        self._resized: dict[tuple[int, int], torch.Tensor] = {}

    def __call__(self, height: int, width: int) -> torch.Tensor:
        """Return the position embeddings (1 + height * width, C) of a grid."""
        grid = height, width
        if grid == self._native:
            return self._table
        if self._trained:
            return self._resize(self._table, grid)
        if grid not in self._resized:
            with torch.inference_mode(False):  # explanations need tensors that allow autograd
                self._resized[grid] = self._resize(self._table.detach(), grid)
        return self._resized[grid]

    def _resize(self, table: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
        whole, cells = table[:1], table[1:].float()
        image = cells.T.reshape(1, -1, *self._native)  # (1, C, h, w)
        image = F.interpolate(image, size=grid, mode="bicubic", antialias=True, align_corners=False)
        return torch.cat([whole, image[0].flatten(1).T.to(whole.dtype)])
